//! What a request shows to be let in.

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{RequestBuilder, Url};
use secrecy::{ExposeSecret, SecretString};

use super::digest::Digest;

/// How to be let in.
#[derive(Debug)]
pub(crate) enum Login {
    /// Nobody asks.
    Open,
    /// User and password with every request.
    Basic { user: String, password: SecretString },
    /// A proof of the password, for a challenge that the server gives.
    Digest(Box<Digest>),
    /// User and password in the query, as Tasmota wants them.
    Query { user: String, password: SecretString },
    /// A token with every request.
    Bearer(SecretString),
}

impl Login {
    /// Digest authentication, which waits for its first challenge.
    pub(crate) fn digest(user: String, password: SecretString) -> Self {
        Self::Digest(Box::new(Digest::new(user, password)))
    }

    /// The address with what belongs into it.
    pub(super) fn address(&self, mut url: Url) -> Url {
        if let Self::Query { user, password } = self {
            url.query_pairs_mut().append_pair("user", user).append_pair("password", password.expose_secret());
        }
        url
    }

    /// The request with what belongs into its head.
    pub(super) fn sign(&mut self, request: RequestBuilder, method: &str, url: &Url) -> RequestBuilder {
        match self {
            Self::Open | Self::Query { .. } => request,
            Self::Basic { user, password } => request.basic_auth(user, Some(password.expose_secret())),
            Self::Bearer(token) => request.bearer_auth(token.expose_secret()),
            Self::Digest(digest) => {
                let target = url
                    .query()
                    .map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()));
                let proof = digest.proof(method, &target);
                match proof.and_then(|text| HeaderValue::from_str(&text).ok()) {
                    Some(mut value) => {
                        value.set_sensitive(true);
                        request.header(AUTHORIZATION, value)
                    }
                    None => request,
                }
            }
        }
    }

    /// Takes a refusal; whether the same request is worth another try.
    pub(super) fn challenged(&mut self, head: &HeaderMap, first: bool) -> bool {
        match self {
            Self::Digest(digest) => digest.challenged(head, first),
            Self::Open | Self::Basic { .. } | Self::Query { .. } | Self::Bearer(_) => false,
        }
    }

    /// Who is refused, for messages.
    pub(super) fn who(&self) -> Option<String> {
        match self {
            Self::Open => None,
            Self::Basic { user, .. } | Self::Query { user, .. } => Some(format!("user {user:?}")),
            Self::Digest(digest) => Some(format!("user {:?}", digest.user())),
            Self::Bearer(_) => Some("the token".to_owned()),
        }
    }
}
