//! The two text formats: classic 0.0.4 and OpenMetrics 1.0.0, written straight into a byte buffer.
//!
//! Labels come rendered ([`LabelSet`]) and names come from the catalog, so a sample is a few copies and one number. There
//! is no way to write a value that is absent: the caller has none to give.

use std::sync::Arc;

use crate::exposition::catalog::{Family, Kind, Unit};
use crate::exposition::kept::{Kept, is_kept};
use crate::exposition::negotiate::Format;
use crate::model::LabelSet;

mod value;

pub use value::Value;

/// Writes one page. Families are written one after the other, each at most once.
#[derive(Debug)]
pub struct Encoder {
    out: Vec<u8>,
    format: Format,
    /// What was begun, to notice a family that is begun twice.
    begun: Vec<&'static str>,
    counters: Counters,
}

/// Which counters a page shows.
#[derive(Debug)]
enum Counters {
    /// Those that are written.
    Live,
    /// Those that were kept.
    Kept(Arc<Kept>),
    /// Those that are written, and nothing else.
    Only,
}

impl Encoder {
    /// Begins a page in `format`. What `buffer` holds is dropped, its room is used.
    #[must_use]
    pub fn new(format: Format, mut buffer: Vec<u8>) -> Self {
        buffer.clear();
        Self { out: buffer, format, begun: Vec::new(), counters: Counters::Live }
    }

    /// Begins a page of what is kept over restarts only.
    pub(super) fn of_kept(format: Format) -> Self {
        Self { counters: Counters::Only, ..Self::new(format, Vec::new()) }
    }

    /// From now on what is kept over restarts stands as it was kept, whatever is written.
    pub fn show(&mut self, kept: Arc<Kept>) {
        self.counters = Counters::Kept(kept);
    }

    /// Begins `family`. Its head is written with its first sample, so a family without samples leaves no trace.
    pub fn family(&mut self, family: &'static Family) -> FamilyEncoder<'_> {
        debug_assert!(!self.begun.contains(&family.name), "{} is begun twice", family.name);
        self.begun.push(family.name);
        let mut encoder =
            FamilyEncoder { out: &mut self.out, format: self.format, family, headed: false, muted: false };
        match &self.counters {
            Counters::Live => {}
            Counters::Only => encoder.muted = !is_kept(family),
            Counters::Kept(kept) => {
                if is_kept(family) {
                    encoder.copy(kept.lines(family));
                    encoder.muted = true;
                }
            }
        }
        encoder
    }

    /// Ends the page and hands over its bytes.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        match self.format {
            Format::Text => {}
            Format::OpenMetrics => self.out.extend_from_slice(b"# EOF\n"),
        }
        self.out
    }
}

/// Writes the samples of one family.
#[derive(Debug)]
pub struct FamilyEncoder<'a> {
    out: &'a mut Vec<u8>,
    format: Format,
    family: &'static Family,
    headed: bool,
    /// Whether its samples are dropped.
    muted: bool,
}

impl FamilyEncoder<'_> {
    /// Lines that were written before.
    fn copy(&mut self, lines: &[u8]) {
        if !lines.is_empty() {
            self.head();
            self.out.extend_from_slice(lines);
        }
    }

    /// One sample.
    pub fn sample(&mut self, labels: &LabelSet, value: impl Into<Value>) {
        self.write(labels, "", value.into());
    }

    /// One sample with a label more, rendered in the code: `part="idle"`.
    pub fn sample_with(&mut self, labels: &LabelSet, constant: &'static str, value: impl Into<Value>) {
        self.write(labels, constant, value.into());
    }

    /// The one sample of a family without labels.
    pub fn single(&mut self, value: impl Into<Value>) {
        debug_assert!(self.family.labels.is_empty(), "{} has labels", self.family.name);
        if self.muted {
            return;
        }
        self.head();
        self.line("", "", "", value.into());
    }

    /// One member of an info family.
    pub fn info(&mut self, labels: &LabelSet) {
        debug_assert_eq!(self.family.kind, Kind::Info, "{}", self.family.name);
        self.write(labels, "", Value::Count(1));
    }

    /// One histogram: its buckets up to `+Inf`, sum and count.
    pub fn histogram(&mut self, labels: &LabelSet, histogram: &HistogramView<'_>) {
        debug_assert_eq!(self.family.kind, Kind::Histogram, "{}", self.family.name);
        debug_assert_eq!(histogram.bounds.len() + 1, histogram.counts.len(), "{}", self.family.name);
        self.check(labels, "");
        if self.muted {
            return;
        }
        self.head();
        let bounds = histogram.bounds.iter().copied().chain([f64::INFINITY]);
        let mut so_far: u64 = 0;
        for (bound, count) in bounds.zip(histogram.counts) {
            so_far = so_far.saturating_add(*count);
            self.line("_bucket", labels.as_str(), &value::bound(bound), Value::Count(so_far));
        }
        self.line("_sum", labels.as_str(), "", Value::Float(histogram.sum));
        self.line("_count", labels.as_str(), "", Value::Count(so_far));
    }

    #[inline]
    fn write(&mut self, labels: &LabelSet, constant: &str, value: Value) {
        if self.muted {
            return;
        }
        self.check(labels, constant);
        if !self.headed {
            self.head();
        }
        self.line("", labels.as_str(), constant, value);
    }

    #[inline]
    fn line(&mut self, suffix: &str, labels: &str, constant: &str, value: Value) {
        let name = self.family.name;
        let out = &mut *self.out;
        // One growth check for the whole line: the parts, braces, comma, blank, line feed, and the longest number.
        out.reserve(name.len() + suffix.len() + labels.len() + constant.len() + value::MAX_BYTES + 5);
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(suffix.as_bytes());
        if !(labels.is_empty() && constant.is_empty()) {
            out.push(b'{');
            out.extend_from_slice(labels.as_bytes());
            if !(labels.is_empty() || constant.is_empty()) {
                out.push(b',');
            }
            out.extend_from_slice(constant.as_bytes());
            out.push(b'}');
        }
        out.push(b' ');
        value.write(out);
        out.push(b'\n');
    }

    /// HELP, TYPE and, in OpenMetrics where the name ends in it, UNIT; once.
    fn head(&mut self) {
        if std::mem::replace(&mut self.headed, true) {
            return;
        }
        let family = self.family;
        let (name, kind) = match self.format {
            Format::Text => (family.name, family.kind.classic()),
            Format::OpenMetrics => (family.base_name(), family.kind.openmetrics()),
        };
        self.comment("HELP", name);
        escape_help(family.help, self.format, self.out);
        self.out.push(b'\n');
        self.comment("TYPE", name);
        self.out.extend_from_slice(kind.as_bytes());
        self.out.push(b'\n');
        match (self.format, family.unit) {
            (Format::Text, _) | (Format::OpenMetrics, Unit::None) => {}
            (Format::OpenMetrics, unit) => {
                self.comment("UNIT", name);
                self.out.extend_from_slice(unit.name().as_bytes());
                self.out.push(b'\n');
            }
        }
    }

    fn comment(&mut self, keyword: &str, name: &str) {
        for part in ["# ", keyword, " ", name, " "] {
            self.out.extend_from_slice(part.as_bytes());
        }
    }

    /// In debug builds: every label of a sample is one that the catalog promises, so that code and documentation
    /// cannot drift apart unnoticed.
    fn check(&self, labels: &LabelSet, constant: &str) {
        if cfg!(debug_assertions) {
            for name in label_names(labels.as_str()).chain(label_names(constant)) {
                debug_assert!(self.family.has_label(name), "{}: no label {name}", self.family.name);
            }
        }
    }
}

/// A histogram's state, borrowed from whoever counts.
#[derive(Debug, Clone, Copy)]
pub struct HistogramView<'a> {
    /// Upper bounds, rising, without `+Inf`, in the family's unit.
    pub bounds: &'a [f64],
    /// Observations in each bucket, not cumulated; one more than bounds, the last beyond every bound.
    pub counts: &'a [u64],
    /// Sum of all observations, in the family's unit.
    pub sum: f64,
}

/// Escapes a help text: backslash and line feed in both formats, the quote only in OpenMetrics.
fn escape_help(help: &str, format: Format, out: &mut Vec<u8>) {
    for byte in help.bytes() {
        match (byte, format) {
            (b'\\', Format::Text | Format::OpenMetrics) => out.extend_from_slice(b"\\\\"),
            (b'\n', Format::Text | Format::OpenMetrics) => out.extend_from_slice(b"\\n"),
            (b'"', Format::OpenMetrics) => out.extend_from_slice(b"\\\""),
            (other, Format::Text | Format::OpenMetrics) => out.push(other),
        }
    }
}

/// The label names in rendered text; quotes inside values are always escaped, so `"` ends a value where no backslash
/// escapes it.
fn label_names(rendered: &str) -> impl Iterator<Item = &str> {
    let mut rest = rendered;
    std::iter::from_fn(move || {
        let (name, tail) = rest.trim_start_matches(',').split_once("=\"")?;
        let mut escaped = false;
        let end = tail.find(|c| {
            let ends = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            ends
        })?;
        rest = tail.get(end + 1..)?;
        Some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exposition::catalog;
    use crate::model::Microjoules;

    fn page(format: Format, write: impl Fn(&mut Encoder)) -> String {
        let mut encoder = Encoder::new(format, b"old".to_vec());
        write(&mut encoder);
        String::from_utf8(encoder.finish()).unwrap()
    }

    #[test]
    fn a_family_without_samples_leaves_no_trace() {
        let write = |e: &mut Encoder| {
            e.family(&catalog::METER_UP);
        };
        assert_eq!(page(Format::Text, write), "");
        assert_eq!(page(Format::OpenMetrics, write), "# EOF\n");
    }

    #[test]
    fn openmetrics_names_the_family_without_its_suffix_and_states_its_unit() {
        let labels = LabelSet::new(&[("datacenter", "d"), ("project_id", "p")]);
        let text = page(Format::OpenMetrics, |e| {
            e.family(&catalog::TENANT_ENERGY_JOULES_TOTAL).sample(&labels, Microjoules(1_500_000));
        });
        let expected = "\
# HELP wattribute_tenant_energy_joules Energy given to all workloads of a tenant, ended ones included
# TYPE wattribute_tenant_energy_joules counter
# UNIT wattribute_tenant_energy_joules joules
wattribute_tenant_energy_joules_total{datacenter=\"d\",project_id=\"p\"} 1.5
# EOF
";
        assert_eq!(text, expected);
    }

    #[test]
    fn help_is_escaped_as_each_format_asks() {
        let escape = |format| {
            let mut out = Vec::new();
            escape_help("a\\b\n\"c\"", format, &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(escape(Format::Text), r#"a\\b\n"c""#);
        assert_eq!(escape(Format::OpenMetrics), r#"a\\b\n\"c\""#);
    }

    #[test]
    fn label_names_are_found_behind_hostile_values() {
        let labels = LabelSet::new(&[("a", "x\",b=\"y"), ("c", "\\"), ("d", "\\\"")]);
        assert_eq!(label_names(labels.as_str()).collect::<Vec<_>>(), ["a", "c", "d"]);
        assert_eq!(label_names("").count(), 0);
    }

    #[test]
    #[cfg(debug_assertions)]
    #[should_panic(expected = "no label rack")]
    fn a_label_that_the_catalog_does_not_know_is_noticed() {
        page(Format::Text, |e| {
            e.family(&catalog::METER_UP).sample(&LabelSet::new(&[("rack", "r")]), true);
        });
    }

    #[test]
    fn a_histogram_cumulates_its_buckets() {
        let view = HistogramView { bounds: &[0.5, 1.0], counts: &[2, 0, 3], sum: 7.25 };
        let labels = LabelSet::new(&[("driver", "snmp")]);
        let text =
            page(Format::Text, |e| e.family(&catalog::POLL_DURATION_SECONDS).histogram(&labels, &view));
        let samples: Vec<_> = text.lines().filter(|l| !l.starts_with('#')).collect();
        assert_eq!(
            samples,
            [
                r#"wattribute_poll_duration_seconds_bucket{driver="snmp",le="0.5"} 2"#,
                r#"wattribute_poll_duration_seconds_bucket{driver="snmp",le="1.0"} 2"#,
                r#"wattribute_poll_duration_seconds_bucket{driver="snmp",le="+Inf"} 5"#,
                r#"wattribute_poll_duration_seconds_sum{driver="snmp"} 7.25"#,
                r#"wattribute_poll_duration_seconds_count{driver="snmp"} 5"#,
            ]
        );
    }
}
