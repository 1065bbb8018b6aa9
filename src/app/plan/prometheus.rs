//! `prometheus`: from configuration to settings.

use std::time::Duration;

use super::http::trust;
use crate::config::{self, PrometheusAccess, PrometheusPick, PrometheusQuality, PrometheusSource};
use crate::drivers::channels::Template;
use crate::drivers::prometheus::{Access, Pick, Series, Settings, Source};
use crate::model::Quality;

/// Prometheus servers scrape once a minute, unless told otherwise: a sample may be as old as that, and late.
const MAX_AGE: Duration = Duration::from_secs(120);

/// Settings of the driver, and its address for people: without its query, in which a token may stand.
pub(super) fn settings(of: &config::Prometheus, poll: &config::Poll) -> (Settings, String) {
    let bare = |url: &str| url.split('?').next().unwrap_or_default().to_owned();
    let (source, address) = match &of.source {
        PrometheusSource::Server(url) => (Source::Server(url.clone()), bare(url)),
        PrometheusSource::Page(url) => (Source::Page(url.clone()), bare(url)),
        PrometheusSource::File(path) => (Source::File(path.clone()), path.display().to_string()),
    };
    let settings = Settings {
        source,
        access: match &of.access {
            PrometheusAccess::Open => Access::Open,
            PrometheusAccess::Basic(user, secret) => Access::Basic(user.clone(), secret.value.clone()),
            PrometheusAccess::Bearer(secret) => Access::Bearer(secret.value.clone()),
        },
        trust: trust(&of.trust),
        headers: of.headers.clone(),
        request_timeout: of.request_timeout,
        max_age: of.max_age.unwrap_or_else(|| MAX_AGE.max(poll.stale_after)),
        series: of.series.iter().map(series).collect(),
    };
    (settings, address)
}

fn series(of: &config::PrometheusSeries) -> Series {
    Series {
        pick: match &of.pick {
            PrometheusPick::Query(query) => Pick::Query(query.clone()),
            PrometheusPick::Metric { name, labels, patterns } => {
                Pick::Metric { name: name.clone(), labels: labels.clone(), patterns: patterns.clone() }
            }
        },
        quantity: of.quantity,
        // The configuration has seen that its braces pair.
        channel: Template::parse(&of.channel).unwrap_or_else(|_| Template::fixed(of.channel.clone())),
        scale: of.scale,
        step: of.step,
        wraps_at: of.wraps_at,
        quality: match of.quality {
            PrometheusQuality::Measured => Quality::Measured,
            PrometheusQuality::Estimated => Quality::Estimated,
        },
    }
}
