//! The accept loop: a bounded number of connections, each with deadlines for what the client sends and reads.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::auth::Gate;
use super::deadline::WriteDeadline;

/// What one server spends on its clients.
///
/// Memory is bounded by it: a connection costs `head_bytes` and at most holds one page, and since a page must be read
/// within `write`, no more pages are alive than snapshots are made in that time, nor than connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections at a time; further ones wait in the socket's queue.
    pub connections: usize,
    /// Request line and headers together, bytes; at least 8192.
    pub head_bytes: usize,
    /// Headers of a request.
    pub headers: usize,
    /// From the end of one request to the complete head of the next.
    pub head: Duration,
    /// From the first byte of a response that has to wait to the last.
    pub write: Duration,
    /// For requests under way when the server stops.
    pub shutdown: Duration,
}

impl Default for Limits {
    /// A few Prometheus servers with the usual 15 s between scrapes and 10 s for each.
    fn default() -> Self {
        Self {
            connections: 64,
            head_bytes: 16 * 1024,
            headers: 64,
            head: Duration::from_secs(20),
            write: Duration::from_secs(10),
            shutdown: Duration::from_secs(5),
        }
    }
}

/// Less than this hyper refuses to work with.
const MIN_HEAD_BYTES: usize = 8192;

/// How long to wait when the system has no descriptor left: trying again at once would spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Serves `router` on `listener` until `shutdown` is cancelled and the requests under way are answered, or
/// `limits.shutdown` has passed.
pub async fn serve(listener: TcpListener, router: Router, limits: Limits, shutdown: CancellationToken) {
    serve_through(listener, router, limits, Arc::new(Gate::default()), shutdown).await;
}

/// The same; `gate` says of each connection how it is encrypted. A handshake has the time of a request's head.
pub async fn serve_through(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    gate: Arc<Gate>,
    shutdown: CancellationToken,
) {
    let slots = Arc::new(Semaphore::new(limits.connections));
    let connections = TaskTracker::new();
    while let Some(Ok((stream, slot))) = shutdown.run_until_cancelled(accept(&listener, &slots)).await {
        let (router, gate, shutdown) = (router.clone(), Arc::clone(&gate), shutdown.clone());
        connections.spawn(async move {
            connection(stream, router, limits, gate.tls(), shutdown).await;
            drop(slot);
        });
    }
    // Nobody shall wait in the queue of a server that has stopped.
    drop(listener);
    connections.close();
    connections.wait().await;
}

/// The next connection, once there is a slot for it. Errors of a single connection are passed over.
async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> Result<(TcpStream, OwnedSemaphorePermit), tokio::sync::AcquireError> {
    let slot = Arc::clone(slots).acquire_owned().await?;
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return Ok((stream, slot)),
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Answers one client until it leaves, breaks a limit, or the server stops.
async fn connection(
    stream: TcpStream,
    router: Router,
    limits: Limits,
    tls: Option<Arc<ServerConfig>>,
    shutdown: CancellationToken,
) {
    // Pages are written whole; waiting for more would only delay their last segment.
    let _ = stream.set_nodelay(true);
    let Some(tls) = tls else { return talk(stream, router, limits, shutdown).await };
    let handshake = timeout(limits.head, TlsAcceptor::from(tls).accept(stream));
    match shutdown.run_until_cancelled(handshake).await {
        Some(Ok(Ok(stream))) => talk(stream, router, limits, shutdown).await,
        Some(Ok(Err(error))) => tracing::debug!(%error, "a TLS handshake failed"),
        Some(Err(_)) => tracing::debug!("a TLS handshake took too long"),
        None => {}
    }
}

/// The same over a stream that is as it shall be.
async fn talk<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    router: Router,
    limits: Limits,
    shutdown: CancellationToken,
) {
    let io = TokioIo::new(WriteDeadline::new(stream, limits.write));
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_buf_size(limits.head_bytes.max(MIN_HEAD_BYTES))
        .max_headers(limits.headers);
    let mut connection = std::pin::pin!(builder.serve_connection(io, TowerToHyperService::new(router)));
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            timeout(limits.shutdown, connection).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = result {
        tracing::debug!(%error, "a connection ended early");
    }
}
