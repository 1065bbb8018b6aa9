//! The file of `--web.config.file`, as Prometheus's exporter-toolkit defines it: TLS, users and headers of the server itself.
//! What that knows and this does not is refused, so that nothing is less safe than its file says.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use secrecy::SecretString;
use serde::Deserialize;

use super::field::{Field, List};
use super::files::{self, Checked, Files, Pem};
use super::leaf::FilePath;
use super::node::{self, Value};
use super::problem::{Errors, Fault, Mark, Problem, Problems};
use super::reader;

/// A password that takes longer to check than this cost does (two seconds) stops the server, not guessers.
const MAX_COST: u32 = 15;
/// What the toolkit lets be set.
const HEADERS: [&str; 5] = [
    "Content-Security-Policy",
    "Strict-Transport-Security",
    "X-Content-Type-Options",
    "X-Frame-Options",
    "X-XSS-Protection",
];

/// What the file asks for, checked.
#[derive(Debug, Default)]
pub struct Web {
    /// Encryption; none for plain HTTP.
    pub tls: Option<WebTls>,
    /// Users with the bcrypt hashes of their passwords; none to let everyone in.
    pub users: BTreeMap<String, SecretString>,
    /// Headers of every response.
    pub headers: Vec<(String, String)>,
    /// What is not wrong, but should be looked at.
    pub warnings: Vec<Problem>,
}

/// Keys and rules of TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebTls {
    /// The certificate, PEM.
    pub cert_file: PathBuf,
    /// Its private key, PEM.
    pub key_file: PathBuf,
    /// What clients show, and the authorities that sign it, PEM; none if they are not asked.
    pub clients: Option<(WebClients, PathBuf)>,
    /// Whether TLS 1.2 will do.
    pub allow_1_2: bool,
    /// Whether TLS 1.3 may be used.
    pub allow_1_3: bool,
}

/// What is asked of clients' certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WebClients {
    /// One that is shown must be good.
    IfGiven,
    /// A good one must be shown.
    Required,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct File {
    tls_server_config: Field<Tls>,
    http_server_config: Field<HttpServer>,
    basic_auth_users: Field<BTreeMap<String, Field<String>>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Tls {
    cert_file: Field<FilePath>,
    key_file: Field<FilePath>,
    client_auth_type: Field<ClientAuth>,
    client_ca_file: Field<FilePath>,
    min_version: Field<Version>,
    max_version: Field<Version>,
    /// Asked for where the ciphers are chosen, too; here the server's order always counts.
    prefer_server_cipher_suites: Field<bool>,
    /// Safe ones are all there are.
    cipher_suites: List<String>,
    curve_preferences: List<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct HttpServer {
    /// Allows HTTP/2, which this server does not speak: nobody has to.
    http2: Field<bool>,
    headers: Field<BTreeMap<String, Field<String>>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
enum ClientAuth {
    #[serde(rename = "")]
    Unsaid,
    NoClientCert,
    VerifyClientCertIfGiven,
    RequireAndVerifyClientCert,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
enum Version {
    #[serde(rename = "TLS12")]
    Tls12,
    #[serde(rename = "TLS13")]
    Tls13,
}

/// Reads the file at `path`, and checks the keys and certificates it names.
///
/// # Errors
/// Everything that is wrong, at once, with its place.
pub fn load_web(path: &Path) -> Result<Web, Errors> {
    let problems = RefCell::new(Problems::default());
    let web = read(path, &problems)
        .map(|file| Check { problems: &problems, files: Files::default() }.web(path, &file));
    let (errors, warnings) = problems.into_inner().finish();
    match web {
        Some(web) if errors.is_empty() => Ok(Web { warnings, ..web }),
        Some(_) | None => Err(Errors(errors)),
    }
}

fn read(path: &Path, problems: &RefCell<Problems>) -> Option<File> {
    let number = problems.borrow_mut().add_file(path);
    let report = |at: Mark, fault: Fault| problems.borrow_mut().fault(at, fault);
    let bytes = files::read_config(path).map_err(|fault| report(Mark::whole(number), fault)).ok()?;
    let Ok(text) = String::from_utf8(bytes) else {
        report(Mark::whole(number), Fault::new("the file is not UTF-8", "save it as UTF-8"));
        return None;
    };
    let node = node::parse(&text, number).map_err(|(at, fault)| report(at, fault)).ok()?;
    // An empty file asks for nothing.
    if matches!(node.value, Value::Null) { Some(File::default()) } else { reader::read(&node, problems) }
}

struct Check<'a> {
    problems: &'a RefCell<Problems>,
    files: Files,
}

impl Check<'_> {
    fn error(&self, at: Mark, what: impl Into<String>, fix: &str) {
        self.problems.borrow_mut().error(at, what, fix);
    }

    fn web(&mut self, path: &Path, file: &File) -> Web {
        let folder = path.parent().map(Path::to_owned).unwrap_or_default();
        Web {
            tls: file.tls_server_config.located().and_then(|(tls, at)| self.tls(&folder, tls, at)),
            users: self.users(&file.basic_auth_users),
            headers: file
                .http_server_config
                .get()
                .map_or_else(Vec::new, |server| self.headers(&server.headers)),
            warnings: Vec::new(),
        }
    }

    fn users(&self, users: &Field<BTreeMap<String, Field<String>>>) -> BTreeMap<String, SecretString> {
        const FIX: &str =
            "write the bcrypt hash of the password, as `htpasswd -nBC 10 '' | tr -d ':'` prints it";
        let mut good = BTreeMap::new();
        if let Some((map, at)) = users.located()
            && map.is_empty()
        {
            self.error(at, "`basic_auth_users` names no user", "name one, or remove the key");
        }
        for (name, hash) in users.get().into_iter().flatten() {
            // The hash is not shown: it may be the password itself.
            let Some((hash, at)) = hash.located() else { continue };
            if name.is_empty() || name.contains(':') || name.chars().any(char::is_control) {
                self.error(at, "the name of a user is empty or holds a `:`", "choose another name");
                continue;
            }
            match cost(hash) {
                None => self.error(at, format!("what stands for user {name} is no bcrypt hash"), FIX),
                Some(cost) if cost > MAX_COST => {
                    let what = format!("the hash of user {name} has a cost of {cost}, which takes seconds");
                    self.error(at, what, "make one with a cost of 10 to 15");
                }
                Some(_) => {
                    good.insert(name.clone(), SecretString::from(hash.as_str()));
                }
            }
        }
        good
    }

    fn headers(&self, headers: &Field<BTreeMap<String, Field<String>>>) -> Vec<(String, String)> {
        let mut good = Vec::new();
        for (name, value) in headers.get().into_iter().flatten() {
            let Some((value, at)) = value.located() else { continue };
            if !HEADERS.iter().any(|known| known.eq_ignore_ascii_case(name)) {
                let fix = format!("choose {}", HEADERS.join(", "));
                self.error(at, format!("`{name}` is no header that can be set"), &fix);
            } else if value.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) {
                good.push((name.clone(), value.clone()));
            } else {
                self.error(at, format!("the value of `{name}` is no plain text"), "write printable ASCII");
            }
        }
        good
    }

    fn tls(&mut self, folder: &Path, tls: &Tls, at: Mark) -> Option<WebTls> {
        for (key, list) in
            [("cipher_suites", &tls.cipher_suites), ("curve_preferences", &tls.curve_preferences)]
        {
            if let Some((_, at)) = list.located() {
                self.error(
                    at,
                    format!("`{key}` cannot be chosen"),
                    "remove it: only those that are safe are used",
                );
            }
        }
        if let Field::Is(false, at) = tls.prefer_server_cipher_suites {
            self.error(at, "`prefer_server_cipher_suites` cannot be false", "remove it");
        }
        let cert_file = self.pem(folder, "cert_file", &tls.cert_file, Pem::Certificates, Some(at));
        let key_file = self.pem(folder, "key_file", &tls.key_file, Pem::Key, Some(at));
        let ca = self.pem(folder, "client_ca_file", &tls.client_ca_file, Pem::Certificates, None);
        let how = match tls.client_auth_type.get() {
            None | Some(ClientAuth::Unsaid | ClientAuth::NoClientCert) => None,
            Some(ClientAuth::VerifyClientCertIfGiven) => Some(WebClients::IfGiven),
            Some(ClientAuth::RequireAndVerifyClientCert) => Some(WebClients::Required),
        };
        if let (None, Some((_, at))) = (how, tls.client_ca_file.located()) {
            let fix = "write `client_auth_type: RequireAndVerifyClientCert`, or remove it";
            self.error(at, "`client_ca_file` stands here, and no client is asked for a certificate", fix);
        }
        if how.is_some() && tls.client_ca_file.is_absent() {
            let at = tls.client_auth_type.located().map_or(at, |(_, at)| at);
            self.error(
                at,
                "`client_ca_file` is missing",
                "name the authorities of the clients' certificates",
            );
        }
        let least = tls.min_version.get().copied().unwrap_or(Version::Tls12);
        let most = tls.max_version.get().copied().unwrap_or(Version::Tls13);
        if (least, most) == (Version::Tls13, Version::Tls12) {
            let at = tls.max_version.located().map_or(at, |(_, at)| at);
            self.error(at, "`max_version` is below `min_version`", "remove one of the two");
        }
        Some(WebTls {
            cert_file: cert_file?,
            key_file: key_file?,
            clients: how.zip(ca),
            allow_1_2: least == Version::Tls12,
            allow_1_3: most == Version::Tls13,
        })
    }

    /// The path of a PEM file that holds what it should. One that must be there is missed at `needed`.
    fn pem(
        &mut self,
        folder: &Path,
        key: &str,
        field: &Field<FilePath>,
        kind: Pem,
        needed: Option<Mark>,
    ) -> Option<PathBuf> {
        if let (true, Some(at)) = (field.is_absent(), needed) {
            self.error(at, format!("`{key}` is missing"), "name a PEM file");
        }
        let (FilePath(path), at) = field.located()?;
        let path = folder.join(path);
        match self.files.pem(&path, kind) {
            Ok(Checked { value: (), exposed }) => {
                if exposed && kind == Pem::Key {
                    let what = format!("`{key}`: everyone on this machine may read {}", path.display());
                    self.problems.borrow_mut().warn(at, what, format!("chmod o-r {}", path.display()));
                }
                Some(path)
            }
            Err(fault) => {
                self.error(at, format!("`{key}`: {}", fault.what), &fault.fix);
                None
            }
        }
    }
}

/// The cost of a bcrypt hash; none of what is no such hash.
fn cost(hash: &str) -> Option<u32> {
    let mut parts = hash.strip_prefix('$')?.split('$');
    let (version, cost, rest) = (parts.next()?, parts.next()?, parts.next()?);
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '/');
    let is_hash = ["2a", "2b", "2x", "2y"].contains(&version)
        && parts.next().is_none()
        && cost.len() == 2
        && rest.len() == 53
        && rest.chars().all(plain);
    cost.parse().ok().filter(|cost| is_hash && (4..=31).contains(cost))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const HASH: &str = "$2y$10$X0h1gDsPszWURQaxFh.zoubFi6DXncSjhoQNJgRrnGs7EsimhC7zG";

    /// What is said of a file with this text beside a certificate, its key, and an empty file.
    fn loaded(text: &str) -> Result<Web, Vec<String>> {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        fs::write(at("cert.pem"), made.cert.pem()).unwrap();
        fs::write(at("key.pem"), made.signing_key.serialize_pem()).unwrap();
        fs::write(at("web.yml"), text).unwrap();
        let place = format!("{}/", folder.path().display());
        load_web(&at("web.yml"))
            .map_err(|errors| errors.to_string().lines().map(|line| line.replace(&place, "")).collect())
    }

    #[test]
    fn what_the_toolkit_takes_is_taken() {
        let web = loaded("").unwrap();
        assert!(web.tls.is_none() && web.users.is_empty() && web.headers.is_empty());
        let web = loaded(&format!(
            "tls_server_config:\n  cert_file: cert.pem\n  key_file: key.pem\n  client_auth_type: RequireAndVerifyClientCert\n  \
             client_ca_file: cert.pem\n  min_version: TLS13\nhttp_server_config:\n  http2: false\n  headers:\n    \
             X-Frame-Options: deny\nbasic_auth_users:\n  alice: {HASH}\n  bob: '{HASH}'\n"
        ))
        .unwrap();
        let tls = web.tls.unwrap();
        assert_eq!((tls.allow_1_2, tls.allow_1_3), (false, true));
        assert_eq!(tls.clients.unwrap().0, WebClients::Required);
        assert_eq!(web.users.keys().collect::<Vec<_>>(), ["alice", "bob"]);
        assert_eq!(web.headers, [("X-Frame-Options".to_owned(), "deny".to_owned())]);
        assert!(!format!("{:?}", web.users).contains("X0h1"));
    }

    #[test]
    fn all_that_is_wrong_is_told_with_its_line_and_no_password() {
        let wrong = loaded(
            "tls_server_config:\n  cert_file: none.pem\n  client_auth_type: RequireAnyClientCert\n  min_version: TLS10\n\
             basic_auth_user: {}\nbasic_auth_users:\n  alice: secret-word\n  b:c: x\nhttp_server_config:\n  headers:\n    Server: x\n",
        )
        .unwrap_err();
        for (line, words) in [
            (2, "`key_file` is missing"),
            (2, "none.pem cannot be read"),
            (3, "choose , NoClientCert"),
            (4, "choose TLS12, TLS13"),
            (5, "did you mean `basic_auth_users`?"),
            (7, "user alice is no bcrypt hash"),
            (11, "`Server` is no header"),
        ] {
            let place = format!("web.yml:{line}:");
            assert!(
                wrong.iter().any(|l| l.starts_with(&place) && l.contains(words)),
                "{line} {words}: {wrong:#?}"
            );
        }
        assert!(!wrong.concat().contains("secret-word"));
    }

    #[test]
    fn what_would_be_less_safe_than_it_says_is_refused() {
        let tls = "tls_server_config:\n  cert_file: cert.pem\n  key_file: key.pem\n";
        for (text, words) in [
            (format!("{tls}  client_ca_file: cert.pem\n"), "no client is asked"),
            (format!("{tls}  client_auth_type: VerifyClientCertIfGiven\n"), "`client_ca_file` is missing"),
            (format!("{tls}  client_allowed_sans: [a]\n"), "`client_allowed_sans` is not a known key"),
            (
                format!("{tls}  cipher_suites: [TLS_RSA_WITH_RC4_128_SHA]\n"),
                "`cipher_suites` cannot be chosen",
            ),
            (format!("{tls}  min_version: TLS13\n  max_version: TLS12\n"), "below"),
            ("basic_auth_users: {}\n".to_owned(), "names no user"),
            (format!("basic_auth_users: {{a: {}}}\n", HASH.replace("$10$", "$20$")), "cost of 20"),
            (format!("basic_auth_users: {{a: {HASH}a}}\n"), "no bcrypt hash"),
        ] {
            let wrong = loaded(&text).unwrap_err();
            assert!(wrong.concat().contains(words), "{text}: {wrong:?}");
        }
    }
}
