//! `/api/v1`: what is monitored, as JSON in Prometheus's envelope, and switches for it; `/-/reload`. Does not live here: what a
//! switch does.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::body::{Body, to_bytes};
use axum::extract::{Path, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};

use super::auth::Caller;
use super::routes::{App, MAX_BODY_BYTES, plain};
use crate::model::BoxFuture;

/// The longest that a client may take to send a body.
const BODY_DEADLINE: Duration = Duration::from_secs(10);

/// A meter.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Device {
    /// Its name.
    pub name: String,
    /// Which driver reads it.
    pub driver: String,
    /// Where it is, without credentials.
    pub address: String,
    /// Where it stands.
    pub datacenter: String,
    /// Whether it is polled.
    pub enabled: bool,
    /// Whether its latest poll brought readings; none while it is off.
    pub up: Option<bool>,
    /// Age of its latest reading, seconds; none if there is none.
    pub last_reading_age_seconds: Option<f64>,
    /// What its latest poll failed of.
    pub last_error: Option<String>,
    /// Its channels.
    pub channels: Vec<Channel>,
}

/// A channel of a meter.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Channel {
    /// Its name.
    pub name: String,
    /// Its latest values by quantity and unit, `power_watts`; none that is stale.
    pub values: BTreeMap<String, f64>,
    /// Energy by integration of its power, joules.
    pub energy_joules: Option<f64>,
}

/// A host.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Host {
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub datacenter: String,
    /// What it is for.
    pub component: String,
    /// Whether it is monitored.
    pub enabled: bool,
    /// What it draws now by its meters, watts; none while that is not known.
    pub power_watts: Option<f64>,
    /// Its feeds, best first: channels that add up, or `rated`.
    pub feeds: Vec<String>,
    /// Age of the end of what is accounted, seconds; none before its account is open.
    pub settled_age_seconds: Option<f64>,
    /// Who tells of its workloads.
    pub hypervisor: Option<Hypervisor>,
    /// Workloads that are there now.
    pub workloads: usize,
}

/// Who tells of a host's workloads.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Hypervisor {
    /// Which kind of source.
    pub driver: String,
    /// Where it is.
    pub address: String,
    /// Whether its latest sample was good; none while the host is off.
    pub up: Option<bool>,
    /// Age of its latest sample, seconds.
    pub last_sample_age_seconds: Option<f64>,
    /// What its latest sample failed of.
    pub last_error: Option<String>,
}

/// What can be switched off and on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Switch {
    /// A meter.
    Device,
    /// A host: its account and who tells of its workloads.
    Host,
    /// All meters and hosts of a data centre.
    Datacenter,
}

impl Switch {
    const fn noun(self) -> &'static str {
        match self {
            Self::Device => "device",
            Self::Host => "host",
            Self::Datacenter => "data centre",
        }
    }
}

/// There is nothing of that name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unknown {
    /// Names that are near.
    pub near: Vec<String>,
}

/// Sees what runs, and changes it. `devices`, `device` and `hosts` may block for as long as looking takes.
pub trait Control: Send + Sync {
    /// Every meter, in configuration order.
    fn devices(&self) -> Vec<Device>;
    /// One meter.
    ///
    /// # Errors
    /// If there is none of that name.
    fn device(&self, name: &str) -> Result<Device, Unknown>;
    /// Every host, in configuration order.
    fn hosts(&self) -> Vec<Host>;
    /// Switches monitoring off or on; at home in no state twice. Done once nothing of it runs, or all of it does.
    ///
    /// # Errors
    /// If there is nothing of that name.
    fn switch(
        self: Arc<Self>,
        what: Switch,
        name: String,
        on: bool,
    ) -> BoxFuture<'static, Result<(), Unknown>>;
    /// Reads the configuration anew and follows it.
    ///
    /// # Errors
    /// All that is wrong with it, one line each; nothing has changed then.
    fn reload(self: Arc<Self>) -> BoxFuture<'static, Result<(), String>>;
}

#[derive(Serialize)]
struct Data<T> {
    status: &'static str,
    data: T,
}

#[derive(Serialize)]
struct Failure<'a> {
    status: &'static str,
    #[serde(rename = "errorType")]
    kind: &'a str,
    error: &'a str,
}

fn json(status: StatusCode, body: &impl Serialize) -> Response {
    let head = [
        (CONTENT_TYPE, "application/json; charset=utf-8"),
        (CACHE_CONTROL, "no-store"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    // Maps with text as keys cannot fail.
    (status, head, serde_json::to_vec(body).unwrap_or_default()).into_response()
}

fn success(data: impl Serialize) -> Response {
    json(StatusCode::OK, &Data { status: "success", data })
}

fn error(status: StatusCode, kind: &str, error: &str) -> Response {
    json(status, &Failure { status: "error", kind, error })
}

fn unknown(what: Switch, name: &str, near: &Unknown) -> Response {
    let hint = if near.near.is_empty() {
        String::new()
    } else {
        format!("; did you mean {}?", near.near.join(", "))
    };
    error(StatusCode::NOT_FOUND, "not_found", &format!("there is no {} {name:?}{hint}", what.noun()))
}

fn off() -> Response {
    error(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "nothing runs yet; ask again")
}

/// What `look` finds, off the runtime's own threads.
async fn looked<T: Send + 'static>(
    app: App,
    look: impl FnOnce(Arc<dyn Control>) -> T + Send + 'static,
) -> Result<T, Response> {
    let control = app.pages.control().ok_or_else(off)?;
    tokio::task::spawn_blocking(move || look(control)).await.map_err(|_| {
        tracing::error!("an answer of the API could not be made");
        error(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the answer could not be made; the log says why")
    })
}

pub(super) async fn devices(State(app): State<App>) -> Response {
    looked(app, |control| control.devices()).await.map_or_else(|refused| refused, success)
}

pub(super) async fn hosts(State(app): State<App>) -> Response {
    looked(app, |control| control.hosts()).await.map_or_else(|refused| refused, success)
}

pub(super) async fn device(State(app): State<App>, Path(name): Path<String>) -> Response {
    let asked = name.clone();
    match looked(app, move |control| control.device(&asked)).await {
        Ok(Ok(device)) => success(device),
        Ok(Err(near)) => unknown(Switch::Device, &name, &near),
        Err(refused) => refused,
    }
}

/// What a client wants a switch to be.
#[derive(Debug, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum Wanted {
    Bare(bool),
    Named { enabled: bool },
}

pub(super) async fn switch(
    app: App,
    what: Switch,
    name: String,
    caller: Option<Extension<Caller>>,
    body: Body,
) -> Response {
    let forbidden = |why| error(StatusCode::FORBIDDEN, "forbidden", why);
    if !app.access.admin {
        return forbidden("switching is off; start with --web.enable-admin-api");
    }
    let Some(Extension(Caller(user))) = caller else {
        return forbidden(
            "anybody could switch, since no users are configured; name some under `basic_auth_users` in the file of \
             --web.config.file",
        );
    };
    let body = match tokio::time::timeout(BODY_DEADLINE, to_bytes(body, MAX_BODY_BYTES)).await {
        Ok(Ok(body)) => body,
        Ok(Err(_)) => {
            return error(StatusCode::PAYLOAD_TOO_LARGE, "bad_data", "the body is too large or breaks off");
        }
        Err(_) => return error(StatusCode::REQUEST_TIMEOUT, "timeout", "the body does not come"),
    };
    let on = match serde_json::from_slice(&body) {
        Ok(Wanted::Bare(on) | Wanted::Named { enabled: on }) => on,
        Err(_) => {
            return error(
                StatusCode::BAD_REQUEST,
                "bad_data",
                "write {\"enabled\": false} or {\"enabled\": true}",
            );
        }
    };
    let Some(control) = app.pages.control() else { return off() };
    tracing::info!(user, name, on, "the {} is switched", what.noun());
    // As a task: a client that leaves must not stop it half way.
    match tokio::spawn(control.switch(what, name.clone(), on)).await {
        Ok(Ok(())) => {
            #[derive(Serialize)]
            struct Switched<'a> {
                name: &'a str,
                enabled: bool,
            }
            success(Switched { name: &name, enabled: on })
        }
        Ok(Err(near)) => unknown(what, &name, &near),
        Err(_) => {
            error(StatusCode::INTERNAL_SERVER_ERROR, "internal", "it could not be switched; the log says why")
        }
    }
}

/// `/-/reload`, as Prometheus has it.
pub(super) async fn reload(State(app): State<App>, headers: HeaderMap) -> Response {
    if !app.access.lifecycle {
        return plain(StatusCode::FORBIDDEN, "Lifecycle API is not enabled.\n");
    }
    // A browser says where a request comes from; another site's page has no business here.
    let foreign = |value: &axum::http::HeaderValue| value != "same-origin" && value != "none";
    if headers.get("sec-fetch-site").is_some_and(foreign) {
        return plain(StatusCode::FORBIDDEN, "Another site's page may not ask for this.\n");
    }
    let Some(control) = app.pages.control() else {
        return plain(StatusCode::SERVICE_UNAVAILABLE, "Nothing runs yet; ask again.\n");
    };
    match tokio::spawn(control.reload()).await {
        Ok(Ok(())) => plain(StatusCode::OK, ""),
        Ok(Err(wrong)) => {
            plain(StatusCode::INTERNAL_SERVER_ERROR, format!("failed to reload config: {wrong}\n"))
        }
        Err(_) => plain(StatusCode::INTERNAL_SERVER_ERROR, "The reload ended early; the log says why.\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_switch_is_wanted_in_two_ways_and_no_other() {
        let read = |text: &str| match serde_json::from_str(text) {
            Ok(Wanted::Bare(on) | Wanted::Named { enabled: on }) => Some(on),
            Err(_) => None,
        };
        for (text, wanted) in [
            ("true", Some(true)),
            (" false\n", Some(false)),
            ("{\"enabled\": false}", Some(false)),
            ("{\"enabled\": true}", Some(true)),
            ("", None),
            ("{}", None),
            ("\"false\"", None),
            ("0", None),
            ("{\"enabled\": 0}", None),
            ("{\"enabled\": true, \"force\": true}", None),
            ("{\"enabled\": true, \"enabled\": false}", None),
            ("[true]", None),
        ] {
            assert_eq!(read(text), wanted, "{text}");
        }
    }
}
