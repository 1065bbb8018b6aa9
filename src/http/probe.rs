//! `/probe`: parameters and header in, the page of one device out. Does not live here: who may be read, and how.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::header::{ACCEPT, CONNECTION, CONTENT_TYPE, RETRY_AFTER, VARY, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse, Response};

use super::routes::{App, PLAIN, texts};
use crate::exposition::negotiate;
use crate::exposition::probe::Probed;
use crate::model::BoxFuture;

/// How long Prometheus waits for its page.
const SCRAPE_TIMEOUT: HeaderName = HeaderName::from_static("x-prometheus-scrape-timeout-seconds");
/// What the way back may take of it, unless that is more than half.
const WAY_BACK: Duration = Duration::from_millis(500);

const OFF: &str = "/probe is off. To switch it on, write `probe` into the configuration: `modules`, which say how devices are \
                   read, and `targets`, which say whom clients may have read.\n";
const USAGE: &str = "ask for /probe?target=HOST&module=NAME";

/// Reads devices that clients name.
pub trait Probes: Send + Sync {
    /// Reads one device, within `ask.limit`. Dropping the future takes back the request.
    ///
    /// # Errors
    /// If the device is not to be read; one that cannot be read is a [`Probed`], too.
    fn probe(&self, ask: Ask) -> BoxFuture<'_, Result<Arc<Probed>, Refusal>>;
}

/// What a client asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// The device, as the client wrote it.
    pub target: String,
    /// The way to read it.
    pub module: String,
    /// How long the client waits; none if it does not say.
    pub limit: Option<Duration>,
}

/// Why a device is not read. The texts are for people, and end without a line feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The request makes no sense.
    Wrong(String),
    /// Clients may not have this device read.
    Forbidden(String),
    /// As many probes as allowed are under way.
    Full,
    /// The exporter stops.
    Stopping,
    /// A bug.
    Broken,
}

impl Refusal {
    fn response(self) -> Response {
        let (status, text) = match self {
            Self::Wrong(text) => (StatusCode::BAD_REQUEST, text),
            Self::Forbidden(text) => (StatusCode::FORBIDDEN, text),
            Self::Full => (
                StatusCode::SERVICE_UNAVAILABLE,
                "As many probes are under way as `probe.concurrency` allows; ask again, or allow more."
                    .to_owned(),
            ),
            Self::Stopping => (StatusCode::SERVICE_UNAVAILABLE, "wattribute stops.".to_owned()),
            Self::Broken => {
                (StatusCode::INTERNAL_SERVER_ERROR, "The probe ended early; the log says why.".to_owned())
            }
        };
        let mut response = plain(status, format!("{text}\n"));
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

pub(super) async fn probe(State(app): State<App>, uri: Uri, headers: HeaderMap) -> Response {
    let Some(probes) = app.pages.probes() else { return plain(StatusCode::NOT_FOUND, OFF.to_owned()) };
    let Parameters { target, module, debug } = match Parameters::parse(uri.query().unwrap_or_default()) {
        Ok(parameters) => parameters,
        Err(text) => return Refusal::Wrong(text).response(),
    };
    let format = negotiate::format(texts(&headers, &ACCEPT));
    let probed = match probes.probe(Ask { target, module, limit: limit(&headers) }).await {
        Ok(probed) => probed,
        Err(refusal) => return refusal.response(),
    };
    if debug {
        let said = match &probed.result {
            Ok(batch) => format!("{} readings", batch.readings.len()),
            Err(error) => error.to_string(),
        };
        let page = String::from_utf8_lossy(&probed.page(negotiate::Format::Text)).into_owned();
        return plain(StatusCode::OK, format!("{} ({}): {said}\n\n{page}", probed.meter, probed.driver));
    }
    // No idle connection for each of thousands of targets.
    let head = [(CONTENT_TYPE, format.content_type()), (VARY, "Accept"), (CONNECTION, "close")];
    (head, probed.page(format)).into_response()
}

fn plain(status: StatusCode, text: String) -> Response {
    let head = [(CONTENT_TYPE, PLAIN), (X_CONTENT_TYPE_OPTIONS, "nosniff"), (CONNECTION, "close")];
    (status, head, text).into_response()
}

struct Parameters {
    target: String,
    module: String,
    /// Whether the client is a person who wants to know why.
    debug: bool,
}

impl Parameters {
    fn parse(query: &str) -> Result<Self, String> {
        let mut given = [("target", None), ("module", None), ("debug", None)];
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            // Others are none of ours: Prometheus sends whatever `params` holds.
            let Some((name, place)) = given.iter_mut().find(|(known, _)| *known == name) else { continue };
            if place.replace(value.into_owned()).is_some() {
                return Err(format!("`{name}` is given twice; {USAGE}."));
            }
        }
        let [(_, target), (_, module), (_, debug)] = given;
        let need = |value: Option<String>, name| {
            value.filter(|v| !v.is_empty()).ok_or_else(|| format!("`{name}` is missing; {USAGE}."))
        };
        Ok(Self {
            target: need(target, "target")?,
            module: need(module, "module")?,
            debug: debug.is_some_and(|d| d == "true"),
        })
    }
}

/// The time that the client leaves us; none if it does not say it in a way that makes sense.
fn limit(headers: &HeaderMap) -> Option<Duration> {
    let mut values = headers.get_all(SCRAPE_TIMEOUT).into_iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let seconds: f64 = value.to_str().ok()?.trim().parse().ok()?;
    let limit = Duration::try_from_secs_f64(seconds).ok().filter(|limit| !limit.is_zero())?;
    Some(limit.saturating_sub(WAY_BACK).max(limit / 2))
}

#[cfg(test)]
mod tests {
    use axum::http::Request;
    use bytes::Bytes;
    use hyper::service::Service as _;
    use hyper_util::service::TowerToHyperService;

    use super::*;
    use crate::exposition::Format;
    use crate::http::{MetricsPath, Pages, Status, router};
    use crate::model::{ErrorKind, PollError};

    /// Answers after a minute: with what was asked, or a refusal.
    struct Slow(Option<Refusal>);

    impl Probes for Slow {
        fn probe(&self, ask: Ask) -> BoxFuture<'_, Result<Arc<Probed>, Refusal>> {
            Box::pin(async move {
                let took = Duration::from_secs(60);
                tokio::time::sleep(took).await;
                let result = Err(PollError::new(ErrorKind::Timeout, "no answer", "wait"));
                let probed = Probed { meter: ask.target, driver: "ipmi", took, result };
                self.0.clone().map_or(Ok(Arc::new(probed)), Err)
            })
        }
    }

    struct On(Option<Arc<Slow>>);

    impl Pages for On {
        fn metrics(&self, _: Format, _: bool) -> Bytes {
            Bytes::new()
        }

        fn status(&self) -> Status {
            let (devices, hypervisors) = (Vec::new(), Vec::new());
            let (version, revision) = (String::new(), String::new());
            Status { version, revision, uptime_seconds: 0.0, devices, hypervisors }
        }

        fn ready(&self) -> bool {
            true
        }

        fn probes(&self) -> Option<Arc<dyn Probes>> {
            self.0.clone().map(|slow| slow as Arc<dyn Probes>)
        }
    }

    async fn answer(probes: Option<Slow>) -> Response {
        let pages = Arc::new(On(probes.map(Arc::new)));
        let service = TowerToHyperService::new(router(pages, MetricsPath::default()));
        let request = Request::get("/probe?target=10.0.0.11&module=bmc").body(String::new()).unwrap();
        service.call(request).await.unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_may_take_longer_than_any_other_page() {
        let response = answer(Some(Slow(None))).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers().get(CONNECTION).unwrap(), "close");
    }

    #[tokio::test(start_paused = true)]
    async fn each_refusal_has_its_status_and_what_may_be_asked_again_says_when() {
        for (refusal, status) in [
            (Refusal::Wrong("a".into()), 400),
            (Refusal::Forbidden("a".into()), 403),
            (Refusal::Broken, 500),
            (Refusal::Full, 503),
            (Refusal::Stopping, 503),
        ] {
            let response = answer(Some(Slow(Some(refusal)))).await;
            assert_eq!(response.status().as_u16(), status);
            assert_eq!(response.headers().contains_key(RETRY_AFTER), status == 503);
        }
        assert_eq!(answer(None).await.status(), StatusCode::NOT_FOUND);
    }

    fn limit_of(values: &[&[u8]]) -> Option<f64> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(SCRAPE_TIMEOUT, HeaderValue::from_bytes(value).unwrap());
        }
        limit(&headers).map(|limit| limit.as_secs_f64())
    }

    #[test]
    fn half_a_second_is_for_the_way_back_but_never_more_than_half() {
        for (value, expected) in [("10", 9.5), ("10.000000", 9.5), ("1", 0.5), ("0.4", 0.2), (" 2 ", 1.5)] {
            assert_eq!(limit_of(&[value.as_bytes()]), Some(expected), "{value}");
        }
    }

    #[test]
    fn a_time_that_makes_no_sense_is_no_time() {
        for value in [
            "",
            "0",
            "-0",
            "-1",
            "nan",
            "inf",
            "-inf",
            "1e400",
            "1e30",
            "0x10",
            "10s",
            "1,5",
            "99999999999999999999999",
        ] {
            assert_eq!(limit_of(&[value.as_bytes()]), None, "{value}");
        }
        assert_eq!(limit_of(&[b"\xff\xff"]), None);
        assert_eq!(limit_of(&[b"10", b"20"]), None);
        assert_eq!(limit_of(&[]), None);
    }

    #[test]
    fn parameters_stand_once_and_say_what_is_missing() {
        let parse = |query| Parameters::parse(query).map(|p| (p.target, p.module, p.debug));
        let good = |t: &str, m: &str, d| Ok((t.to_owned(), m.to_owned(), d));
        assert_eq!(parse("target=10.0.0.11%3A623&module=bmc"), good("10.0.0.11:623", "bmc", false));
        assert_eq!(parse("module=a+b&x=y&target=%5B::1%5D&debug=true"), good("[::1]", "a b", true));
        for (query, word) in [
            ("", "`target` is missing"),
            ("target=&module=bmc", "`target` is missing"),
            ("target=a", "`module` is missing"),
            ("target=a&target=b&module=bmc", "`target` is given twice"),
            ("target=a&module=bmc&module=bmc", "`module` is given twice"),
        ] {
            let error = parse(query).unwrap_err();
            assert!(error.starts_with(word) && error.ends_with("module=NAME."), "{query}: {error}");
        }
    }
}
