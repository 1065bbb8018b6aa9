//! The routes, and what each answers.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header::{
    ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, VARY,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Extension, Router, middleware};
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::timeout::TimeoutLayer;

use super::auth::{self, Caller, Gate};
use super::path::{API, MetricsPath, PROBE, ROOT, STYLE};
use super::{Pages, Switch, api, landing, probe};
use crate::exposition::negotiate;

/// Nobody needs to send more than a word or two.
pub(super) const MAX_BODY_BYTES: usize = 4096;

/// A page is made in milliseconds; one that takes longer than this is not worth waiting for.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(10);

pub(super) const PLAIN: &str = "text/plain; charset=utf-8";
/// The page is text and one style sheet of our own: whatever else a device smuggled into it must not run.
const POLICY: &str =
    "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// What clients may do beyond reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Access {
    /// Have the configuration read anew.
    pub lifecycle: bool,
    /// Switch devices, hosts and data centres, if they are users of the web configuration.
    pub admin: bool,
}

#[derive(Clone)]
pub(super) struct App {
    pub(super) pages: Arc<dyn Pages>,
    pub(super) access: Access,
    metrics_path: MetricsPath,
}

/// All routes over `pages`, with the metrics page at `metrics_path`; everyone may read, and nobody may do more.
pub fn router(pages: Arc<dyn Pages>, metrics_path: MetricsPath) -> Router {
    guarded_router(pages, metrics_path, Access::default(), Arc::new(Gate::default()))
}

/// The same for those whom `gate` lets in.
pub fn guarded_router(
    pages: Arc<dyn Pages>,
    metrics_path: MetricsPath,
    access: Access,
    gate: Arc<Gate>,
) -> Router {
    let of = |path: &str| format!("{API}/{path}");
    Router::new()
        .route(metrics_path.as_str(), get(metrics))
        .route(ROOT, get(root))
        .route(STYLE, get(style))
        .route("/-/healthy", get(healthy))
        .route("/-/ready", get(ready))
        .route(&of("devices"), get(api::devices))
        .route(&of("devices/{name}"), get(api::device))
        .route(&of("hosts"), get(api::hosts))
        .fallback(not_found)
        .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, RESPONSE_TIMEOUT))
        // Behind the deadline of the others: a probe has its own, which its client says; and devices whose sessions are closed
        // may take their time.
        .route(PROBE, get(probe::probe))
        .route("/-/reload", post(api::reload).put(api::reload))
        .route(&of("devices/{name}/enabled"), put(switch_device))
        .route(&of("hosts/{name}/enabled"), put(switch_host))
        .route(&of("datacenters/{name}/enabled"), put(switch_datacenter))
        .with_state(App { pages, access, metrics_path })
        .layer(RequestBodyLimitLayer::new(MAX_BODY_BYTES))
        .layer(middleware::from_fn_with_state(gate, auth::guard))
}

type By = Option<Extension<Caller>>;

async fn switch_device(State(app): State<App>, Path(name): Path<String>, by: By, body: Body) -> Response {
    api::switch(app, Switch::Device, name, by, body).await
}

async fn switch_host(State(app): State<App>, Path(name): Path<String>, by: By, body: Body) -> Response {
    api::switch(app, Switch::Host, name, by, body).await
}

async fn switch_datacenter(State(app): State<App>, Path(name): Path<String>, by: By, body: Body) -> Response {
    api::switch(app, Switch::Datacenter, name, by, body).await
}

async fn metrics(State(app): State<App>, headers: HeaderMap) -> Response {
    let format = negotiate::format(texts(&headers, &ACCEPT));
    let gzip = negotiate::gzip(texts(&headers, &ACCEPT_ENCODING));
    // Off the runtime's own threads: rendering takes milliseconds, in which no poll should have to wait.
    let Ok(body) = tokio::task::spawn_blocking(move || app.pages.metrics(format, gzip)).await else {
        return failed("metrics");
    };
    let head = [(CONTENT_TYPE, format.content_type()), (VARY, "Accept, Accept-Encoding")];
    if gzip {
        (head, [(CONTENT_ENCODING, "gzip")], body).into_response()
    } else {
        (head, body).into_response()
    }
}

/// The readable values of a header that may stand several times.
pub(super) fn texts<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok())
}

async fn root(State(app): State<App>) -> Response {
    let page =
        move || landing::html(&app.pages.status(), app.metrics_path.as_str(), app.pages.probes().is_some());
    let Ok(body) = tokio::task::spawn_blocking(page).await else {
        return failed("status");
    };
    let head = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (head, body).into_response()
}

async fn style() -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/css; charset=utf-8"), (X_CONTENT_TYPE_OPTIONS, "nosniff")], landing::STYLE_SHEET)
}

async fn healthy() -> Response {
    plain(StatusCode::OK, "wattribute is healthy.\n")
}

async fn ready(State(app): State<App>) -> Response {
    if app.pages.ready() {
        plain(StatusCode::OK, "wattribute is ready.\n")
    } else {
        plain(StatusCode::SERVICE_UNAVAILABLE, "wattribute is not ready: no energy has been settled yet.\n")
    }
}

async fn not_found() -> Response {
    plain(StatusCode::NOT_FOUND, "There is no such page. What there is, / links to.\n")
}

/// A page whose making panicked: the panic itself stands in the log already.
fn failed(page: &str) -> Response {
    tracing::error!(page, "a page could not be made");
    plain(StatusCode::INTERNAL_SERVER_ERROR, "The page could not be made; the log says why.\n")
}

pub(super) fn plain(status: StatusCode, text: impl Into<Body>) -> Response {
    (status, [(CONTENT_TYPE, PLAIN), (X_CONTENT_TYPE_OPTIONS, "nosniff")], text.into()).into_response()
}
