//! `http`: from configuration to settings.

use crate::config;
use crate::drivers::http::{Settings, Trust};

/// Settings of the driver, and its address for people.
pub(super) fn settings(of: &config::Http, _poll: &config::Poll) -> (Settings, String) {
    let settings = Settings {
        url: of.url.clone(),
        profile: of.profile.clone(),
        user: of.username.clone(),
        password: of.password.as_ref().map(|secret| secret.value.clone()),
        trust: trust(&of.trust),
        request_timeout: of.request_timeout,
    };
    (settings, of.url.clone())
}

/// How a certificate is trusted.
pub(super) fn trust(of: &config::Trust) -> Trust {
    match of {
        config::Trust::WebPki => Trust::WebPki,
        config::Trust::CaFile(path) => Trust::CaFile(path.clone()),
        config::Trust::Fingerprint(digest) => Trust::Fingerprint(*digest),
    }
}
