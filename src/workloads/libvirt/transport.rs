//! The byte stream under the protocol: unix socket, TCP, or TLS. Knows no message.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

use super::Address;
use super::error::CallError;
use crate::model::{ErrorKind, PollError};

/// What libvirt sends over TLS once it has accepted our certificate, before the protocol begins.
const ACCEPTED: u8 = 1;

/// A connected stream.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// How to connect, checked: certificates are read, names parsed.
#[derive(Clone)]
pub enum Transport {
    /// A unix socket.
    Unix(PathBuf),
    /// Plain TCP.
    Tcp(String),
    /// TLS.
    Tls {
        /// `host:port`.
        endpoint: String,
        /// The host, as its certificate must name it.
        name: ServerName<'static>,
        /// Authorities and our identity.
        config: Arc<ClientConfig>,
    },
}

impl Transport {
    /// Checks `address` and reads the certificates it names.
    ///
    /// # Errors
    /// `Tls` when a file cannot be read or used.
    pub fn new(address: &Address) -> Result<Self, PollError> {
        match address {
            Address::Unix(path) => Ok(Self::Unix(path.clone())),
            Address::Tcp(endpoint) => Ok(Self::Tcp(endpoint.clone())),
            Address::Tls { endpoint, ca_file, identity } => Ok(Self::Tls {
                endpoint: endpoint.clone(),
                name: server_name(endpoint)?,
                config: Arc::new(config(ca_file, identity.as_ref())?),
            }),
        }
    }

    /// Opens the stream, and says at which address the other end is; a socket on this machine has none. The caller sets the
    /// deadline.
    ///
    /// # Errors
    /// `Unreachable` without a connection, `Tls` when handshake or certificate fail.
    pub async fn connect(&self) -> Result<(Box<dyn Stream>, Option<IpAddr>), CallError> {
        match self {
            Self::Unix(path) => {
                let stream = UnixStream::connect(path).await;
                let stream =
                    stream.map_err(|e| CallError::Unreachable(format!("{}: {e}", path.display())))?;
                Ok((Box::new(stream), None))
            }
            Self::Tcp(endpoint) => {
                let (stream, peer) = tcp(endpoint).await?;
                Ok((Box::new(stream), peer))
            }
            Self::Tls { endpoint, name, config } => {
                let connector = TlsConnector::from(Arc::clone(config));
                let (stream, peer) = tcp(endpoint).await?;
                let tls = connector.connect(name.clone(), stream).await;
                let mut stream = tls.map_err(|e| CallError::Tls(format!("{endpoint}: {e}")))?;
                // A refused certificate shows here, not in the handshake: with TLS 1.3 the server judges after it.
                match stream.read_u8().await {
                    Ok(ACCEPTED) => Ok((Box::new(stream), peer)),
                    Ok(_) => Err(CallError::Tls(format!("{endpoint}: it did not accept our certificate"))),
                    Err(e) => {
                        Err(CallError::Tls(format!("{endpoint}: it did not accept our certificate ({e})")))
                    }
                }
            }
        }
    }
}

async fn tcp(endpoint: &str) -> Result<(TcpStream, Option<IpAddr>), CallError> {
    let unreachable = |e| CallError::Unreachable(format!("{endpoint}: {e}"));
    let stream = TcpStream::connect(endpoint).await.map_err(unreachable)?;
    stream.set_nodelay(true).map_err(unreachable)?;
    let peer = stream.peer_addr().ok().map(|peer| peer.ip().to_canonical());
    Ok((stream, peer))
}

fn tls_error(cause: String, fix: &str) -> PollError {
    PollError::new(ErrorKind::Tls, cause, fix)
}

/// The host of `host:port`, without the brackets of an IPv6 address.
fn server_name(endpoint: &str) -> Result<ServerName<'static>, PollError> {
    let host = endpoint.rsplit_once(':').map_or(endpoint, |(host, _)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']');
    ServerName::try_from(host.to_owned()).map_err(|_| {
        tls_error(
            format!("`{host}` cannot stand in a certificate"),
            "give the server's DNS name or IP address",
        )
    })
}

fn config(ca_file: &Path, identity: Option<&(PathBuf, PathBuf)>) -> Result<ClientConfig, PollError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(ca_file)? {
        roots.add(certificate).map_err(|e| {
            tls_error(format!("{}: {e}", ca_file.display()), "give the authority's certificate, PEM")
        })?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| tls_error(e.to_string(), "report this as a bug"))?
        .with_root_certificates(roots);
    let Some((certificate_file, key_file)) = identity else {
        return Ok(builder.with_no_client_auth());
    };
    let key = PrivateKeyDer::from_pem_file(key_file).map_err(|e| {
        tls_error(format!("{}: {e}", key_file.display()), "give a private key, PEM, readable by this user")
    })?;
    builder.with_client_auth_cert(certificates(certificate_file)?, key).map_err(|e| {
        tls_error(format!("{}: {e}", certificate_file.display()), "give a certificate that fits the key")
    })
}

/// The certificates of a PEM file; at least one.
fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, PollError> {
    let fix = "give a certificate file, PEM, readable by this user";
    let fail = |e: String| tls_error(format!("{}: {e}", file.display()), fix);
    let all: Vec<_> = CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect)
        .map_err(|e: rustls::pki_types::pem::Error| fail(e.to_string()))?;
    if all.is_empty() { Err(fail("no certificate in it".into())) } else { Ok(all) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_of_an_endpoint_is_what_the_certificate_must_name() {
        for (endpoint, name) in [
            ("node-1.example:16514", "node-1.example"),
            ("[::1]:16514", "::1"),
            ("10.0.0.1:16514", "10.0.0.1"),
        ] {
            assert_eq!(server_name(endpoint).unwrap().to_str(), name);
        }
        assert_eq!(server_name("no name:1").unwrap_err().kind, ErrorKind::Tls);
    }

    #[test]
    fn an_unreadable_or_empty_certificate_file_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let empty = dir.path().join("ca.pem");
        std::fs::write(&empty, "nothing").unwrap();
        for file in [empty, dir.path().join("absent.pem")] {
            let address =
                Address::Tls { endpoint: "localhost:1".into(), ca_file: file.clone(), identity: None };
            let error = Transport::new(&address).err().unwrap();
            assert_eq!(error.kind, ErrorKind::Tls);
            assert!(error.cause.contains(&file.display().to_string()), "{error}");
        }
    }
}
