//! Content negotiation: which format and coding a client asked for, from its `Accept` and `Accept-Encoding` headers.
//! Hostile or unknown headers mean the default; negotiation never fails a scrape.

/// The formats there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Format {
    /// Classic Prometheus text 0.0.4, the default.
    #[default]
    Text,
    /// OpenMetrics 1.0.0.
    OpenMetrics,
}

impl Format {
    /// The `Content-Type` of a page. Formats of version 1.0.0 name the escaping of metric names, too; all of ours
    /// are of the old alphabet, so any scheme is true.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => {
                "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores"
            }
        }
    }

    const fn media_type(self) -> (&'static str, &'static str) {
        match self {
            Self::Text => ("text", "plain"),
            Self::OpenMetrics => ("application", "openmetrics-text"),
        }
    }

    const fn version(self) -> &'static str {
        match self {
            Self::Text => "0.0.4",
            Self::OpenMetrics => "1.0.0",
        }
    }
}

/// How much a client wants something: thousandths, 0 is never.
type Quality = u16;

/// The format for the values of all `Accept` headers of a request: highest `q` first, then the more specific range;
/// classic text where nothing decides or nothing fits.
pub fn format<'a>(accept: impl IntoIterator<Item = &'a str>) -> Format {
    let mut best: Option<(Quality, Specificity, Format)> = None;
    let ranges: Vec<Range<'_>> =
        accept.into_iter().flat_map(|value| value.split(',')).filter_map(Range::parse).collect();
    for format in [Format::Text, Format::OpenMetrics] {
        // The most specific range that fits says how much this format is wanted (RFC 9110, 12.5.1).
        let fitting =
            ranges.iter().filter_map(|r| r.fits(format).map(|specificity| (specificity, r.quality)));
        let Some((specificity, quality)) = fitting.max() else { continue };
        let better = best.is_none_or(|(q, s, _)| (quality, specificity) > (q, s));
        if quality > 0 && better {
            best = Some((quality, specificity, format));
        }
    }
    best.map_or(Format::Text, |(.., format)| format)
}

/// Whether the values of all `Accept-Encoding` headers of a request ask for gzip, at least as much as for none.
pub fn gzip<'a>(accept_encoding: impl IntoIterator<Item = &'a str>) -> bool {
    let (mut gzip, mut any, mut identity) = (None, None, None);
    for item in accept_encoding.into_iter().flat_map(|value| value.split(',')) {
        let mut parts = item.split(';');
        let coding = parts.next().unwrap_or_default().trim();
        let Some(quality) = quality(parts) else { continue };
        if coding.eq_ignore_ascii_case("gzip") || coding.eq_ignore_ascii_case("x-gzip") {
            gzip = gzip.max(Some(quality));
        } else if coding == "*" {
            any = any.max(Some(quality));
        } else if coding.eq_ignore_ascii_case("identity") {
            identity = identity.max(Some(quality));
        }
    }
    let wanted = gzip.or(any).unwrap_or(0);
    wanted > 0 && wanted >= identity.unwrap_or(0)
}

/// How closely a range names a format, loosest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Specificity {
    /// `*/*`
    Anything,
    /// `text/*`
    Type,
    /// `text/plain`
    Subtype,
    /// `text/plain; version=0.0.4`
    Version,
}

/// One range of an `Accept` header.
#[derive(Debug)]
struct Range<'a> {
    kind: &'a str,
    subtype: &'a str,
    version: Option<&'a str>,
    quality: Quality,
}

impl<'a> Range<'a> {
    fn parse(item: &'a str) -> Option<Self> {
        let mut parts = item.split(';');
        let (kind, subtype) = parts.next()?.trim().split_once('/')?;
        let version = parts.clone().find_map(|part| parameter(part, "version"));
        Some(Self { kind, subtype, version, quality: quality(parts)? })
    }

    fn fits(&self, format: Format) -> Option<Specificity> {
        let (kind, subtype) = format.media_type();
        if self.kind == "*" && self.subtype == "*" {
            return Some(Specificity::Anything);
        }
        if !self.kind.eq_ignore_ascii_case(kind) {
            return None;
        }
        if self.subtype == "*" {
            return Some(Specificity::Type);
        }
        if !self.subtype.eq_ignore_ascii_case(subtype) {
            return None;
        }
        match self.version {
            None => Some(Specificity::Subtype),
            Some(version) if version == format.version() => Some(Specificity::Version),
            Some(_) => None,
        }
    }
}

/// The value of `name` in a `name=value` part, without quotes.
fn parameter<'a>(part: &'a str, name: &str) -> Option<&'a str> {
    let (key, value) = part.split_once('=')?;
    key.trim().eq_ignore_ascii_case(name).then(|| value.trim().trim_matches('"'))
}

/// The `q` among `parts`: 1 where it is not given, none where it is not a number from 0 to 1.
fn quality<'a>(parts: impl Iterator<Item = &'a str>) -> Option<Quality> {
    let Some(text) = parts.into_iter().find_map(|part| parameter(part, "q")) else { return Some(1000) };
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.len() > 3 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let thousandths: Quality = format!("{fraction:0<3}").parse().ok()?;
    match (whole, thousandths) {
        ("0", thousandths) => Some(thousandths),
        ("1", 0) => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Prometheus 2.42 and 3.x send them.
    const PROMETHEUS_2: &str = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
    const PROMETHEUS_3: &str = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1";

    #[test]
    fn the_format_is_the_one_asked_for_and_classic_text_otherwise() {
        use Format::{OpenMetrics, Text};
        for (accept, expected) in [
            (PROMETHEUS_2, OpenMetrics),
            (PROMETHEUS_3, OpenMetrics),
            // With native histograms, Prometheus asks for protobuf first.
            (
                "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.2",
                OpenMetrics,
            ),
            ("", Text),
            ("*/*", Text),
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", Text),
            ("text/plain", Text),
            ("text/*", Text),
            ("application/*", OpenMetrics),
            ("application/openmetrics-text", OpenMetrics),
            ("APPLICATION/OpenMetrics-Text; Version=\"1.0.0\"", OpenMetrics),
            // What we cannot write is no match.
            ("application/openmetrics-text;version=0.0.1", Text),
            ("application/openmetrics-text;version=2.0.0", Text),
            ("text/plain;version=1.0.0,application/openmetrics-text;version=1.0.0;q=0.1", OpenMetrics),
            // q decides before specificity, specificity before the default.
            ("application/openmetrics-text;version=1.0.0;q=0.4,text/plain;q=0.5", Text),
            ("application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.5", OpenMetrics),
            ("application/openmetrics-text;q=0.5,*/*;q=0.5", OpenMetrics),
            ("application/openmetrics-text;q=0.2,*/*;q=0.5", Text),
            ("application/openmetrics-text,text/plain", Text),
            // 0 is never, also where a looser range would allow it.
            ("application/openmetrics-text;q=0,*/*", Text),
            ("text/plain;q=0,*/*;q=0.5", OpenMetrics),
            ("text/plain;q=0,application/openmetrics-text;q=0", Text),
            // Rubbish is no range.
            ("application/openmetrics-text;q=nan", Text),
            ("application/openmetrics-text;q=1.5", Text),
            ("application/openmetrics-text;q=-1", Text),
            ("application/openmetrics-text;q=0.12345", Text),
            (",,;;q=,/,*/,=", Text),
        ] {
            assert_eq!(format([accept]), expected, "{accept}");
        }
    }

    #[test]
    fn several_headers_are_one_list() {
        assert_eq!(format(["text/plain;q=0.1", "application/openmetrics-text"]), Format::OpenMetrics);
        assert_eq!(format([]), Format::Text);
        assert!(gzip(["br", "gzip"]));
    }

    #[test]
    fn gzip_is_sent_only_to_who_asks_for_it() {
        for (accept_encoding, expected) in [
            ("gzip", true),
            ("GZIP", true),
            ("x-gzip", true),
            ("deflate, gzip;q=1.0, *;q=0.5", true),
            ("gzip;q=0.001", true),
            ("*", true),
            ("gzip, deflate, br, zstd", true),
            ("", false),
            ("identity", false),
            ("br", false),
            ("gzip;q=0", false),
            ("gzip; q=0.000", false),
            ("gzip;q=0, *", false),
            ("*;q=0", false),
            ("gzip;q=0.5, identity", false),
            ("gzip, identity;q=0.5", true),
            ("gzip;q=two", false),
            ("gzipped", false),
        ] {
            assert_eq!(gzip([accept_encoding]), expected, "{accept_encoding}");
        }
    }
}
