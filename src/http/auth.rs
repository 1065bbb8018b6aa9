//! Who may come in: the users of the web configuration, checked before any page, as exporter-toolkit does; and what that file
//! says of encryption and headers, which may change while the server runs.
//!
//! bcrypt is slow on purpose. A user whose password was right once is known again by a keyed digest of it, so that a scrape
//! does not pay; a wrong password, and a user that there is not, always do, a few at a time.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use rustls::ServerConfig;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;
use tokio::sync::Semaphore;

use super::routes::PLAIN;

/// Passwords that are checked by bcrypt at once; further ones wait. Who guesses gets no more of this machine.
const CHECKS: usize = 2;

/// The user who asks, once let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller(pub String);

/// What the web configuration asks of the server.
#[derive(Debug, Default)]
pub struct Web {
    /// Users with the bcrypt hashes of their passwords; none to let everyone in.
    pub users: BTreeMap<String, SecretString>,
    /// Keys and rules of TLS; none for plain HTTP.
    pub tls: Option<Arc<ServerConfig>>,
    /// Headers of every response.
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

/// The web configuration at work, and what is known of those who came in by it.
#[derive(Debug)]
struct Rules {
    users: BTreeMap<String, User>,
    /// What the password of somebody unknown is held against, so that it takes as long.
    decoy: SecretString,
    tls: Option<Arc<ServerConfig>>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

#[derive(Debug)]
struct User {
    hash: SecretString,
    /// The digest of the password that was right.
    known: Mutex<Option<[u8; 32]>>,
}

/// The door. One for all listeners.
pub struct Gate {
    rules: RwLock<Arc<Rules>>,
    key: [u8; 64],
    checks: Arc<Semaphore>,
}

impl std::fmt::Debug for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gate").finish_non_exhaustive()
    }
}

impl Default for Gate {
    /// Everyone may come in, over plain HTTP.
    fn default() -> Self {
        Self::new(Web::default())
    }
}

impl Gate {
    /// A door by these rules.
    #[must_use]
    pub fn new(web: Web) -> Self {
        let mut key = [0; 64];
        // Without random numbers digests are still compared whole and never leave the process.
        let _ = getrandom::fill(&mut key);
        Self { rules: RwLock::new(Arc::new(Rules::new(web))), key, checks: Arc::new(Semaphore::new(CHECKS)) }
    }

    /// Other rules from now on; connections that are open keep their encryption.
    pub fn change(&self, web: Web) {
        *self.rules.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(Rules::new(web));
    }

    /// Whether only users may come in.
    #[must_use]
    pub fn has_users(&self) -> bool {
        !self.rules().users.is_empty()
    }

    /// How a new connection is encrypted; none if it is not.
    pub(super) fn tls(&self) -> Option<Arc<ServerConfig>> {
        self.rules().tls.clone()
    }

    fn rules(&self) -> Arc<Rules> {
        Arc::clone(&self.rules.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The caller, if these credentials are good.
    async fn admit(&self, rules: &Arc<Rules>, headers: &HeaderMap) -> Option<Caller> {
        let (name, password) = credentials(headers)?;
        let digest = self.digest(&name, &password);
        let user = rules.users.get(&name);
        if user.is_some_and(|user| user.knows(&digest)) {
            return Some(Caller(name));
        }
        let turn = Arc::clone(&self.checks).acquire_owned().await.ok()?;
        let hash = user.map_or(&rules.decoy, |user| &user.hash).clone();
        let right = tokio::task::spawn_blocking(move || {
            // Given back when the work is done, not when the client leaves.
            let _turn = turn;
            bcrypt::verify(password, hash.expose_secret()).unwrap_or(false)
        });
        let right = right.await.unwrap_or(false);
        user.filter(|_| right)?.remember(digest);
        Some(Caller(name))
    }

    fn digest(&self, name: &str, password: &[u8]) -> [u8; 32] {
        let mut mac = Hmac::<Sha256>::new(&self.key.into());
        mac.update(&name.len().to_be_bytes());
        mac.update(name.as_bytes());
        mac.update(password);
        mac.finalize().into_bytes().into()
    }
}

impl Rules {
    fn new(web: Web) -> Self {
        // As dear as the dearest of the users.
        let cost = |hash: &SecretString| {
            hash.expose_secret().split('$').nth(2).and_then(|cost| cost.parse::<u32>().ok())
        };
        let cost = web.users.values().filter_map(cost).max().unwrap_or(10);
        let decoy = format!("$2b${cost:02}$abcdefghijklmnopqrstuuKXTxBGQjlxnKnKeVnKUXXkpCx2rPYHW");
        let user = |hash| User { hash, known: Mutex::default() };
        Self {
            users: web.users.into_iter().map(|(name, hash)| (name, user(hash))).collect(),
            decoy: decoy.into(),
            tls: web.tls,
            headers: web.headers,
        }
    }
}

impl User {
    fn knows(&self, digest: &[u8; 32]) -> bool {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.as_ref().is_some_and(|known| known.ct_eq(digest).into())
    }

    fn remember(&self, digest: [u8; 32]) {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some(digest);
    }
}

/// Name and password of the `Authorization` header, if there is one of the basic kind.
fn credentials(headers: &HeaderMap) -> Option<(String, Vec<u8>)> {
    let mut values = headers.get_all(AUTHORIZATION).into_iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let (scheme, text) = value.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let mut pair = STANDARD.decode(text.trim()).ok()?;
    let colon = pair.iter().position(|byte| *byte == b':')?;
    let password = pair.split_off(colon).split_off(1);
    Some((String::from_utf8(pair).ok()?, password))
}

/// Lets a request through if its caller may come in.
pub(super) async fn guard(State(gate): State<Arc<Gate>>, mut request: Request, next: Next) -> Response {
    let rules = gate.rules();
    let mut response = if rules.users.is_empty() {
        next.run(request).await
    } else {
        match gate.admit(&rules, request.headers()).await {
            Some(caller) => {
                request.extensions_mut().insert(caller);
                next.run(request).await
            }
            None => stranger(),
        }
    };
    for (name, value) in &rules.headers {
        response.headers_mut().insert(name.clone(), value.clone());
    }
    response
}

fn stranger() -> Response {
    let head = [(CONTENT_TYPE, PLAIN), (X_CONTENT_TYPE_OPTIONS, "nosniff"), (WWW_AUTHENTICATE, "Basic")];
    (StatusCode::UNAUTHORIZED, head, "Unauthorized\n").into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `letmein` and `changeme` by bcrypt at its least cost.
    fn web() -> Web {
        let hash = |password: &str| bcrypt::hash(password, 4).unwrap().into();
        let users = [("prometheus", "letmein"), ("admin", "changeme")];
        Web { users: users.map(|(name, word)| (name.to_owned(), hash(word))).into(), ..Web::default() }
    }

    async fn come(gate: &Gate, header: &str) -> Option<String> {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, HeaderValue::from_str(header).unwrap());
        gate.admit(&gate.rules(), &headers).await.map(|Caller(name)| name)
    }

    fn basic(text: &str) -> String {
        format!("Basic {}", STANDARD.encode(text))
    }

    #[tokio::test]
    async fn only_a_user_with_the_right_password_comes_in() {
        let gate = Gate::new(web());
        for (text, who) in [
            ("prometheus:letmein", Some("prometheus")),
            ("admin:changeme", Some("admin")),
            ("prometheus:changeme", None),
            ("prometheus:", None),
            (":letmein", None),
            ("nobody:letmein", None),
            ("prometheus", None),
            ("prometheus:letmein\0", None),
        ] {
            // A second time by the digest.
            for _ in 0..2 {
                assert_eq!(come(&gate, &basic(text)).await.as_deref(), who, "{text}");
            }
        }
        for header in ["Bearer x", "Basic", "Basic !!!", "basic cHJvbWV0aGV1czo=", ""] {
            assert_eq!(come(&gate, header).await, None, "{header}");
        }
        assert_eq!(
            come(&gate, &basic("prometheus:letmein").replace("Basic", "bAsIc")).await.as_deref(),
            Some("prometheus")
        );
    }

    #[tokio::test]
    async fn who_was_known_is_not_known_to_other_rules() {
        let gate = Gate::new(web());
        assert!(come(&gate, &basic("admin:changeme")).await.is_some());
        let users = [("admin".to_owned(), bcrypt::hash("other", 4).unwrap().into())].into();
        gate.change(Web { users, ..Web::default() });
        assert_eq!(come(&gate, &basic("admin:changeme")).await, None);
        assert!(come(&gate, &basic("admin:other")).await.is_some());
    }

    #[test]
    fn the_decoy_is_a_hash_that_costs_as_much_as_the_dearest() {
        let rules = Rules::new(web());
        assert!(rules.decoy.expose_secret().starts_with("$2b$04$"));
        assert!(!bcrypt::verify("x", rules.decoy.expose_secret()).unwrap());
    }
}
