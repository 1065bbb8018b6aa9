//! `prometheus` of a meter.

use std::path::Path;
use std::time::Duration;

use regex::{Regex, RegexBuilder};

use super::Check;
use crate::config::field::Field;
use crate::config::leaf::FilePath;
use crate::config::problem::{Mark, nearest, shown};
use crate::config::schema;
use crate::config::types::{
    Prometheus, PrometheusAccess, PrometheusPick, PrometheusSeries, PrometheusSource,
};
use crate::model::{ChannelId, Quantity};

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(3);
/// A poll asks them one by one.
const MAX_SERIES: usize = 100;
const MAX_QUERY_BYTES: usize = 4000;
/// A compiled regular expression takes at most as much memory, bytes.
const MAX_REGEX_BYTES: usize = 1 << 20;

type Words = Field<std::collections::BTreeMap<String, Field<String>>>;

impl Check<'_> {
    /// Checks the section; `timeout` is the poll's.
    pub(super) fn prometheus(
        &mut self,
        raw: &schema::Prometheus,
        at: Mark,
        folder: &Path,
        timeout: Duration,
    ) -> Option<Prometheus> {
        let source = self.source(raw, at, folder);
        let access = self.access(raw, at, folder);
        let trust = self.trust(&raw.ca_file, &raw.fingerprint, folder);
        let address = raw.server.located().or_else(|| raw.page.located());
        if let (Some((_, at)), Some(PrometheusSource::Server(url) | PrometheusSource::Page(url))) =
            (address, &source)
        {
            let secret = !matches!(access, Some(PrometheusAccess::Open));
            self.plain(url, at, secret, (&raw.ca_file, &raw.fingerprint));
        }
        let headers = self.headers(&raw.headers);
        let outer = ("the poll's `timeout`", timeout);
        let request_timeout = self.deadline(&raw.timeout, DEFAULT_TIMEOUT, outer);
        self.need(&raw.series, at, "series", "say which series are which channels");
        let whole = raw.series.get().is_some_and(|all| all.iter().all(|one| one.get().is_some()));
        let mut series = Vec::new();
        let mut good = whole;
        for (one, at) in raw.series.items() {
            let checked = self.series(one, at, raw.server.is_absent());
            good &= checked.is_some();
            series.extend(checked);
        }
        if series.len() > MAX_SERIES {
            let what = format!("`series` has {} entries, more than {MAX_SERIES}", series.len());
            self.error(at, what, "read more of them with one entry, or define a second meter");
        }
        let max_age = self.span(&raw.max_age).map(|(age, _)| age);
        if let Some((_, at)) = raw.file.located() {
            self.without_network(raw, at);
        }
        let (source, access, trust) = (source?, access?, trust?);
        good.then_some(Prometheus { source, access, headers, trust, request_timeout, max_age, series })
    }

    fn source(&self, raw: &schema::Prometheus, at: Mark, folder: &Path) -> Option<PrometheusSource> {
        match (&raw.server, &raw.page, &raw.file) {
            (Field::Absent, Field::Absent, Field::Absent) => {
                let fix = "add `server: http://HOST:9090`, `page: http://HOST:PORT/metrics`, or `file: /PATH/TO.prom`";
                self.error(at, "none of `server`, `page` and `file` is given", fix);
                None
            }
            (server, Field::Absent, Field::Absent) => {
                self.web_url(server, false).map(PrometheusSource::Server)
            }
            (Field::Absent, page, Field::Absent) => self.web_url(page, true).map(PrometheusSource::Page),
            // Whether it is there is seen when it is read: its program may start later.
            (Field::Absent, Field::Absent, file) => {
                file.get().map(|FilePath(path)| PrometheusSource::File(folder.join(path)))
            }
            (_, _, _) => {
                let fix = "keep one; define a second meter for the other";
                self.error(at, "more than one of `server`, `page` and `file` is given", fix);
                None
            }
        }
    }

    /// What nobody asks for in front of a file.
    fn without_network(&self, raw: &schema::Prometheus, at: Mark) {
        let foreign = [
            ("username", raw.username.is_absent()),
            ("password_file", raw.password_file.is_absent()),
            ("password_env", raw.password_env.is_absent()),
            ("bearer_token_file", raw.bearer_token_file.is_absent()),
            ("bearer_token_env", raw.bearer_token_env.is_absent()),
            ("headers", raw.headers.is_absent()),
            ("ca_file", raw.ca_file.is_absent()),
            ("fingerprint", raw.fingerprint.is_absent()),
            ("timeout", raw.timeout.is_absent()),
        ];
        self.refuse(&foreign, at, "`server` and `page`, not for a file", "remove it");
    }

    fn access(&mut self, raw: &schema::Prometheus, at: Mark, folder: &Path) -> Option<PrometheusAccess> {
        let named = !raw.username.is_absent();
        let password = !raw.password_file.is_absent() || !raw.password_env.is_absent();
        let token = !raw.bearer_token_file.is_absent() || !raw.bearer_token_env.is_absent();
        if token && (named || password) {
            self.error(at, "both a password and a token are given", "keep one of the two");
            return None;
        }
        if token {
            let secret = self.secret(folder, "bearer_token", &raw.bearer_token_file, &raw.bearer_token_env);
            return secret.map(PrometheusAccess::Bearer);
        }
        let keys = (&raw.password_file, &raw.password_env);
        match self.credentials(&raw.username, keys, at, folder) {
            Some((user, secret)) => Some(PrometheusAccess::Basic(user, secret)),
            None if named || password => None,
            None => Some(PrometheusAccess::Open),
        }
    }

    fn headers(&self, raw: &Words) -> Vec<(String, String)> {
        let mut headers = Vec::new();
        for (name, field) in raw.get().into_iter().flatten() {
            let Some((value, at)) = field.located() else { continue };
            let token = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
            let lower = name.to_ascii_lowercase();
            if matches!(lower.as_str(), "authorization" | "cookie" | "proxy-authorization") {
                // The value is not shown: it is a secret.
                let fix = "use `username` and `password_file`, or `bearer_token_file`";
                self.error(at, format!("`{lower}` is no header to set here"), fix);
            } else if name.is_empty() || !name.bytes().all(token) {
                self.error(
                    at,
                    format!("`{}` is no header", shown(name)),
                    "write a name such as X-Scope-OrgID",
                );
            } else if value.len() > 1000 || !value.bytes().all(|b| (b' '..=b'~').contains(&b)) {
                self.error(
                    at,
                    format!("the value of header `{name}` is no plain text"),
                    "write up to 1000 plain characters",
                );
            } else {
                headers.push((name.clone(), value.clone()));
            }
        }
        headers
    }

    fn series(&self, raw: &schema::prometheus::Series, at: Mark, page: bool) -> Option<PrometheusSeries> {
        let pick = self.pick(raw, at, page);
        let quantity = self.need(&raw.quantity, at, "quantity", "write what is measured, such as `power`");
        let quantity =
            quantity.zip(raw.quantity.located()).and_then(|(name, (_, at))| self.quantity(name, at));
        let channel = self.need(&raw.channel, at, "channel", "name the channel, such as `psu/{name}`");
        let channel = channel.zip(raw.channel.located()).and_then(|(text, (_, at))| self.template(text, at));
        let counter = quantity == Some(Quantity::Energy);
        for (key, field) in [("step", &raw.step), ("wraps_at", &raw.wraps_at)] {
            if let (Some((_, at)), Some(quantity), false) = (field.located(), quantity, counter) {
                self.error(at, format!("`{key}` is for energy, not for {}", quantity.name()), "remove it");
            }
        }
        Some(PrometheusSeries {
            pick: pick?,
            quantity: quantity?,
            channel: channel?,
            scale: raw.scale.get().copied().unwrap_or(1.0),
            step: raw.step.get().copied().unwrap_or(1.0),
            wraps_at: raw.wraps_at.get().copied(),
            quality: raw.quality.get().copied().unwrap_or_default(),
        })
    }

    fn pick(&self, raw: &schema::prometheus::Series, at: Mark, page: bool) -> Option<PrometheusPick> {
        match (&raw.query, &raw.metric) {
            (Field::Absent, Field::Absent) => {
                self.error(
                    at,
                    "neither `query` nor `metric` is given",
                    "name a metric, or write PromQL into `query`",
                );
                None
            }
            (Field::Is(query, at), Field::Absent) => {
                let foreign = [("labels", raw.labels.is_absent()), ("patterns", raw.patterns.is_absent())];
                self.refuse(&foreign, *at, "`metric` only", "write the labels into the query");
                if page {
                    let fix = "name a `metric` with its `labels`: a page answers no queries";
                    self.error(*at, "`query` is for `server` only", fix);
                    return None;
                }
                if query.trim().is_empty() || query.len() > MAX_QUERY_BYTES {
                    self.error(*at, "`query` is empty or too long", "write PromQL of up to 4000 bytes");
                    return None;
                }
                Some(PrometheusPick::Query(query.clone()))
            }
            (Field::Absent, Field::Is(name, at)) => {
                let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':' | '.');
                if name.is_empty() || name.len() > 200 || !name.chars().all(plain) {
                    let what = format!("`{}` is not the name of a metric", shown(name));
                    self.error(*at, what, "write the name alone; labels stand in `labels`");
                    return None;
                }
                Some(PrometheusPick::Metric {
                    name: name.clone(),
                    labels: words(&raw.labels),
                    patterns: self.patterns(&raw.patterns)?,
                })
            }
            (Field::Bad, _) | (_, Field::Bad) => None,
            (Field::Is(..), Field::Is(..)) => {
                self.error(at, "both `query` and `metric` are given", "keep one of the two");
                None
            }
        }
    }

    fn patterns(&self, raw: &Words) -> Option<Vec<(String, Regex)>> {
        let mut patterns = Vec::new();
        for (label, field) in raw.get().into_iter().flatten() {
            let (text, at) = field.located()?;
            let whole = format!("^(?:{text})$");
            match RegexBuilder::new(&whole).size_limit(MAX_REGEX_BYTES).build() {
                Ok(pattern) => patterns.push((label.clone(), pattern)),
                Err(_) => {
                    let what = format!("`{}` is not a regular expression, or too large a one", shown(text));
                    self.error(at, what, "write one such as `PS[12] Power`");
                    return None;
                }
            }
        }
        Some(patterns)
    }

    fn quantity(&self, name: &str, at: Mark) -> Option<Quantity> {
        let found = Quantity::ALL.into_iter().find(|quantity| quantity.name() == name);
        if found.is_none() {
            let names = Quantity::ALL.map(Quantity::name);
            let fix = nearest(name, names)
                .map_or_else(|| format!("choose {}", names.join(", ")), |near| format!("write {near}"));
            self.error(at, format!("`quantity` is `{}`", shown(name)), fix);
        }
        found
    }

    /// A channel's name with labels in braces.
    fn template(&self, text: &str, at: Mark) -> Option<String> {
        let mut rest = text;
        let mut bare = String::new();
        let mut good = true;
        while let Some((before, after)) = rest.split_once('{') {
            let (hole, tail) = after.split_once('}').unwrap_or(("", ""));
            good &= !hole.is_empty() && hole.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
            bare.push_str(before);
            bare.push('x');
            rest = tail;
        }
        bare.push_str(rest);
        let edges = bare.starts_with('/') || bare.ends_with('/') || bare.contains("//");
        if !good || bare.contains('}') || edges || ChannelId::new(&bare).is_err() {
            let what = format!("`{}` is no name for a channel", shown(text));
            self.error(at, what, "write words joined by `/`, with labels in braces, such as `psu/{name}`");
            return None;
        }
        Some(text.to_owned())
    }
}

fn words(raw: &Words) -> Vec<(String, String)> {
    let entries = raw.get().into_iter().flatten();
    entries.filter_map(|(name, value)| Some((name.clone(), value.get()?.clone()))).collect()
}
