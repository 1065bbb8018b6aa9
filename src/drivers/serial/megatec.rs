//! UPSes that answer `Q1` (Megatec protocol; Eaton's small ones among many others): volts, hertz and a load in per cent. They
//! measure no watts: power is given only where the rating is known, and as estimated.

use std::time::Duration;

use super::link::Link;
use super::telegram::{Pending, Readings, Telegram, channel};
use crate::model::{ChannelId, PollError, Quality, Quantity, Watts};

/// The longest a UPS may think.
const ANSWER: Duration = Duration::from_secs(3);
/// `(226.0 195.0 226.0 014 49.0 27.5 30.0 00001000` and some air.
const MAX_ANSWER: usize = 128;

/// A UPS that is asked, time and again.
#[derive(Debug)]
pub(super) struct Reader {
    rated: Option<Watts>,
    input: ChannelId,
    output: ChannelId,
}

impl Reader {
    /// Never asked yet; `rated` is the real power that 100 % stands for.
    ///
    /// # Errors
    /// Never.
    pub(super) fn new(rated: Option<Watts>) -> Result<Self, PollError> {
        Ok(Self { rated, input: channel("input")?, output: channel("output")? })
    }

    /// Asks once.
    ///
    /// # Errors
    /// `Timeout` if nothing came, `Protocol` if it was no answer, `Unreachable` if the line is gone.
    pub(super) async fn ask(&self, link: &mut Link) -> Result<Telegram, PollError> {
        link.settle().await?;
        link.send(b"Q1\r").await?;
        let mut heard = Pending::default();
        loop {
            if !link.read(&mut heard, ANSWER).await? || heard.bytes().len() > MAX_ANSWER {
                return Err(link.silence("an answer to Q1"));
            }
            let Some(end) = heard.bytes().iter().position(|b| *b == b'\r') else { continue };
            if let Some(telegram) = self.parse(heard.bytes().get(..end).unwrap_or_default()) {
                return Ok(telegram);
            }
            // An echo of the question.
            heard.skip(end + 1);
        }
    }

    /// `(input volts, volts of the last fault, output volts, load %, hertz, battery volts, temperature, eight bits`.
    pub(super) fn parse(&self, answer: &[u8]) -> Option<Telegram> {
        let text = std::str::from_utf8(answer).ok()?.trim();
        let parts: Vec<&str> = text.strip_prefix('(')?.split_ascii_whitespace().collect();
        let [input, _, output, load, hertz, _, temperature, bits] = parts.as_slice() else { return None };
        if bits.len() != 8 || !bits.bytes().all(|b| matches!(b, b'0' | b'1')) {
            return None;
        }
        // What a model does not measure it writes as `--.-` or `@@.@`.
        let number = |text: &str| -> Option<f64> {
            let plain = text.len() <= 6 && text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
            plain.then(|| text.parse().ok())?
        };
        let mut readings = Readings::default();
        let mut add = |channel, quantity, value: Option<f64>| {
            if let Some(value) = value {
                readings.measured(channel, quantity, value);
            }
        };
        add(&self.input, Quantity::Voltage, number(input));
        add(&self.input, Quantity::Frequency, number(hertz));
        add(&self.output, Quantity::Voltage, number(output));
        add(&self.output, Quantity::Temperature, number(temperature));
        if let (Some(load), Some(rated)) = (number(load), self.rated) {
            readings.add(&self.output, Quantity::Power, rated.get() * load / 100.0, Quality::Estimated);
        }
        let readings = readings.finish();
        (!readings.is_empty()).then_some(Telegram { readings, identity: None })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lines(answer: &[u8], rated: Option<f64>) -> Vec<String> {
        let reader = Reader::new(rated.map(|watts| Watts::new(watts).unwrap())).unwrap();
        let readings = reader.parse(answer).map(|t| t.readings).unwrap_or_default();
        let line = |r: &crate::model::Reading| {
            format!(
                "{} {} {} {}",
                r.channel,
                r.measure.quantity().name(),
                r.measure.value(),
                r.quality.name()
            )
        };
        readings.iter().map(line).collect()
    }

    #[test]
    fn an_answer_is_volts_and_only_with_a_rating_watts() {
        let answer = b"(208.4 140.0 208.4 034 59.9 2.05 35.0 00110000";
        let volts = [
            "input voltage 208.4 measured",
            "input frequency 59.9 measured",
            "output voltage 208.4 measured",
            "output temperature 35 measured",
        ];
        assert_eq!(lines(answer, None), volts);
        // 34 % of 1000 W.
        assert_eq!(lines(answer, Some(1000.0)).last().unwrap(), "output power 340 estimated");
    }

    #[test]
    fn what_is_no_answer_is_nothing() {
        for broken in [
            "",
            "Q1",
            "#230.0 004 24.00 50.0",
            "(208.4 140.0",
            "(1 2 3 4 5 6 7 0011000x",
            "(1 2 3 4 5 6 7 8 00110000",
        ] {
            assert_eq!(lines(broken.as_bytes(), Some(1.0)), [] as [&str; 0], "{broken}");
        }
        assert_eq!(lines(b"(--.- 1 230.0 @@ 50.0 1 --.- 00000000", Some(1.0)).len(), 2);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = lines(&bytes, Some(1.0));
        }
    }
}
