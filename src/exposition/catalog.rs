//! The catalog: what every metric is called, measures and is labelled with. A name that is not here is not served.
//!
//! The list itself stands in `catalog/families.rs`; `docs/metrics.md` is made from it by [`markdown`].

use crate::model::Quantity;

mod families;
mod markdown;

pub use families::*;
pub use markdown::markdown;

/// What a family's samples are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only ever rises, or starts again at 0.
    Counter,
    /// A value as it stands now.
    Gauge,
    /// Counts of observations by upper bound.
    Histogram,
    /// Constant 1, carrying labels to join on.
    Info,
}

impl Kind {
    /// The word in a `# TYPE` line of the classic text format, which has no info.
    #[must_use]
    pub const fn classic(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge | Self::Info => "gauge",
            Self::Histogram => "histogram",
        }
    }

    /// The word in a `# TYPE` line of OpenMetrics.
    #[must_use]
    pub const fn openmetrics(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::Info => "info",
        }
    }

    /// What every sample name of this kind ends in, beyond the name of the family.
    #[must_use]
    pub const fn suffix(self) -> &'static str {
        match self {
            Self::Counter => "_total",
            Self::Info => "_info",
            Self::Gauge | Self::Histogram => "",
        }
    }
}

/// The base unit of a family's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// No unit: counts, states, infos.
    None,
    /// Real power.
    Watts,
    /// Energy.
    Joules,
    /// Voltage.
    Volts,
    /// Current.
    Amperes,
    /// Apparent power.
    VoltAmperes,
    /// Frequency.
    Hertz,
    /// Temperature.
    Celsius,
    /// Volume over time.
    CubicMetresPerSecond,
    /// Share of one.
    Ratio,
    /// Time, or time since the Unix epoch.
    Seconds,
    /// Memory.
    Bytes,
    /// Emission intensity of electricity.
    GramsPerKilowattHour,
}

impl Unit {
    /// The unit as it ends a metric's name; empty for none.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Watts => "watts",
            Self::Joules => "joules",
            Self::Volts => "volts",
            Self::Amperes => "amperes",
            Self::VoltAmperes => "voltamperes",
            Self::Hertz => "hertz",
            Self::Celsius => "celsius",
            Self::CubicMetresPerSecond => "cubic_metres_per_second",
            Self::Ratio => "ratio",
            Self::Seconds => "seconds",
            Self::Bytes => "bytes",
            Self::GramsPerKilowattHour => "grams_per_kilowatt_hour",
        }
    }
}

/// A label of a family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Label {
    /// Its name on the series.
    pub name: &'static str,
    /// One line on what its values say.
    pub about: &'static str,
}

/// A metric family: everything about it but its samples.
#[derive(Debug, PartialEq, Eq)]
pub struct Family {
    /// The name of its samples (for a histogram without `_bucket`, `_sum`, `_count`), with prefix, unit and suffix.
    pub name: &'static str,
    /// What its samples are.
    pub kind: Kind,
    /// The unit its name ends in.
    pub unit: Unit,
    /// One sentence for its readers.
    pub help: &'static str,
    /// Its labels, in order of documentation.
    pub labels: &'static [Label],
    /// The heading it stands under in the documentation.
    pub section: &'static str,
}

impl Family {
    /// The name without `_total` or `_info`: what OpenMetrics calls the family.
    #[must_use]
    pub fn base_name(&self) -> &'static str {
        self.name.strip_suffix(self.kind.suffix()).unwrap_or(self.name)
    }

    /// Whether `sample` is the name of one of its samples.
    #[must_use]
    pub fn names(&self, sample: &str) -> bool {
        match (sample.strip_prefix(self.name), self.kind) {
            (Some(""), Kind::Counter | Kind::Gauge | Kind::Info | Kind::Histogram) => true,
            (Some("_bucket" | "_sum" | "_count"), Kind::Histogram) => true,
            (Some(_) | None, Kind::Counter | Kind::Gauge | Kind::Info | Kind::Histogram) => false,
        }
    }

    /// Whether it has a label called `name`.
    #[must_use]
    pub fn has_label(&self, name: &str) -> bool {
        self.labels.iter().any(|label| label.name == name)
    }
}

/// The gauges of a channel, with what each shows. Energy is a counter and stands apart.
pub const METER_GAUGES: [(&Family, Quantity); 9] = [
    (&METER_POWER_WATTS, Quantity::Power),
    (&METER_APPARENT_POWER_VOLTAMPERES, Quantity::ApparentPower),
    (&METER_VOLTAGE_VOLTS, Quantity::Voltage),
    (&METER_CURRENT_AMPERES, Quantity::Current),
    (&METER_POWER_FACTOR_RATIO, Quantity::PowerFactor),
    (&METER_FREQUENCY_HERTZ, Quantity::Frequency),
    (&METER_TEMPERATURE_CELSIUS, Quantity::Temperature),
    (&METER_HUMIDITY_RATIO, Quantity::Humidity),
    (&METER_FLOW_CUBIC_METRES_PER_SECOND, Quantity::Flow),
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_name_is_unique_and_says_its_unit_and_kind() {
        let mut seen = HashSet::new();
        for family in ALL {
            assert!(seen.insert(family.base_name()), "{} stands twice", family.name);
            let ours =
                ["wattribute_", "process_", "probe_"].iter().any(|begin| family.name.starts_with(begin));
            assert!(ours, "{}", family.name);
            assert!(family.name.ends_with(family.kind.suffix()), "{}", family.name);
            assert!(family.name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{}", family.name);
            if family.unit != Unit::None {
                let tail = format!("_{}", family.unit.name());
                assert!(family.base_name().ends_with(&tail), "{}", family.name);
            }
            if matches!(family.kind, Kind::Gauge | Kind::Histogram) {
                for reserved in ["_total", "_info", "_count", "_sum", "_bucket", "_created"] {
                    assert!(!family.name.ends_with(reserved), "{}", family.name);
                }
            }
        }
    }

    #[test]
    fn every_family_and_label_says_what_it_is_in_one_line() {
        for family in ALL {
            let texts = family.labels.iter().map(|l| l.about).chain([family.help]);
            for text in texts {
                assert!(text.len() > 5 && !text.contains(['\n', '|']), "{}: {text:?}", family.name);
                assert!(!text.ends_with('.'), "{}: {text:?}", family.name);
            }
            let names: HashSet<_> = family.labels.iter().map(|l| l.name).collect();
            assert_eq!(names.len(), family.labels.len(), "{}", family.name);
            for name in names {
                assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{name}");
                assert!(!name.starts_with("__") && !["le", "quantile"].contains(&name), "{name}");
            }
        }
    }

    #[test]
    fn a_histogram_names_its_three_samples_and_a_counter_only_itself() {
        assert!(POLL_DURATION_SECONDS.names("wattribute_poll_duration_seconds_bucket"));
        assert!(POLLS_TOTAL.names("wattribute_polls_total"));
        assert!(!POLLS_TOTAL.names("wattribute_polls_total_sum"));
        assert!(!POLLS_TOTAL.names("wattribute_polls"));
    }
}
