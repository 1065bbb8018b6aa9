//! Samples to readings: which channel a series is, and when it stands for nothing. Pure.

use std::collections::HashMap;

use super::text::Sample;
use super::{Pick, Series};
use crate::model::{ChannelId, ErrorKind, Joules, Measure, PollError, Quantity, Reading};

/// A reading with the sample it came from.
#[derive(Debug)]
pub struct Read {
    pub reading: Reading,
    /// The place of the sample in what was given.
    pub sample: usize,
}

/// Whether a sample is of this series.
pub fn is_of(series: &Series, sample: &Sample) -> bool {
    let label = |wanted: &str| sample.labels.iter().find(|(name, _)| name == wanted).map_or("", |(_, v)| v);
    match &series.pick {
        // The server has chosen.
        Pick::Query(_) => true,
        Pick::Metric { name, labels, patterns } => {
            sample.name == *name
                && labels.iter().all(|(name, value)| label(name) == value)
                && patterns.iter().all(|(name, pattern)| pattern.is_match(label(name)))
        }
    }
}

/// The channels of one poll, to find two series that would be one.
#[derive(Debug, Default)]
pub struct Channels(HashMap<(ChannelId, Quantity), String>);

impl Channels {
    /// The readings of one entry's samples. Not a number, infinite, or negative where the quantity has no sign, is no reading.
    ///
    /// # Errors
    /// `Protocol` if a series lacks a label that its channel is named by, or two series are the same channel and quantity.
    pub fn readings<'a>(
        &mut self,
        series: &Series,
        samples: impl Iterator<Item = (usize, &'a Sample)>,
    ) -> Result<Vec<Read>, PollError> {
        let mut read = Vec::new();
        for (at, sample) in samples {
            let channel = channel(series, sample)?;
            let key = (channel.clone(), series.quantity);
            if let Some(first) = self.0.insert(key, shown(sample)) {
                return Err(PollError::new(
                    ErrorKind::Protocol,
                    format!(
                        "{first} and {} are both {} of channel {channel}",
                        shown(sample),
                        series.quantity.name()
                    ),
                    "name the channel by more labels, or choose fewer series",
                ));
            }
            if let Some(measure) = measure(series, sample.value) {
                read.push(Read {
                    reading: Reading { channel, measure, quality: series.quality },
                    sample: at,
                });
            }
        }
        Ok(read)
    }
}

/// The channel's name: whitespace and slashes of labels become `-`.
fn channel(series: &Series, sample: &Sample) -> Result<ChannelId, PollError> {
    let plain = |c: char| if c.is_whitespace() || c.is_control() || c == '/' { '-' } else { c };
    let words: Vec<(&str, String)> = sample
        .labels
        .iter()
        .map(|(name, value)| (name.as_str(), value.trim().chars().map(plain).collect::<String>()))
        .filter(|(_, value)| !value.is_empty())
        .collect();
    let word = |hole: &str| words.iter().find(|(name, _)| *name == hole).map(|(_, value)| value.as_str());
    let missing = series.channel.holes().find(|hole| word(hole).is_none()).unwrap_or_default();
    let name = series.channel.fill(word).ok_or_else(|| {
        PollError::new(
            ErrorKind::Protocol,
            format!("{} has no label `{missing}`, by which its channel is named", shown(sample)),
            "correct `channel`, or choose series that have it",
        )
    })?;
    ChannelId::new(&name).map_err(|why| {
        PollError::new(
            ErrorKind::Protocol,
            format!("{}: its channel's name {why}", shown(sample)),
            "name the channel by other labels",
        )
    })
}

fn measure(series: &Series, value: f64) -> Option<Measure> {
    let quantum = Joules::new(series.step * series.scale).ok()?;
    let modulus = series.wraps_at.and_then(|at| Joules::new(at * series.scale).ok());
    // Before the unit sees it: NaN and infinity of any sign are no reading.
    let value = Some(value * series.scale).filter(|value| value.is_finite())?;
    Measure::from_base_units(series.quantity, value, quantum, modulus).ok()
}

/// A series for people, at a bearable length.
fn shown(sample: &Sample) -> String {
    let labels: Vec<String> = sample.labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
    crate::web::fault::line(&format!("{}{{{}}}", sample.name, labels.join(",")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drivers::channels::Template;
    use crate::model::Quality;

    fn series(channel: &str, quantity: Quantity) -> Series {
        let labels = vec![("type".to_owned(), "psu".to_owned())];
        let patterns = vec![("name".to_owned(), regex::Regex::new("^(?:PS.*)$").unwrap())];
        Series {
            pick: Pick::Metric { name: "p".into(), labels, patterns },
            quantity,
            channel: Template::parse(channel).unwrap(),
            scale: 2.0,
            step: 1.0,
            wraps_at: Some(100.0),
            quality: Quality::Measured,
        }
    }

    fn sample(labels: &[(&str, &str)], value: f64) -> Sample {
        let labels = labels.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        Sample { name: "p".into(), labels, value, at: None }
    }

    fn read(series: &Series, samples: &[Sample]) -> Result<Vec<(String, f64)>, String> {
        let all = Channels::default().readings(series, samples.iter().enumerate());
        let one = |read: Read| (read.reading.channel.to_string(), read.reading.measure.value());
        all.map(|all| all.into_iter().map(one).collect()).map_err(|e| e.to_string())
    }

    #[test]
    fn a_channel_is_named_by_labels() {
        let power = series("psu/{name}", Quantity::Power);
        let good = sample(&[("type", "psu"), ("name", "PS 1/a")], 3.0);
        assert!(is_of(&power, &good));
        assert!(!is_of(&power, &sample(&[("type", "psu"), ("name", "XPS")], 3.0)));
        assert!(!is_of(&power, &sample(&[("name", "PS")], 3.0)));
        assert_eq!(read(&power, &[good]).unwrap(), [("psu/PS-1-a".to_owned(), 6.0)]);
        let said = read(&power, &[sample(&[("type", "psu")], 1.0)]).unwrap_err();
        assert!(said.starts_with("p{type=\"psu\"} has no label `name`"), "{said}");
    }

    #[test]
    fn two_series_of_one_channel_are_an_error_that_names_both() {
        let power = series("input", Quantity::Power);
        let said = read(&power, &[sample(&[("a", "1")], 1.0), sample(&[("a", "2")], f64::NAN)]).unwrap_err();
        assert!(said.starts_with("p{a=\"1\"} and p{a=\"2\"} are both power of channel input;"), "{said}");
    }

    #[test]
    fn what_is_no_number_is_no_reading() {
        let power = series("{a}", Quantity::Power);
        // The last but one is Prometheus's mark of a stale series.
        let values =
            [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, f64::from_bits(0x7ff0_0000_0000_0002), 0.0];
        let samples: Vec<_> =
            values.iter().zip(["1", "2", "3", "4", "5", "6"]).map(|(v, n)| sample(&[("a", n)], *v)).collect();
        assert_eq!(read(&power, &samples).unwrap(), [("6".to_owned(), 0.0)]);
    }

    #[test]
    fn a_counter_has_its_step_and_where_it_wraps() {
        let energy = series("input", Quantity::Energy);
        let all = Channels::default().readings(&energy, [(0, &sample(&[], 7.0))].into_iter()).unwrap();
        let Measure::Energy(counter) = all[0].reading.measure else { panic!("{all:?}") };
        assert_eq!((counter.total.get(), counter.quantum.get()), (14.0, 2.0));
        assert_eq!(counter.modulus.map(Joules::get), Some(200.0));
    }
}
