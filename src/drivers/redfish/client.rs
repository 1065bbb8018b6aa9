//! Reads resources as JSON objects: logs in where needed, and says what each status means.

use std::net::IpAddr;
use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::HeaderValue;
use serde_json::Value;

use super::copies::{Copies, is_about};
use super::origin::{Origin, ResourcePath};
use super::resources::{self, Link, Root};
use super::session::Sessions;
use super::wire::{Answer, Credentials, Proof, Wire};
use super::{Login, Settings};
use crate::model::{ErrorKind, OpenSessions, PollError};
use crate::web::tls;

/// Why a resource was not read.
#[derive(Debug)]
pub(super) enum Failure {
    /// The BMC has no such resource (any more): 404 or 410.
    Gone,
    /// The BMC answered for this resource alone with some other error status, or not in JSON.
    Refused(PollError),
    /// The exchange failed, so that nothing more is to be expected of this poll.
    Broken(PollError),
}

enum Access {
    Open,
    Basic(Credentials),
    Session(Box<Sessions>),
}

/// A resource as it was just read.
struct Fresh {
    document: Value,
    etag: Option<HeaderValue>,
    body: Vec<u8>,
}

/// One BMC, one request at a time.
pub(super) struct Client {
    wire: Wire,
    tls: rustls::ClientConfig,
    access: Access,
    /// The resource of the last request: an answer that names it once more is a duplicate.
    last: Option<ResourcePath>,
    copies: Copies,
}

impl Client {
    /// Reads the CA file; opens no connection.
    ///
    /// # Errors
    /// `Tls` for a CA file that cannot be used, `Unreachable` for an address that is none.
    pub(super) fn new(settings: Settings) -> Result<Self, PollError> {
        let origin = Origin::parse(&settings.url)?;
        let tls = tls::client_config(&settings.trust)?;
        let wire = Wire::new(origin, tls.clone(), settings.request_timeout)?;
        let access = match (settings.credentials, settings.login) {
            (None, _) => Access::Open,
            (Some((user, password)), Login::Basic) => Access::Basic(Credentials { user, password }),
            (Some((user, password)), Login::Session) => {
                Access::Session(Box::new(Sessions::new(Credentials { user, password })))
            }
        };
        Ok(Self { wire, tls, access, last: None, copies: Copies::default() })
    }

    /// Counts open sessions in `sessions`.
    pub(super) fn count_in(&mut self, sessions: OpenSessions) {
        match &mut self.access {
            Access::Session(keeper) => keeper.count_in(sessions),
            Access::Open | Access::Basic(_) => {}
        }
    }

    /// Fixes where the BMC is: its name is for the certificate only.
    ///
    /// # Errors
    /// As [`Wire::new`].
    pub(super) fn pin(&mut self, at: IpAddr) -> Result<(), PollError> {
        self.wire = Wire::new(self.wire.origin().pinned(at), self.tls.clone(), self.wire.limit())?;
        Ok(())
    }

    /// Where the BMC lives, to resolve its links.
    pub(super) const fn origin(&self) -> &Origin {
        self.wire.origin()
    }

    /// Takes from the service root what concerns the client itself.
    pub(super) fn learn(&mut self, root: &Root) {
        let sessions = root.links.sessions.id.as_deref().and_then(|id| self.wire.origin().resolve(id));
        if let (Access::Session(keeper), Some(path)) = (&mut self.access, sessions) {
            keeper.learn(path);
        }
    }

    /// The longest one request may take.
    pub(super) const fn limit(&self) -> Duration {
        self.wire.limit()
    }

    /// Forgets what inventory looked like: something is not where it was, so that no copy of it is to be believed.
    pub(super) fn forget_inventory(&mut self) {
        self.copies = Copies::default();
    }

    /// Reads one resource that says what there is, and holds no reading.
    ///
    /// # Errors
    /// See [`Failure`].
    pub(super) async fn get_inventory(&mut self, path: &ResourcePath) -> Result<Value, Failure> {
        let known = self.copies.etag(path);
        let fresh = self.exchange(path, known.as_ref()).await;
        match fresh {
            Ok(Some(fresh)) => {
                self.copies.keep(path, fresh.etag, fresh.body);
                Ok(fresh.document)
            }
            Ok(None) => self.copies.document(path).ok_or_else(|| Failure::Refused(unchanged(path))),
            Err(failure) => {
                // Whatever it was about, the next time it is asked for without conditions.
                self.copies.forget(path);
                Err(failure)
            }
        }
    }

    /// Reads one resource.
    ///
    /// # Errors
    /// See [`Failure`].
    pub(super) async fn get(&mut self, path: &ResourcePath) -> Result<Value, Failure> {
        let fresh = self.exchange(path, None).await?;
        fresh.map(|fresh| fresh.document).ok_or_else(|| Failure::Refused(unchanged(path)))
    }

    /// Asks for one resource; nothing if it is still what `known` names.
    async fn exchange(
        &mut self,
        path: &ResourcePath,
        known: Option<&HeaderValue>,
    ) -> Result<Option<Fresh>, Failure> {
        // The service root is readable by anyone, and it says where to log in.
        let mut anonymous = path.same_resource(&ResourcePath::service_root());
        loop {
            let (proof, fresh) = self.proof(anonymous).await.map_err(Failure::Broken)?;
            let previous = self.last.replace(path.clone());
            let answer = match self.wire.get(path, proof, known).await {
                Ok(answer) => answer,
                Err(error) => return Err(self.broken(error)),
            };
            if answer.status == StatusCode::UNAUTHORIZED
                && let Access::Session(sessions) = &mut self.access
            {
                let again = !fresh || anonymous;
                anonymous = false;
                // Deleted with its own token: if that is dead the BMC refuses, and nobody else's session can be hit.
                sessions.close(&self.wire).await;
                if again {
                    continue;
                }
            }
            return self.judge(path, previous.as_ref(), answer, known);
        }
    }

    /// The way to the BMC with what lets in at the moment, for a connection beside the polls.
    pub(super) fn ticket(&self) -> Option<(&Wire, Proof)> {
        let proof = match &self.access {
            Access::Open => Some(Proof::None),
            Access::Basic(credentials) => Some(Proof::Basic(credentials.clone())),
            Access::Session(sessions) => sessions.token(),
        };
        proof.map(|proof| (&self.wire, proof))
    }

    /// Gives the session back.
    pub(super) async fn close(&mut self) {
        match &mut self.access {
            Access::Session(sessions) => sessions.close(&self.wire).await,
            Access::Open | Access::Basic(_) => {}
        }
    }

    async fn proof(&mut self, anonymous: bool) -> Result<(Proof, bool), PollError> {
        match &mut self.access {
            Access::Open => Ok((Proof::None, false)),
            Access::Basic(credentials) => Ok((Proof::Basic(credentials.clone()), false)),
            Access::Session(sessions) if anonymous && !sessions.is_open() => Ok((Proof::None, false)),
            Access::Session(sessions) => sessions.proof(&self.wire).await,
        }
    }

    fn judge(
        &mut self,
        path: &ResourcePath,
        previous: Option<&ResourcePath>,
        answer: Answer,
        known: Option<&HeaderValue>,
    ) -> Result<Option<Fresh>, Failure> {
        let Answer { status, etag, body } = answer;
        let answered =
            |kind, fix: &str| PollError::new(kind, format!("{} answered {status}", path.as_str()), fix);
        match status {
            StatusCode::OK => {}
            // An answer without a body does not say what it is about, but for the tag: one of another resource is not ours.
            StatusCode::NOT_MODIFIED if known.is_some_and(|known| is_about(etag.as_ref(), known)) => {
                return Ok(None);
            }
            StatusCode::NOT_MODIFIED => {
                self.renew();
                return Err(Failure::Refused(unchanged(path)));
            }
            StatusCode::NOT_FOUND | StatusCode::GONE => return Err(Failure::Gone),
            StatusCode::UNAUTHORIZED => return Err(Failure::Broken(self.not_allowed(status, path))),
            // Known to the BMC, but not allowed to read this one: the other resources may well be readable.
            StatusCode::FORBIDDEN => return Err(Failure::Refused(self.not_allowed(status, path))),
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => {
                let fix = "wait: the BMC is restarting or overloaded; if it stays so, restart the BMC";
                return Err(Failure::Broken(answered(ErrorKind::Busy, fix)));
            }
            _other_status => {
                let fix = "look at this resource with another client; update or restart the BMC";
                return Err(Failure::Refused(answered(ErrorKind::Protocol, fix)));
            }
        }
        let Some(document) = resources::object(&body) else {
            // Complete, but not what was asked for: a fault of this resource, on a connection that is not to be trusted.
            self.renew();
            return Err(Failure::Refused(protocol(path, "is not a JSON object")));
        };
        let named = resources::read::<Link>(&document).id.and_then(|id| self.wire.origin().resolve(&id));
        if let (Some(named), Some(previous)) = (named, previous)
            && named.same_resource(previous)
            && !named.same_resource(path)
        {
            return Err(self.broken(protocol(path, "belongs to the request before")));
        }
        Ok(Some(Fresh { document, etag, body }))
    }

    fn not_allowed(&self, status: StatusCode, path: &ResourcePath) -> PollError {
        match &self.access {
            Access::Open => PollError::new(
                ErrorKind::Auth,
                format!("the BMC asks for credentials ({} for {})", status.as_u16(), path.as_str()),
                "set a user name and a password file",
            ),
            Access::Basic(credentials) => credentials.refused(status, path),
            Access::Session(sessions) => sessions.credentials().refused(status, path),
        }
    }

    fn broken(&mut self, error: PollError) -> Failure {
        self.renew();
        Failure::Broken(error)
    }

    /// After a broken exchange nothing that is still under way on the old connection may reach a later request.
    fn renew(&mut self) {
        let (origin, limit) = (self.wire.origin().clone(), self.wire.limit());
        if let Ok(wire) = Wire::new(origin, self.tls.clone(), limit) {
            self.wire = wire;
        }
        self.last = None;
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        match &mut self.access {
            Access::Session(sessions) => sessions.abandon(&self.wire),
            Access::Open | Access::Basic(_) => {}
        }
    }
}

fn protocol(path: &ResourcePath, what: &str) -> PollError {
    PollError::new(
        ErrorKind::Protocol,
        format!("the answer for {} {what}", path.as_str()),
        "check that the address is a BMC's Redfish service",
    )
}

fn unchanged(path: &ResourcePath) -> PollError {
    protocol(path, "says that nothing has changed, which was not asked")
}
