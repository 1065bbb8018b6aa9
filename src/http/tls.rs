//! Keys and rules of TLS, made into what the accept loop uses. Does not live here: the file that names them.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// Whether clients show a certificate. One that nobody checks proves nothing, so there is no third way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientCertificate {
    /// If they have one, it must be good.
    IfGiven,
    /// They must, and it must be good.
    Required,
}

/// What the server shows, and what it asks of its clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsSettings {
    /// Its certificate with those between it and its authority, PEM.
    pub cert_file: PathBuf,
    /// Its private key, PEM.
    pub key_file: PathBuf,
    /// Authorities of clients' certificates, PEM; none to ask for no certificate.
    pub clients: Option<(ClientCertificate, PathBuf)>,
    /// Whether TLS 1.2 will do.
    pub allow_1_2: bool,
    /// Whether TLS 1.3 may be used.
    pub allow_1_3: bool,
}

/// Reads the files.
///
/// # Errors
/// If a file cannot be read or used, or the key is not that of the certificate.
pub fn server(settings: &TlsSettings) -> Result<Arc<ServerConfig>, String> {
    let certificates = |path: &PathBuf| {
        let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        read.map_err(|why| format!("{}: {why}; name a PEM file with a certificate", path.display()))
    };
    let chain = certificates(&settings.cert_file)?;
    let key = PrivateKeyDer::from_pem_file(&settings.key_file).map_err(|why| {
        format!("{}: {why}; name a PEM file with a private key", settings.key_file.display())
    })?;
    let versions: Vec<&SupportedProtocolVersion> =
        [(settings.allow_1_3, &rustls::version::TLS13), (settings.allow_1_2, &rustls::version::TLS12)]
            .into_iter()
            .filter_map(|(allowed, version)| allowed.then_some(version))
            .collect();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&versions)
        .map_err(|why| format!("TLS: {why}; correct `min_version`"))?;
    let builder = match &settings.clients {
        None => builder.with_no_client_auth(),
        Some((how, path)) => {
            let unusable = |why: &dyn std::fmt::Display| {
                format!("{}: {why}; name a PEM file with the authorities of clients", path.display())
            };
            let mut roots = RootCertStore::empty();
            for certificate in certificates(path)? {
                roots.add(certificate).map_err(|why| unusable(&why))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            let verifier = match how {
                ClientCertificate::IfGiven => verifier.allow_unauthenticated(),
                ClientCertificate::Required => verifier,
            };
            builder.with_client_cert_verifier(verifier.build().map_err(|why| unusable(&why))?)
        }
    };
    let mut server = builder.with_single_cert(chain, key).map_err(|why| {
        let (cert, key) = (settings.cert_file.display(), settings.key_file.display());
        format!("{cert} and {key}: {why}; name the key that belongs to the certificate")
    })?;
    server.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(server))
}
