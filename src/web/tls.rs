//! How a server's certificate is trusted: public authorities, one CA file, or one certificate's fingerprint.
//!
//! Every refusal carries the fingerprint of the certificate that was shown: it is public, and it is what an operator
//! compares before pinning it. No connection is made here.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, OtherError, RootCertStore, SignatureScheme,
};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use sha2::{Digest, Sha256};

use super::Trust;
use crate::model::{ErrorKind, PollError};

/// The client side of TLS for `trust`, on ring whatever the process's default provider is.
///
/// # Errors
/// `Tls` when the CA file cannot be read or holds no usable certificate.
pub(crate) fn client_config(trust: &Trust) -> Result<ClientConfig, PollError> {
    let provider = Arc::new(ring::default_provider());
    let check = match trust {
        Trust::WebPki => {
            let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
            Check::Authorities(verifier(roots, &provider)?)
        }
        Trust::CaFile(path) => Check::Authorities(verifier(read_authorities(path)?, &provider)?),
        Trust::Fingerprint(digest) => Check::Pinned(*digest),
    };
    let verifier = Arc::new(Verifier { check, provider: Arc::clone(&provider) });
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| unusable(format!("TLS cannot be set up: {e}")))?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    Ok(config)
}

fn unusable(cause: String) -> PollError {
    PollError::new(ErrorKind::Tls, cause, "give a PEM file with the certificate of the authority in ca_file")
}

fn read_authorities(path: &Path) -> Result<RootCertStore, PollError> {
    let bad = |why: String| unusable(format!("CA file {}: {why}", path.display()));
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|e| bad(e.to_string()))? {
        let certificate = certificate.map_err(|e| bad(e.to_string()))?;
        roots.add(certificate).map_err(|e| bad(e.to_string()))?;
    }
    if roots.is_empty() {
        return Err(bad("holds no certificate".to_owned()));
    }
    Ok(roots)
}

fn verifier(
    roots: RootCertStore,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<WebPkiServerVerifier>, PollError> {
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
        .build()
        .map_err(|e| unusable(format!("the authorities cannot be used: {e}")))
}

/// Why a certificate was not accepted, and which one it was.
#[derive(Debug)]
pub(crate) struct Refused {
    /// SHA-256 of the certificate shown, lower-case hex.
    pub(crate) fingerprint: String,
    /// What is wrong with it.
    pub(crate) reason: String,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (fingerprint sha256:{})", self.reason, self.fingerprint)
    }
}

impl std::error::Error for Refused {}

#[derive(Debug)]
enum Check {
    Authorities(Arc<WebPkiServerVerifier>),
    Pinned([u8; 32]),
}

#[derive(Debug)]
struct Verifier {
    check: Check,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let shown: [u8; 32] = Sha256::digest(end_entity.as_ref()).into();
        let reason = match &self.check {
            // A pinned certificate is trusted as such: its names and dates say nothing more about it.
            Check::Pinned(wanted) if *wanted == shown => return Ok(ServerCertVerified::assertion()),
            Check::Pinned(_) => "the certificate is not the pinned one".to_owned(),
            Check::Authorities(webpki) => {
                let checked =
                    webpki.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
                match checked {
                    Ok(verified) => return Ok(verified),
                    Err(rustls::Error::InvalidCertificate(why)) => {
                        format!("the certificate is refused: {why}")
                    }
                    Err(other) => format!("the certificate is refused: {other}"),
                }
            }
        };
        let refused = Refused { fingerprint: hex::encode(shown), reason };
        Err(rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(refused)))))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_ca_file_that_cannot_be_used_says_so_with_its_path() {
        let mut empty = tempfile::NamedTempFile::new().unwrap();
        writeln!(empty, "not a certificate").unwrap();
        for path in [empty.path(), Path::new("/nonexistent/ca.pem")] {
            let error = client_config(&Trust::CaFile(path.to_owned())).unwrap_err();
            assert_eq!(error.kind, ErrorKind::Tls);
            assert!(error.cause.contains(&path.display().to_string()), "{error}");
            assert!(error.fix.contains("ca_file"), "{error}");
        }
    }
}
