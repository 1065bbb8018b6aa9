//! One HTTPS exchange with a BMC, under limits of time and size, and what a failure of it means.
//!
//! Neither sessions nor resources are known here.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use reqwest::header::{ACCEPT, CONTENT_TYPE, ETAG, HeaderValue, IF_NONE_MATCH};
use reqwest::redirect::{Attempt, Policy};
use reqwest::{Method, Response, StatusCode};
use secrecy::{ExposeSecret, SecretString};

use super::origin::{Origin, ResourcePath};
use crate::model::{ErrorKind, PollError};
use crate::web::fault::{causes, detail, refusal};

/// The largest body that is read: several times what a full `Power` resource needs, and little enough that a body made
/// of nothing but tiny objects does not fill the memory when it is parsed.
const MAX_BODY_BYTES: usize = 512 << 10;
/// The most redirects that one request follows, all on the same host.
const MAX_REDIRECTS: usize = 3;

/// Who logs in.
#[derive(Debug, Clone)]
pub(super) struct Credentials {
    /// User name.
    pub(super) user: String,
    /// Password.
    pub(super) password: SecretString,
}

impl Credentials {
    /// The error for credentials that the BMC does not take.
    pub(super) fn refused(&self, status: StatusCode, path: &ResourcePath) -> PollError {
        PollError::new(
            ErrorKind::Auth,
            format!("user {:?} is refused ({} for {})", self.user, status.as_u16(), path.as_str()),
            "check the user name, the password, and that the BMC lets this user log in over Redfish",
        )
    }
}

/// What a request shows to be let in.
#[derive(Debug, Clone)]
pub(super) enum Proof {
    /// Nothing: the service root asks for nothing.
    None,
    /// User name and password.
    Basic(Credentials),
    /// A session's token, marked sensitive.
    Token(HeaderValue),
}

/// The answer to a request for a resource.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// Names this state of the resource.
    pub(super) etag: Option<HeaderValue>,
    pub(super) body: Vec<u8>,
}

/// What a request is to be answered with.
#[derive(Debug, Clone, Copy)]
enum Wants<'a> {
    Json,
    /// Only if it is not what this names.
    JsonUnless(&'a HeaderValue),
    Events,
}

impl Wants<'_> {
    const fn media_type(self) -> &'static str {
        match self {
            Self::Json | Self::JsonUnless(_) => "application/json",
            Self::Events => "text/event-stream",
        }
    }
}

/// A way to one BMC. Clones share the connection; there is at most one idle.
#[derive(Debug, Clone)]
pub(super) struct Wire {
    http: reqwest::Client,
    origin: Origin,
    limit: Duration,
}

impl Wire {
    /// A way that has sent nothing yet; `limit` is the longest one exchange may take.
    ///
    /// # Errors
    /// `Tls` when the HTTP library refuses the TLS configuration.
    pub(super) fn new(origin: Origin, tls: rustls::ClientConfig, limit: Duration) -> Result<Self, PollError> {
        let mut builder = reqwest::Client::builder();
        if let Some((name, at)) = origin.pin() {
            // The port is the URL's.
            builder = builder.resolve(name, SocketAddr::new(at, 0));
        }
        let http = builder
            .tls_backend_preconfigured(tls)
            .https_only(true)
            .http1_only()
            // A BMC is reached over the management network, never through a proxy of the environment.
            .no_proxy()
            .redirect(Policy::custom(stay_on_host))
            .pool_max_idle_per_host(1)
            .connect_timeout(limit)
            .build()
            .map_err(|e| {
                PollError::new(ErrorKind::Tls, detail(&e), "report this: the HTTPS client cannot be built")
            })?;
        Ok(Self { http, origin, limit })
    }

    /// Where this leads.
    pub(super) const fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The longest one exchange may take.
    pub(super) const fn limit(&self) -> Duration {
        self.limit
    }

    /// Reads one resource, or learns that it still is what `known` names.
    ///
    /// # Errors
    /// As [`Wire::send`], and as [`Wire::body`].
    pub(super) async fn get(
        &self,
        path: &ResourcePath,
        proof: Proof,
        known: Option<&HeaderValue>,
    ) -> Result<Answer, PollError> {
        let exchange = async {
            let wants = known.map_or(Wants::Json, Wants::JsonUnless);
            let response = self.send_with(Method::GET, path, proof, None, wants).await?;
            let (status, etag) = (response.status(), response.headers().get(ETAG).cloned());
            Ok(Answer { status, etag, body: self.body(response, path).await? })
        };
        tokio::time::timeout(self.limit, exchange).await.unwrap_or_else(|_| Err(self.too_late(path)))
    }

    /// Sends one request and returns as soon as the head of the answer is there. Has no deadline of its own.
    ///
    /// # Errors
    /// `Unreachable`, `Tls` or `Protocol`.
    pub(super) async fn send(
        &self,
        method: Method,
        path: &ResourcePath,
        proof: Proof,
        body: Option<String>,
    ) -> Result<Response, PollError> {
        self.send_with(method, path, proof, body, Wants::Json).await
    }

    /// Opens a stream of events; returns as soon as its head is there. Has no deadline of its own.
    ///
    /// # Errors
    /// As [`Wire::send`].
    pub(super) async fn open_stream(&self, path: &ResourcePath, proof: Proof) -> Result<Response, PollError> {
        self.send_with(Method::GET, path, proof, None, Wants::Events).await
    }

    /// As [`Wire::send`], for whichever answer.
    ///
    /// # Errors
    /// As [`Wire::send`].
    async fn send_with(
        &self,
        method: Method,
        path: &ResourcePath,
        proof: Proof,
        body: Option<String>,
        wants: Wants<'_>,
    ) -> Result<Response, PollError> {
        #[cfg(any(test, fuzzing))]
        if let Some(answer) = super::fuzzing::answer(&method, path) {
            return answer.ok_or_else(|| self.too_late(path));
        }
        // A BMC may close an idle connection in the very moment in which it is used again. Only reading is safe to
        // repeat: a second login would leave a session behind.
        let mut repeat = method == Method::GET;
        loop {
            let mut request = self
                .http
                .request(method.clone(), self.origin.url(path))
                .header(ACCEPT, HeaderValue::from_static(wants.media_type()))
                .header("OData-Version", HeaderValue::from_static("4.0"));
            request = match &proof {
                Proof::None => request,
                Proof::Basic(who) => request.basic_auth(&who.user, Some(who.password.expose_secret())),
                Proof::Token(token) => request.header("X-Auth-Token", token.clone()),
            };
            if let Some(body) = &body {
                request = request
                    .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
                    .body(body.clone());
            }
            if let Wants::JsonUnless(etag) = wants {
                request = request.header(IF_NONE_MATCH, etag.clone());
            }
            match request.send().await {
                Ok(response) => return Ok(response),
                Err(error) if repeat && error.is_request() && !error.is_connect() => repeat = false,
                Err(error) => return Err(self.explain(path, &error)),
            }
        }
    }

    /// The body of an answer, never more than 512 KiB of it. Has no deadline of its own.
    ///
    /// # Errors
    /// `Protocol` when it is larger or breaks off.
    pub(super) async fn body(
        &self,
        mut response: Response,
        path: &ResourcePath,
    ) -> Result<Vec<u8>, PollError> {
        let mut body = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(|e| self.explain(path, &e))? {
            if body.len() + piece.len() > MAX_BODY_BYTES {
                return Err(PollError::new(
                    ErrorKind::Protocol,
                    format!("the answer to GET {} is larger than {MAX_BODY_BYTES} bytes", path.as_str()),
                    "check that the address is a BMC's Redfish service",
                ));
            }
            body.extend_from_slice(&piece);
        }
        Ok(body)
    }

    /// The error for an exchange that took longer than the limit.
    pub(super) fn too_late(&self, path: &ResourcePath) -> PollError {
        PollError::new(
            ErrorKind::Timeout,
            format!("no complete answer for {} within {:?}", path.as_str(), self.limit),
            "check the network and the BMC's load, or allow more time per request",
        )
    }

    /// Says in the operator's terms what the HTTP library's error means.
    fn explain(&self, path: &ResourcePath, error: &reqwest::Error) -> PollError {
        let found = causes(error);
        let authority = self.origin.authority();
        if error.is_connect() {
            if let Some(refused) = found.iter().find_map(|e| refusal(*e)) {
                return PollError::new(
                    ErrorKind::Tls,
                    format!("{authority}: {refused}"),
                    "set ca_file to the authority that signed it, or compare the fingerprint with the BMC's own page \
                     and set it as fingerprint",
                );
            }
            let io_kind =
                |kind| found.iter().any(|e| e.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == kind));
            if found.iter().any(|e| e.is::<rustls::Error>()) || io_kind(io::ErrorKind::UnexpectedEof) {
                return PollError::new(
                    ErrorKind::Tls,
                    format!("{authority}: the TLS handshake failed: {}", detail(error)),
                    "check that the port speaks HTTPS with TLS 1.2 or newer; neither ca_file nor fingerprint helps \
                     here, old BMCs need a firmware update",
                );
            }
            if error.is_timeout() || io_kind(io::ErrorKind::TimedOut) {
                return self.too_late(path);
            }
            return PollError::new(
                ErrorKind::Unreachable,
                format!("no connection to {authority}: {}", detail(error)),
                "check the address, the BMC's network and any firewall between",
            );
        }
        let cause = if error.is_redirect() {
            format!("{} is redirected: {}", path.as_str(), detail(error))
        } else {
            format!("the answer for {} is broken: {}", path.as_str(), detail(error))
        };
        PollError::new(ErrorKind::Protocol, cause, "check that the address is a BMC's Redfish service")
    }
}

/// Redirects lead nowhere but to the host that was asked: a token must not leave it.
fn stay_on_host(attempt: Attempt<'_>) -> reqwest::redirect::Action {
    let home = attempt.previous().first().map(reqwest::Url::origin);
    if home != Some(attempt.url().origin()) {
        return attempt.error("to another host, which is not followed");
    }
    if attempt.previous().len() > MAX_REDIRECTS {
        return attempt.error("too often");
    }
    attempt.follow()
}
