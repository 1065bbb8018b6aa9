//! One exchange with a server at a fixed place: no redirects, no proxies, bounded in time and size, one kept connection.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Method, Response, StatusCode, Url};

use super::fault::{causes, detail, line, refusal};
use super::{Login, Trust, tls};
use crate::model::{ErrorKind, PollError};

/// A refusal's body is read up to here, so that the connection can be used again.
const MAX_REFUSAL_BYTES: usize = 16 << 10;

/// What one exchange may cost, and what the server is called in messages.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// The longest one exchange may take.
    pub(crate) time: Duration,
    /// The largest body.
    pub(crate) bytes: usize,
    /// `the meter`, `the exporter`.
    pub(crate) server: &'static str,
}

/// One request. All of them only read, so that each may be sent again.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ask<'a> {
    /// Absolute path and query, below the client's address; empty for the address itself.
    pub(crate) path: &'a str,
    /// Media types that are understood.
    pub(crate) accept: &'static str,
    /// Sent with POST; without it the request is a GET.
    pub(crate) body: Option<Body<'a>>,
}

/// What is sent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Body<'a> {
    pub(crate) media_type: &'static str,
    pub(crate) text: &'a str,
}

/// The head of an answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) media_type: String,
}

/// A way to one server.
#[derive(Debug)]
pub(crate) struct Client {
    http: reqwest::Client,
    base: Url,
    login: Login,
    headers: HeaderMap,
    limits: Limits,
}

impl Client {
    /// Reads the CA file; opens no connection. `at` is where the host of `url` is, where that is fixed.
    ///
    /// # Errors
    /// `Unreachable` for an address that is none, `Tls` for a CA file that cannot be used.
    pub(crate) fn new(
        url: &str,
        at: Option<IpAddr>,
        trust: &Trust,
        login: Login,
        limits: Limits,
    ) -> Result<Self, PollError> {
        let base = base(url)?;
        // What is not encrypted has no certificate to trust: no authorities are loaded for it.
        let nobody = Trust::Fingerprint([0; 32]);
        let tls = tls::client_config(if base.scheme() == "https" { trust } else { &nobody })?;
        let mut builder = reqwest::Client::builder();
        if let (Some(name), Some(at)) = (base.host_str(), at) {
            // The port is the URL's.
            builder = builder.resolve(name, SocketAddr::new(at, 0));
        }
        let http = builder
            .tls_backend_preconfigured(tls)
            .http1_only()
            // Meters are reached over the management network, never through a proxy of the environment.
            .no_proxy()
            .redirect(Policy::none())
            .pool_max_idle_per_host(1)
            .connect_timeout(limits.time)
            .build()
            .map_err(|e| {
                PollError::new(ErrorKind::Tls, detail(&e), "report this: the HTTP client cannot be built")
            })?;
        Ok(Self { http, base, login, headers: HeaderMap::new(), limits })
    }

    /// The same, with these headers in every request; those that are none are left out.
    pub(crate) fn with_headers(mut self, headers: &[(String, String)]) -> Self {
        for (name, value) in headers {
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
                self.headers.append(name, value);
            }
        }
        self
    }

    /// Changes how to be let in.
    pub(crate) fn log_in_by(&mut self, login: Login) {
        self.login = login;
    }

    /// The whole body of a good answer.
    ///
    /// # Errors
    /// As [`Self::read`], and for every status but 200.
    pub(crate) async fn get(&mut self, ask: &Ask<'_>) -> Result<Vec<u8>, PollError> {
        let mut body = Vec::new();
        let answer = self.read(ask, &mut |_, piece| body.extend_from_slice(piece)).await?;
        self.judge(ask, answer.status)?;
        Ok(body)
    }

    /// One exchange: gives the body to `take` piece by piece, whatever the status.
    ///
    /// # Errors
    /// `Timeout`, `Unreachable`, `Tls`, or `Protocol` for a body that is too large or breaks off.
    pub(crate) async fn read(
        &mut self,
        ask: &Ask<'_>,
        take: &mut (dyn FnMut(&Answer, &[u8]) + Send),
    ) -> Result<Answer, PollError> {
        let (time, late) = (self.limits.time, self.too_late(ask));
        tokio::time::timeout(time, self.exchange(ask, take)).await.unwrap_or(Err(late))
    }

    async fn exchange(
        &mut self,
        ask: &Ask<'_>,
        take: &mut (dyn FnMut(&Answer, &[u8]) + Send),
    ) -> Result<Answer, PollError> {
        let mut response = self.send(ask).await?;
        if response.status() == StatusCode::UNAUTHORIZED && self.login.challenged(response.headers(), true) {
            let mut spare = MAX_REFUSAL_BYTES;
            while let Ok(Some(piece)) = response.chunk().await
                && piece.len() <= spare
            {
                spare -= piece.len();
            }
            response = self.send(ask).await?;
            if response.status() == StatusCode::UNAUTHORIZED {
                self.login.challenged(response.headers(), false);
            }
        }
        let media_type = response.headers().get(CONTENT_TYPE).and_then(|v| v.to_str().ok());
        let answer = Answer {
            status: response.status(),
            media_type: media_type.unwrap_or_default().to_ascii_lowercase(),
        };
        let mut spare = self.limits.bytes;
        while let Some(piece) = response.chunk().await.map_err(|e| self.explain(ask, e))? {
            spare = spare
                .checked_sub(piece.len())
                .ok_or_else(|| self.protocol(ask, &format!("is larger than {} bytes", self.limits.bytes)))?;
            take(&answer, &piece);
        }
        Ok(answer)
    }

    async fn send(&mut self, ask: &Ask<'_>) -> Result<Response, PollError> {
        // The server may close an idle connection in the very moment in which it is used again.
        let mut repeat = true;
        loop {
            let url = self.url(ask)?;
            let method = if ask.body.is_some() { Method::POST } else { Method::GET };
            let mut request = self
                .http
                .request(method.clone(), self.login.address(url.clone()))
                .headers(self.headers.clone())
                .header(ACCEPT, HeaderValue::from_static(ask.accept));
            request = self.login.sign(request, method.as_str(), &url);
            if let Some(body) = ask.body {
                request = request
                    .header(CONTENT_TYPE, HeaderValue::from_static(body.media_type))
                    .body(body.text.to_owned());
            }
            match request.send().await {
                Ok(response) => return Ok(response),
                Err(error) if repeat && error.is_request() && !error.is_connect() => repeat = false,
                Err(error) => return Err(self.explain(ask, error)),
            }
        }
    }

    /// The full address: never of another host, whatever the path says.
    fn url(&self, ask: &Ask<'_>) -> Result<Url, PollError> {
        if ask.path.is_empty() {
            return Ok(self.base.clone());
        }
        let home = self.base.as_str().split('?').next().unwrap_or_default().trim_end_matches('/');
        let url = Url::parse(&format!("{home}{}", ask.path)).ok();
        url.filter(|url| ask.path.starts_with('/') && url.origin() == self.base.origin()).ok_or_else(|| {
            PollError::new(
                ErrorKind::Unreachable,
                format!("{:?} is no path", line(ask.path)),
                "write it from the first slash on, such as /status",
            )
        })
    }

    /// What a status means.
    ///
    /// # Errors
    /// For every one but 200.
    pub(crate) fn judge(&self, ask: &Ask<'_>, status: StatusCode) -> Result<(), PollError> {
        let what = ask.shown(&self.base);
        let answered = |kind, fix: &str| Err(PollError::new(kind, format!("{what} answered {status}"), fix));
        match status {
            StatusCode::OK => Ok(()),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(match self.login.who() {
                Some(who) => PollError::new(
                    ErrorKind::Auth,
                    format!("{who} is refused ({} for {what})", status.as_u16()),
                    "check user name and password, and how they are to be sent",
                ),
                None => PollError::new(
                    ErrorKind::Auth,
                    format!("{} asks for credentials ({} for {what})", self.limits.server, status.as_u16()),
                    "set a user name and a password file",
                ),
            }),
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => {
                answered(ErrorKind::Busy, "wait, or ask less often; if it stays so, restart it")
            }
            status if status.is_redirection() => answered(
                ErrorKind::Protocol,
                "redirects are not followed: write the address to which it leads",
            ),
            _other_status => {
                answered(ErrorKind::Protocol, "check the address, and look at this page with another client")
            }
        }
    }

    /// The error for an answer that `what`.
    pub(crate) fn protocol(&self, ask: &Ask<'_>, what: &str) -> PollError {
        PollError::new(
            ErrorKind::Protocol,
            format!("the answer for {} {what}", ask.shown(&self.base)),
            format!("check that the address is that of {}", self.limits.server),
        )
    }

    fn too_late(&self, ask: &Ask<'_>) -> PollError {
        PollError::new(
            ErrorKind::Timeout,
            format!("no complete answer for {} within {:?}", ask.shown(&self.base), self.limits.time),
            format!("check the network and {}, or allow more time per request", self.limits.server),
        )
    }

    /// Says in the operator's terms what the HTTP library's error means. The address may hold a password: it is dropped first.
    fn explain(&self, ask: &Ask<'_>, error: reqwest::Error) -> PollError {
        let error = error.without_url();
        let found = causes(&error);
        let authority = self.base.authority();
        if !error.is_connect() {
            return self.protocol(ask, &format!("is broken: {}", detail(&error)));
        }
        if let Some(refused) = found.iter().find_map(|e| refusal(*e)) {
            return PollError::new(
                ErrorKind::Tls,
                format!("{authority}: {refused}"),
                "set ca_file to the authority that signed it, or compare the fingerprint with what the server's owner says \
                 and set it as fingerprint",
            );
        }
        let io_kind =
            |kind| found.iter().any(|e| e.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == kind));
        if found.iter().any(|e| e.is::<rustls::Error>()) || io_kind(io::ErrorKind::UnexpectedEof) {
            return PollError::new(
                ErrorKind::Tls,
                format!("{authority}: the TLS handshake failed: {}", detail(&error)),
                "check that the port speaks HTTPS with TLS 1.2 or newer",
            );
        }
        if error.is_timeout() || io_kind(io::ErrorKind::TimedOut) {
            return self.too_late(ask);
        }
        PollError::new(
            ErrorKind::Unreachable,
            format!("no connection to {authority}: {}", detail(&error)),
            format!("check the address, that {} runs, and any firewall between", self.limits.server),
        )
    }
}

impl Ask<'_> {
    /// The path without its query, for messages.
    fn shown(&self, base: &Url) -> String {
        let path = if self.path.is_empty() { base.path() } else { self.path };
        line(path.split('?').next().unwrap_or_default())
    }
}

/// Reads `http://host[:port][/path]`.
fn base(url: &str) -> Result<Url, PollError> {
    let bad = |why: &str| {
        let fix = "write it as http://host[:port] or https://host[:port]";
        PollError::new(ErrorKind::Unreachable, format!("the address {why}"), fix)
    };
    let mut url = Url::parse(url).map_err(|e| bad(&format!("is not a URL ({e})")))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(bad("is not http or https"));
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err(bad("names no host"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(bad("holds a user name or password"));
    }
    url.set_fragment(None);
    Ok(url)
}
