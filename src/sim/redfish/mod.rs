//! Simulated BMCs: Redfish over HTTPS with sessions, and one that accepts connections and stays silent.
//!
//! What the resources say is in `tree.rs`. Sessions are scarce, as on real BMCs: a client that leaks them is refused.

mod tree;

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::Response;
use axum_server::tls_rustls::RustlsConfig;
use rustls::ServerConfig;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::endpoint::{Counters, Live};
use super::world::Side;
pub use tree::Style;
use tree::{Sensors, resource};

/// The most sessions a BMC holds.
pub const MAX_SESSIONS: usize = 8;

/// The user whom every BMC knows.
#[derive(Debug, Clone)]
pub struct Account {
    /// User name.
    pub user: String,
    /// Password.
    pub password: String,
}

/// A BMC that runs.
pub struct Running {
    /// Where it listens.
    pub address: SocketAddr,
    /// Sessions and requests.
    pub counters: Arc<Counters>,
}

/// Starts the BMC of `host` (an index into the world's hosts). It ends when `stop` is cancelled.
///
/// # Errors
/// When no loopback port can be had.
pub fn start(
    live: Live,
    host: usize,
    style: Style,
    account: Account,
    tls: Arc<ServerConfig>,
    stop: CancellationToken,
    tasks: &TaskTracker,
) -> std::io::Result<Running> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let counters = Arc::new(Counters::default());
    let bmc =
        Arc::new(Bmc { live, host, style, account, sessions: Mutex::default(), counters: counters.clone() });
    let handle = axum_server::Handle::new();
    let server = axum_server::from_tcp_rustls(listener, RustlsConfig::from_config(tls))?
        .http1_only()
        .handle(handle.clone())
        .serve(Router::new().fallback(answer).with_state(bmc).into_make_service());
    tasks.spawn(async move {
        tokio::select! {
            served = server => if let Err(error) = served { tracing::warn!(%error, "simulated BMC ended") },
            () = stop.cancelled() => handle.shutdown(),
        }
    });
    Ok(Running { address, counters })
}

/// Starts a BMC that accepts connections, reads, and never says a word: the worst kind to poll.
///
/// # Errors
/// When no loopback port can be had.
pub async fn start_silent(stop: CancellationToken, tasks: &TaskTracker) -> std::io::Result<Running> {
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    let counters = Arc::new(Counters::default());
    let (seen, connections) = (counters.clone(), tasks.clone());
    tasks.spawn(stop.clone().run_until_cancelled_owned(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            seen.request();
            connections.spawn(stop.clone().run_until_cancelled_owned(async move {
                let mut ignored = [0u8; 1024];
                while stream.read(&mut ignored).await.is_ok_and(|n| n > 0) {}
            }));
        }
    }));
    Ok(Running { address, counters })
}

struct Bmc {
    live: Live,
    host: usize,
    style: Style,
    account: Account,
    /// Token to session id.
    sessions: Mutex<HashMap<String, String>>,
    counters: Arc<Counters>,
}

const SESSIONS: &str = "/redfish/v1/SessionService/Sessions";

async fn answer(
    State(bmc): State<Arc<Bmc>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    bmc.counters.request();
    let path = uri.path().trim_end_matches('/');
    if method == Method::POST && (path == SESSIONS || path == format!("{SESSIONS}/Members")) {
        return bmc.log_in(&body);
    }
    if method == Method::GET && path == "/redfish" {
        return reply(StatusCode::OK, &json!({ "v1": "/redfish/v1/" }));
    }
    if path != "/redfish/v1" && !bmc.admits(&headers) {
        return refusal(StatusCode::UNAUTHORIZED, "Base.1.8.NoValidSession", "There is no valid session.");
    }
    match method {
        Method::GET => bmc.get(path),
        Method::DELETE => bmc.log_out(path),
        _ => refusal(StatusCode::METHOD_NOT_ALLOWED, "Base.1.8.OperationNotAllowed", "Not allowed."),
    }
}

impl Bmc {
    fn sessions(&self) -> std::sync::MutexGuard<'_, HashMap<String, String>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A session's token, or HTTP Basic with the account's name and password.
    fn admits(&self, headers: &HeaderMap) -> bool {
        let text = |name| headers.get(name).and_then(|v| v.to_str().ok());
        if let Some(token) = text("x-auth-token") {
            return self.sessions().contains_key(token);
        }
        let wanted = base64(format!("{}:{}", self.account.user, self.account.password).as_bytes());
        text(header::AUTHORIZATION.as_str())
            .and_then(|v| v.strip_prefix("Basic "))
            .is_some_and(|b| b == wanted)
    }

    fn log_in(&self, body: &[u8]) -> Response {
        let given: Value = serde_json::from_slice(body).unwrap_or_default();
        let field = |name: &str| given.get(name).and_then(Value::as_str);
        let known = field("UserName") == Some(&self.account.user)
            && field("Password") == Some(&self.account.password);
        if !known {
            return refusal(
                StatusCode::UNAUTHORIZED,
                "Base.1.8.InsufficientPrivilege",
                "Wrong user or password.",
            );
        }
        let mut sessions = self.sessions();
        if sessions.len() >= MAX_SESSIONS {
            let why = "The maximum number of user sessions is reached.";
            return refusal(StatusCode::SERVICE_UNAVAILABLE, "Base.1.8.SessionLimitExceeded", why);
        }
        let token = random_hex();
        let id = random_hex();
        let at = format!("{SESSIONS}/{id}");
        let body = json!({
            "@odata.type": "#Session.v1_3_0.Session",
            "@odata.id": at,
            "Id": id,
            "Name": "User Session",
            "UserName": self.account.user
        });
        let mut response = reply(StatusCode::CREATED, &body);
        for (name, value) in [("x-auth-token", &token), ("location", &at)] {
            if let Ok(value) = value.parse() {
                response.headers_mut().insert(name, value);
            }
        }
        sessions.insert(token, id);
        self.counters.open();
        response
    }

    fn log_out(&self, path: &str) -> Response {
        let mut sessions = self.sessions();
        let before = sessions.len();
        sessions.retain(|_, id| path.strip_prefix(SESSIONS).and_then(|p| p.strip_prefix('/')) != Some(id));
        if sessions.len() == before {
            return missing();
        }
        self.counters.close();
        reply(StatusCode::NO_CONTENT, &Value::Null)
    }

    fn get(&self, path: &str) -> Response {
        if path == SESSIONS {
            let held: Vec<String> = self.sessions().values().map(|id| format!("{SESSIONS}/{id}")).collect();
            let held: Vec<&str> = held.iter().map(String::as_str).collect();
            return reply(StatusCode::OK, &tree::collection("Session", SESSIONS, &held));
        }
        let t = self.live.seconds();
        let world = &self.live.world;
        let Some(host) = world.hosts().get(self.host) else { return missing() };
        let watts = world.host_watts(self.host, t);
        let sensors = Sensors {
            supplies_watts: Side::ALL.map(|side| host.share(side) * watts),
            lifetime_joules: LIFETIME_JOULES * f64::from(host.outlet) + world.host_joules(self.host, t),
            cpu_watts: host.watts_per_cpu * world.host_cpus(self.host, t),
        };
        resource(host, self.style, &sensors, path).map_or_else(missing, |body| reply(StatusCode::OK, &body))
    }
}

/// What each server's meter had counted before the simulation, J for each outlet number: counters seldom begin at 0.
const LIFETIME_JOULES: f64 = 1.7e9;

fn missing() -> Response {
    refusal(StatusCode::NOT_FOUND, "Base.1.8.ResourceMissingAtURI", "There is no such resource.")
}

fn refusal(status: StatusCode, id: &str, message: &str) -> Response {
    let info = json!([{ "MessageId": id, "Message": message, "Severity": "Critical" }]);
    reply(status, &json!({ "error": { "code": id, "message": message, "@Message.ExtendedInfo": info } }))
}

fn reply(status: StatusCode, body: &Value) -> Response {
    let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    headers.insert("odata-version", header::HeaderValue::from_static("4.0"));
    response
}

/// 128 bits that nobody guesses: the hash keys that the standard library draws from the system.
fn random_hex() -> String {
    let draw = || RandomState::new().build_hasher().finish();
    format!("{:016x}{:016x}", draw(), draw())
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().chain(&[0, 0]).take(3).fold(0u32, |w, &b| (w << 8) | u32::from(b));
        for i in 0..4usize {
            let six = usize::try_from((word >> (18 - 6 * i)) & 63).unwrap_or(0);
            text.push(if i <= chunk.len() {
                ALPHABET.get(six).copied().map_or('=', char::from)
            } else {
                '='
            });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_as_rfc_4648_shows() {
        let cases = [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")];
        for (plain, coded) in cases {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
    }
}
