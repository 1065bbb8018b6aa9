//! The one session held on a BMC: opened when first needed, reused, given back.
//!
//! A BMC has room for a handful of sessions, so none may be forgotten. Logging in and giving back are therefore tasks
//! of their own: a poll that is dropped, or whose time is up, leaves the login running, and the next poll (or the
//! close) takes its result.

use std::mem;

use reqwest::header::{HeaderValue, LOCATION};
use reqwest::{Method, Response, StatusCode};
use secrecy::ExposeSecret;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use super::origin::ResourcePath;
use super::resources::{self, Link};
use super::wire::{Credentials, Proof, Wire};
use crate::model::{ErrorKind, OpenSession, OpenSessions, PollError};

/// Where sessions are made if the service root does not say.
const SESSIONS: &str = "/redfish/v1/SessionService/Sessions";
/// Where the first Redfish services make them.
const OLD_SESSIONS: &str = "/redfish/v1/Sessions";
/// How many request times an answer to a login is waited for before its session must be given up as unknown.
const LOGIN_PATIENCE: u32 = 3;

/// A live session. Its token is a secret: there is no `Debug`.
struct Session {
    token: HeaderValue,
    /// What to DELETE; none if the BMC did not say, so that only its own timeout ends the session.
    uri: Option<ResourcePath>,
    /// Held until it was given back.
    _counted: OpenSession,
}

enum State {
    Out,
    Opening(JoinHandle<Result<Session, PollError>>),
    In(Session),
}

/// Holds at most one session.
pub(super) struct Sessions {
    state: State,
    credentials: Credentials,
    collection: ResourcePath,
    open: OpenSessions,
}

impl Sessions {
    /// No session yet.
    pub(super) fn new(credentials: Credentials) -> Self {
        Self {
            state: State::Out,
            credentials,
            collection: ResourcePath::well_known(SESSIONS),
            open: OpenSessions::default(),
        }
    }

    /// Counts open sessions in `open`.
    pub(super) fn count_in(&mut self, open: OpenSessions) {
        self.open = open;
    }

    /// Where the service root says that sessions are made.
    pub(super) fn learn(&mut self, collection: ResourcePath) {
        self.collection = collection;
    }

    /// Who logs in.
    pub(super) const fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// The proof of the open session, if there is one.
    pub(super) fn token(&self) -> Option<Proof> {
        match &self.state {
            State::In(session) => Some(Proof::Token(session.token.clone())),
            State::Out | State::Opening(_) => None,
        }
    }

    /// Whether a session is open by now.
    pub(super) const fn is_open(&self) -> bool {
        matches!(self.state, State::In(_))
    }

    /// The proof for a request, after a login where there is no session; true if the login was part of this call.
    ///
    /// # Errors
    /// `Auth` for refused credentials, `Busy` for a full session table, or as any exchange.
    pub(super) async fn proof(&mut self, wire: &Wire) -> Result<(Proof, bool), PollError> {
        let mut fresh = false;
        loop {
            match &mut self.state {
                State::In(session) => return Ok((Proof::Token(session.token.clone()), fresh)),
                State::Out => {
                    let who = (self.credentials.clone(), self.open.clone());
                    let login = login(wire.clone(), self.collection.clone(), who);
                    self.state = State::Opening(tokio::spawn(login));
                }
                State::Opening(task) => {
                    fresh = true;
                    let Ok(done) = tokio::time::timeout(wire.limit(), &mut *task).await else {
                        return Err(wire.too_late(&self.collection));
                    };
                    match done.unwrap_or_else(|e| Err(died(&e))) {
                        Ok(session) => self.state = State::In(session),
                        Err(error) => {
                            self.state = State::Out;
                            return Err(error);
                        }
                    }
                }
            }
        }
    }

    /// Gives the session back, also one that is just being opened; goes on by itself if this is dropped.
    pub(super) async fn close(&mut self, wire: &Wire) {
        let state = mem::replace(&mut self.state, State::Out);
        if !matches!(state, State::Out) {
            // A task that panicked has given back what it could.
            let _ended = tokio::spawn(give_back(state, wire.clone())).await;
        }
    }

    /// As [`Sessions::close`] for a driver that ends without it (a panic, an aborted task), if that can still be done.
    pub(super) fn abandon(&mut self, wire: &Wire) {
        let state = mem::replace(&mut self.state, State::Out);
        if !matches!(state, State::Out)
            && let Ok(runtime) = Handle::try_current()
        {
            runtime.spawn(give_back(state, wire.clone()));
        }
    }
}

async fn give_back(state: State, wire: Wire) {
    let session = match state {
        State::Out => return,
        State::In(session) => session,
        State::Opening(task) => match task.await {
            Ok(Ok(session)) => session,
            Ok(Err(_)) | Err(_) => return,
        },
    };
    if let Some(uri) = session.uri {
        delete(&wire, &uri, Proof::Token(session.token)).await;
    }
}

fn died(error: &tokio::task::JoinError) -> PollError {
    PollError::new(ErrorKind::Protocol, format!("the login ended: {error}"), "report this")
}

/// Opens a session within a few request times.
async fn login(
    wire: Wire,
    collection: ResourcePath,
    (credentials, count): (Credentials, OpenSessions),
) -> Result<Session, PollError> {
    let patience = wire.limit().saturating_mul(LOGIN_PATIENCE);
    let late = wire.too_late(&collection);
    let opened = tokio::time::timeout(patience, open(&wire, collection, &credentials, &count)).await;
    opened.unwrap_or(Err(late))
}

async fn open(
    wire: &Wire,
    collection: ResourcePath,
    credentials: &Credentials,
    count: &OpenSessions,
) -> Result<Session, PollError> {
    let body = serde_json::json!({
        "UserName": credentials.user,
        "Password": credentials.password.expose_secret(),
    })
    .to_string();
    let mut path = collection;
    let mut response = wire.send(Method::POST, &path, Proof::None, Some(body.clone())).await?;
    if matches!(response.status(), StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED) {
        path = ResourcePath::well_known(OLD_SESSIONS);
        response = wire.send(Method::POST, &path, Proof::None, Some(body)).await?;
    }
    match response.status() {
        status if status.is_success() => accept(wire, &path, response, credentials, count).await,
        status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
            Err(credentials.refused(status, &path))
        }
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => Err(PollError::new(
            ErrorKind::Busy,
            "the BMC opens no session: it is restarting, or all its sessions are taken",
            "wait, close unused sessions on the BMC, or set login: basic",
        )),
        status => Err(PollError::new(
            ErrorKind::Protocol,
            format!("the login at {} was answered with {}", path.as_str(), status.as_u16()),
            "check that the address is a BMC's Redfish service, or set login: basic",
        )),
    }
}

/// Takes the session out of a successful answer. It exists from here on, so it is either returned or deleted.
async fn accept(
    wire: &Wire,
    path: &ResourcePath,
    response: Response,
    credentials: &Credentials,
    count: &OpenSessions,
) -> Result<Session, PollError> {
    let counted = count.hold();
    let header = |name: &str| response.headers().get(name).cloned();
    let token = header("X-Auth-Token").filter(|token| !token.is_empty());
    let location = header(LOCATION.as_str());
    let mut uri =
        location.as_ref().and_then(|l| l.to_str().ok()).and_then(|l| wire.origin().resolve_path_only(l));
    // The body is read to leave the connection clean, and for its link where the header is missing. A session whose
    // body never comes is a session still.
    let body = tokio::time::timeout(wire.limit(), wire.body(response, path)).await;
    if uri.is_none()
        && let Ok(Ok(body)) = body
        && let Some(link) = resources::parse::<Link>(&body)
    {
        uri = link.id.and_then(|id| wire.origin().resolve(&id));
    }
    if let Some(mut token) = token {
        token.set_sensitive(true);
        return Ok(Session { token, uri, _counted: counted });
    }
    if let Some(uri) = uri {
        delete(wire, &uri, Proof::Basic(credentials.clone())).await;
    }
    Err(PollError::new(
        ErrorKind::Protocol,
        format!("the login at {} was accepted without a token", path.as_str()),
        "set login: basic, or update the BMC's firmware",
    ))
}

/// Deletes a session; whether it worked shows only in the log, since nothing more can be done.
async fn delete(wire: &Wire, uri: &ResourcePath, proof: Proof) {
    let sent = tokio::time::timeout(wire.limit(), wire.send(Method::DELETE, uri, proof, None)).await;
    let outcome = match sent {
        Ok(Ok(response)) => response.status().to_string(),
        Ok(Err(error)) => error.cause,
        Err(_) => "no answer".to_owned(),
    };
    tracing::debug!(bmc = wire.origin().authority(), session = uri.as_str(), outcome, "session given back");
}
