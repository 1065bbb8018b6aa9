//! Files around the configuration: its text, what `include` names, secrets, certificates. Reads are bounded, and a file
//! that many meters share is read once.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use secrecy::SecretString;

use super::problem::Fault;

/// Most bytes of one configuration file.
const MAX_CONFIG_BYTES: u64 = 64 << 20;
/// Most bytes of a secret or certificate file.
const MAX_SMALL_BYTES: u64 = 1 << 20;

/// What a key file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Pem {
    /// At least one certificate.
    Certificates,
    /// A private key.
    Key,
}

/// A good file; `exposed` if everyone on the machine may read it.
#[derive(Debug, Clone)]
pub(super) struct Checked<T> {
    pub(super) value: T,
    pub(super) exposed: bool,
}

/// Reads small files, each once.
#[derive(Debug, Default)]
pub(super) struct Files {
    secrets: HashMap<PathBuf, Result<Checked<SecretString>, Fault>>,
    pems: HashMap<(PathBuf, Pem), Result<Checked<()>, Fault>>,
}

impl Files {
    /// The secret in a file, without the line ends at its end.
    pub(super) fn secret(&mut self, path: &Path) -> Result<Checked<SecretString>, Fault> {
        self.secrets.entry(path.to_owned()).or_insert_with(|| read_secret(path)).clone()
    }

    /// Checks that a PEM file holds what it should.
    pub(super) fn pem(&mut self, path: &Path, kind: Pem) -> Result<Checked<()>, Fault> {
        self.pems.entry((path.to_owned(), kind)).or_insert_with(|| check_pem(path, kind)).clone()
    }
}

fn read_secret(path: &Path) -> Result<Checked<SecretString>, Fault> {
    let Checked { value, exposed } = read_small(path)?;
    let text = String::from_utf8(value).map_err(|_| {
        Fault::new(format!("{} is not UTF-8 text", path.display()), "store the secret as plain text")
    })?;
    let secret = text.trim_end_matches(['\r', '\n']);
    if secret.is_empty() {
        return Err(Fault::new(format!("{} is empty", path.display()), "write the secret into it"));
    }
    Ok(Checked { value: SecretString::from(secret), exposed })
}

fn check_pem(path: &Path, kind: Pem) -> Result<Checked<()>, Fault> {
    let Checked { value, exposed } = read_small(path)?;
    let (good, noun) = match kind {
        Pem::Certificates => {
            let mut certificates = CertificateDer::pem_slice_iter(&value).peekable();
            (certificates.peek().is_some() && certificates.all(|one| one.is_ok()), "certificate")
        }
        Pem::Key => (PrivateKeyDer::from_pem_slice(&value).is_ok(), "private key"),
    };
    if good {
        return Ok(Checked { value: (), exposed });
    }
    Err(Fault::new(format!("{} holds no {noun}", path.display()), format!("name a PEM file with a {noun}")))
}

fn read_small(path: &Path) -> Result<Checked<Vec<u8>>, Fault> {
    let unreadable = |error: &std::io::Error| {
        let fix = "check the path, and that the user who runs this may read it";
        Fault::new(format!("{} cannot be read ({})", path.display(), reason(error)), fix)
    };
    let metadata = std::fs::metadata(path).map_err(|error| unreadable(&error))?;
    if !metadata.is_file() {
        return Err(Fault::new(format!("{} is not a file", path.display()), "name a file"));
    }
    let value = read_bounded(path, MAX_SMALL_BYTES).map_err(|error| unreadable(&error))?;
    Ok(Checked { value, exposed: metadata.permissions().mode() & 0o004 != 0 })
}

/// The bytes of a configuration file.
pub(super) fn read_config(path: &Path) -> Result<Vec<u8>, Fault> {
    read_bounded(path, MAX_CONFIG_BYTES).map_err(|error| {
        Fault::new(
            format!("the file cannot be read ({})", reason(&error)),
            "check the path and who may read it",
        )
    })
}

fn read_bounded(path: &Path, most: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(most + 1).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > most {
        return Err(std::io::Error::other(format!("it is larger than {most} bytes")));
    }
    Ok(bytes)
}

/// The system's reason without its number.
fn reason(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_lowercase()
}

/// The files that an `include` pattern names, sorted; none is not an error for a pattern with wildcards.
pub(super) fn expand(base: &Path, pattern: &str) -> Result<Vec<PathBuf>, Fault> {
    let wildcard = pattern.contains(['*', '?', '[']);
    if !wildcard {
        return Ok(vec![base.join(pattern)]);
    }
    let full = if Path::new(pattern).is_absolute() || base.as_os_str().is_empty() {
        pattern.to_owned()
    } else {
        format!("{}/{pattern}", glob::Pattern::escape(&base.to_string_lossy()))
    };
    let found = glob::glob(&full).map_err(|error| {
        Fault::new(
            format!("`include` holds a bad pattern ({})", error.msg),
            "write a path such as `meters.d/*.yaml`",
        )
    })?;
    found
        .map(|path| {
            path.map_err(|error| {
                let what = format!("{} cannot be read ({})", error.path().display(), reason(error.error()));
                Fault::new(what, "check who may read it")
            })
        })
        .collect()
}
