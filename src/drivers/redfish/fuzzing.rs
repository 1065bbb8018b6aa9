//! Fuzz target of Redfish: the whole driver (session, discovery, plan, selection, counters) over a service that answers
//! whatever the input says. A poll ends after a bounded number of requests, all of them to the service; a reading stands
//! once; a session that was opened is given back.
//!
//! An input is text: sections that begin with a line `@ PATH [STATUS [TOKEN [LOCATION]]]`, each followed by a body. A
//! path without a section of its own gets the next one of path `*`, those over and over; `%n` in a body is the number
//! of the request, so that links may lead on without end. A status of 0 is silence. With a token somewhere, the driver
//! logs in.

#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used, reason = "that is how a run fails")]

use std::cell::RefCell;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use axum::http;
use reqwest::{Method, Response};
use tokio::runtime::Runtime;

use super::origin::{Origin, ResourcePath};
use super::poll::Redfish;
use super::{Login, Settings, Trust};
use crate::drivers::Driver;
use crate::model::{ManualClock, Moment};

/// Where the service is.
const URL: &str = "https://bmc.example";
/// Polls of one run: the first, one more, and those that look through the BMC again.
const POLLS: usize = 4;
/// The most requests of one poll: a look of 500 resources, each twice and after one new login, and the readings of 64
/// chassis with 32 supplies each.
const MOST_REQUESTS: usize = 500 * 4 + 64 * 36 * 2;
/// A resource must hold as much.
const MOST_PATH_BYTES: usize = 8 << 10;

thread_local! {
    /// The service of the run under way on this thread; none where the driver runs for real.
    static SERVICE: RefCell<Option<Service>> = const { RefCell::new(None) };
    /// One for all runs: setting it up costs more than a poll.
    static RUNTIME: Runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
}

struct Section {
    path: String,
    status: u16,
    token: Option<String>,
    location: Option<String>,
    body: String,
}

struct Service {
    origin: Origin,
    sections: Vec<Section>,
    /// Those of path `*`.
    any: Vec<usize>,
    /// Which of the sections of path `*` is next.
    next: usize,
    requests: usize,
    /// Sessions that were given out with a place to delete them at, and how many were.
    opened: usize,
    closed: usize,
}

/// What the service of this thread answers, if there is one; within, nothing is silence.
pub(super) fn answer(method: &Method, path: &ResourcePath) -> Option<Option<Response>> {
    SERVICE.with_borrow_mut(|service| service.as_mut().map(|service| service.answer(method, path)))
}

impl Service {
    fn new(input: &str) -> Self {
        let origin = Origin::parse(URL).unwrap();
        let sections: Vec<Section> =
            input.split("\n@").map(|text| section(text.strip_prefix('@').unwrap_or(text))).collect();
        let any = sections.iter().enumerate().filter(|(_, s)| s.path == "*").map(|(at, _)| at).collect();
        Self { origin, sections, any, next: 0, requests: 0, opened: 0, closed: 0 }
    }

    fn answer(&mut self, method: &Method, path: &ResourcePath) -> Option<Response> {
        self.requests += 1;
        assert!(self.requests <= MOST_REQUESTS, "requests without end");
        assert!(
            self.origin.url(path).as_str().starts_with("https://bmc.example/"),
            "a request to someone else"
        );
        assert!(path.as_str().len() <= MOST_PATH_BYTES);
        if *method == Method::DELETE {
            self.closed += 1;
        }
        let place = self.place(path.as_str())?;
        let section = self.sections.get(place)?;
        let mut response = http::Response::builder().status(section.status);
        if let Some(token) = &section.token {
            response = response.header("X-Auth-Token", token);
        }
        if let Some(location) = &section.location {
            response = response.header("Location", location);
        }
        let response = response.body(section.body.replace("%n", &self.requests.to_string())).ok()?;
        let gives_back = |at: &String| self.origin.resolve_path_only(at).is_some();
        if *method == Method::POST
            && response.status().is_success()
            && section.token.is_some()
            && section.location.as_ref().is_some_and(gives_back)
        {
            self.opened += 1;
        }
        Some(response.into())
    }

    fn place(&mut self, path: &str) -> Option<usize> {
        let bare = path.split('?').next().unwrap_or_default().trim_end_matches('/');
        let of = |wanted: &str| self.sections.iter().position(|s| s.path.trim_end_matches('/') == wanted);
        if let Some(place) = of(path).or_else(|| of(bare)) {
            return Some(place);
        }
        let turn = self.next.checked_rem(self.any.len())?;
        self.next += 1;
        self.any.get(turn).copied()
    }
}

fn section(text: &str) -> Section {
    let (head, body) = text.split_once('\n').unwrap_or((text, ""));
    let mut words = head.split_ascii_whitespace();
    Section {
        path: words.next().unwrap_or("*").to_owned(),
        status: words.next().and_then(|status| status.parse().ok()).unwrap_or(200),
        token: words.next().map(str::to_owned),
        location: words.next().map(str::to_owned),
        body: body.to_owned(),
    }
}

/// Runs one input.
pub fn redfish(input: &[u8]) {
    let Ok(input) = std::str::from_utf8(input) else { return };
    let service = Service::new(input);
    let logs_in = service.sections.iter().any(|section| section.token.is_some());
    SERVICE.set(Some(service));
    let settings = Settings {
        url: URL.to_owned(),
        credentials: logs_in.then(|| ("monitor".to_owned(), "secret".to_owned().into())),
        login: Login::Session,
        trust: Trust::Fingerprint([0; 32]),
        telemetry: true,
        stream: false,
        request_timeout: Duration::from_secs(600),
    };
    RUNTIME.with(|runtime| runtime.block_on(polls(settings)));
    let service = SERVICE.take().unwrap();
    assert!(service.closed >= service.opened, "{} sessions left behind", service.opened - service.closed);
}

async fn polls(settings: Settings) {
    let clock = Arc::new(ManualClock::at(Moment::ZERO + Duration::from_secs(1)));
    let mut driver = Redfish::new(settings, clock.clone()).unwrap();
    for _ in 0..POLLS {
        SERVICE.with_borrow_mut(|service| service.as_mut().unwrap().requests = 0);
        if let Ok(batch) = driver.poll().await {
            assert!(!batch.readings.is_empty(), "a batch without readings");
            let mut seen = HashSet::new();
            for reading in &batch.readings {
                assert!(seen.insert((&reading.channel, reading.measure.quantity())), "{reading:?} twice");
                assert!(reading.measure.value().is_finite());
            }
            let identity = batch.identity.unwrap_or_default();
            for text in [identity.vendor, identity.model, identity.serial, identity.firmware] {
                assert!(text.chars().count() <= 128 && !text.chars().any(char::is_control), "{text:?}");
            }
        }
        clock.advance(Duration::from_secs(3 * 3600));
    }
    driver.close().await;
}
