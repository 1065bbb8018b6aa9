//! The data centre's own certificate authority and the one certificate its BMCs share. Keys live in memory only.

use std::sync::Arc;

use super::StartError;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose};
use rustls::ServerConfig;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

/// An authority, and TLS as every simulated BMC speaks it.
pub struct Pki {
    /// The authority's certificate, PEM: what clients must trust.
    pub ca_pem: String,
    /// TLS 1.2 and 1.3 with a certificate for `127.0.0.1` and `localhost`.
    pub server: Arc<ServerConfig>,
}

impl Pki {
    /// Makes keys and certificates afresh.
    ///
    /// # Errors
    /// When the machine gives no randomness, or a library refuses what another one made.
    pub fn new() -> Result<Self, StartError> {
        let mut params = CertificateParams::new(Vec::<String>::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name.push(DnType::CommonName, "Simulated data centre CA");
        let ca = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;

        let key = KeyPair::generate()?;
        let mut leaf = CertificateParams::new(vec!["127.0.0.1".to_owned(), "localhost".to_owned()])?;
        leaf.distinguished_name.push(DnType::CommonName, "Simulated BMC");
        leaf.use_authority_key_identifier_extension = true;
        let leaf = leaf.signed_by(&key, &ca)?;

        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut server = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der().clone()], key)?;
        server.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { ca_pem: ca.pem(), server: Arc::new(server) })
    }
}
