//! A BMC of our own that misbehaves on command: HTTP/1.1 by hand over TLS, so that every byte can be wrong. It counts
//! its sessions. Its resources are `tests/redfish/server` or another tree, with watts that the test sets.

#[path = "serving.rs"]
mod serving;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::nginx::{Certificate, certificate};
use crate::trees::own_tree;

/// What goes wrong with one answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Fault {
    /// The answer is ready, but leaves only after `release`.
    Late,
    /// No answer.
    Silence,
    /// The answer, twice in one piece.
    Twice,
    /// The answer, and once more instead of the next request's answer, which follows it.
    TwiceLater,
    /// Half of the body that the head promises, then the end.
    Truncated,
    /// Bytes that are not HTTP.
    Garbage,
    /// HTTP, but a page for people.
    Page,
    /// A body that never ends.
    Oversized,
    /// A body that comes a byte at a time, for ever.
    Drip,
    /// The connection ends instead of an answer.
    HangUp,
    /// Another status, with these headers.
    Status(u16, String),
    /// A login that works but says no token.
    NoToken,
}

/// What comes of `$expand`.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Expand {
    /// An error status.
    #[default]
    Refused,
    /// The members.
    Works,
    /// The members, but the last one as a link only.
    AllButTheLast,
    /// The collection as it is.
    Ignored,
    /// Something else where the members should be.
    Garbage,
}

/// What tags the answers carry.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Tags {
    /// None.
    #[default]
    None,
    /// One that names the state of the resource.
    Honest,
    /// Another one each time.
    Fickle,
}

#[derive(Default)]
struct Inner {
    tree: PathBuf,
    watts: f64,
    faults: Vec<(String, Fault)>,
    sessions: BTreeMap<String, String>,
    opened: usize,
    deleted: usize,
    connections: usize,
    asked: Vec<String>,
    sent: usize,
    resources: BTreeMap<String, Value>,
    expand: Expand,
    tags: Tags,
    unchanged: usize,
    /// What the stream of events says, piece by piece; none ends the connection.
    events: Vec<Option<Vec<u8>>>,
    streamed: usize,
}

struct Shared {
    inner: Mutex<Inner>,
    released: Semaphore,
}

/// A running BMC; ends with this value.
pub struct Bmc {
    pub url: String,
    pub certificate: Certificate,
    shared: Arc<Shared>,
    tasks: JoinSet<()>,
}

impl Bmc {
    pub async fn start() -> Self {
        Self::serving(own_tree()).await
    }

    /// As [`Bmc::start`], with the resources of `tree`, a folder that holds `redfish/v1/.../index.json`.
    pub async fn serving(tree: PathBuf) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        let certificate = certificate();
        let chain = vec![CertificateDer::from_pem_slice(certificate.pem.as_bytes()).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(certificate.key_pem.as_bytes()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let inner = Mutex::new(Inner { tree, watts: 100.0, ..Inner::default() });
        let shared = Arc::new(Shared { inner, released: Semaphore::new(0) });
        let mut tasks = JoinSet::new();
        tasks.spawn(serving::accept(listener, acceptor, Arc::clone(&shared)));
        Self { url, certificate, shared, tasks }
    }

    /// The next request whose `METHOD path` contains `what` meets `fault`, once.
    pub fn fault(&self, what: &str, fault: Fault) {
        self.shared.inner.lock().unwrap().faults.push((what.to_owned(), fault));
    }

    /// From now on `path` reads as `document`, whatever the tree has there; `null` is not there, `false` an error.
    pub fn put(&self, path: &str, document: Value) {
        self.shared.inner.lock().unwrap().resources.insert(path.to_owned(), document);
    }

    pub fn set_expand(&self, expand: Expand) {
        self.shared.inner.lock().unwrap().expand = expand;
    }

    pub fn set_tags(&self, tags: Tags) {
        self.shared.inner.lock().unwrap().tags = tags;
    }

    /// Says something to whoever listens to the stream of events at `/redfish/v1/SSE`.
    pub fn say(&self, bytes: &[u8]) {
        self.shared.inner.lock().unwrap().events.push(Some(bytes.to_vec()));
    }

    /// Ends the connection of the stream.
    pub fn end_stream(&self) {
        self.shared.inner.lock().unwrap().events.push(None);
    }

    /// How often the answer was that nothing had changed.
    pub fn unchanged(&self) -> usize {
        self.shared.inner.lock().unwrap().unchanged
    }

    /// All that was asked since the last call, as `METHOD path`.
    pub fn take_asked(&self) -> Vec<String> {
        std::mem::take(&mut self.shared.inner.lock().unwrap().asked)
    }

    pub fn set_watts(&self, watts: f64) {
        self.shared.inner.lock().unwrap().watts = watts;
    }

    /// Lets one late answer go.
    pub fn release(&self) {
        self.shared.released.add_permits(1);
    }

    /// Forgets all sessions, as a BMC does on its idle timeout.
    pub fn expire_sessions(&self) {
        self.shared.inner.lock().unwrap().sessions.clear();
    }

    /// Sessions opened, deleted by the client, and open now.
    pub fn sessions(&self) -> (usize, usize, usize) {
        let inner = self.shared.inner.lock().unwrap();
        (inner.opened, inner.deleted, inner.sessions.len())
    }

    /// Waits until `enough` of the sessions, with a deadline.
    pub async fn until_sessions(&self, enough: impl Fn((usize, usize, usize)) -> bool) {
        let met = async {
            while !enough(self.sessions()) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let in_time = tokio::time::timeout(Duration::from_secs(10), met).await;
        assert!(in_time.is_ok(), "sessions are {:?}", self.sessions());
    }

    pub fn connections(&self) -> usize {
        self.shared.inner.lock().unwrap().connections
    }

    /// How often something was asked whose `METHOD path` contains `what`.
    pub fn asked(&self, what: &str) -> usize {
        self.shared.inner.lock().unwrap().asked.iter().filter(|asked| asked.contains(what)).count()
    }

    /// Bytes that endless bodies got rid of.
    pub fn sent(&self) -> usize {
        self.shared.inner.lock().unwrap().sent
    }

    /// No more BMC: its port refuses connections.
    pub async fn stop(&mut self) {
        self.tasks.shutdown().await;
    }
}
