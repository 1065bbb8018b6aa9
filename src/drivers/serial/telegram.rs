//! What a meter said at one moment, and the helpers by which protocols make readings of it.

use crate::drivers::channels::Sign;
use crate::model::{
    ChannelId, EnergyCounter, ErrorKind, Identity, Joules, Measure, PollError, Quality, Quantity, Reading,
};

/// Joules in a watt-hour.
const JOULES_A_WATT_HOUR: f64 = 3600.0;

/// One message of a meter, understood.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Telegram {
    /// Its readings; a channel and quantity stands at most once.
    pub(super) readings: Vec<Reading>,
    /// Who the meter says it is, where the message tells.
    pub(super) identity: Option<Identity>,
}

/// Readings under construction.
#[derive(Debug, Default)]
pub(super) struct Readings(Vec<Reading>);

impl Readings {
    /// Adds a value in base units. What its unit refuses, and a second value of the same place, are left out.
    pub(super) fn add(&mut self, channel: &ChannelId, quantity: Quantity, value: f64, quality: Quality) {
        if let Ok(measure) = Measure::from_base_units(quantity, value, Joules::ZERO, None) {
            self.push(Reading { channel: channel.clone(), measure, quality });
        }
    }

    /// Adds a measured value in base units.
    pub(super) fn measured(&mut self, channel: &ChannelId, quantity: Quantity, value: f64) {
        self.add(channel, quantity, value, Quality::Measured);
    }

    /// Adds power with a sign: what is above 0 to `drawn`, what is below to `given`, and 0 to the other one.
    pub(super) fn signed(&mut self, drawn: &ChannelId, given: &ChannelId, watts: f64) {
        self.measured(drawn, Quantity::Power, Sign::Forward.of(watts));
        self.measured(given, Quantity::Power, Sign::Backward.of(watts));
    }

    /// Adds a counter that shows `total` in steps of `step` and begins anew at `wrap`, all in watt-hours.
    pub(super) fn counter(&mut self, channel: &ChannelId, total: f64, step: f64, wrap: Option<f64>) {
        let joules = |wh: f64| Joules::new(wh * JOULES_A_WATT_HOUR);
        let (Ok(total), Ok(quantum)) = (joules(total), joules(step)) else { return };
        let modulus = wrap.and_then(|wrap| joules(wrap).ok());
        let measure = Measure::Energy(EnergyCounter { total, quantum, modulus });
        self.push(Reading::measured(channel.clone(), measure));
    }

    fn push(&mut self, reading: Reading) {
        let quantity = reading.measure.quantity();
        let known = |r: &Reading| r.channel == reading.channel && r.measure.quantity() == quantity;
        if !self.0.iter().any(known) {
            self.0.push(reading);
        }
    }

    /// All of them.
    pub(super) fn finish(self) -> Vec<Reading> {
        self.0
    }
}

/// The bytes of a stream that are not yet a message, limited in number.
#[derive(Debug, Default)]
pub(super) struct Pending(Vec<u8>);

/// Longer than any message of the protocols here.
pub(super) const MAX_MESSAGE: usize = 32 * 1024;

impl Pending {
    /// Adds what has arrived; the oldest bytes go where it becomes too much.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
        let surplus = self.0.len().saturating_sub(MAX_MESSAGE);
        self.0.drain(..surplus);
    }

    /// Throws the first `count` away.
    pub(super) fn skip(&mut self, count: usize) {
        self.0.drain(..count.min(self.0.len()));
    }

    /// All of it.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Forgets everything: what follows has another beginning.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

/// Where `what` begins in `bytes`.
pub(super) fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len().max(1)).position(|window| window == what)
}

/// Text of a device for labels: printable ASCII only, not too long.
pub(super) fn printable(bytes: &[u8]) -> String {
    let chars = bytes.iter().map(|b| char::from(*b)).filter(|c| c.is_ascii_graphic() || *c == ' ');
    chars.take(64).collect::<String>().trim().to_owned()
}

/// A channel whose name is written here, or made of a checked number.
///
/// # Errors
/// Never for such names.
pub(super) fn channel(name: &str) -> Result<ChannelId, PollError> {
    let wrong =
        |e| PollError::new(ErrorKind::Protocol, format!("channel {name:?} {e}"), "report this as a bug");
    ChannelId::new(name).map_err(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn power_given_back_has_a_channel_of_its_own() {
        let (drawn, given) = (channel("input").unwrap(), channel("export").unwrap());
        let of = |watts| {
            let mut readings = Readings::default();
            readings.signed(&drawn, &given, watts);
            readings
                .finish()
                .iter()
                .map(|r| format!("{} {}", r.channel, r.measure.value()))
                .collect::<Vec<_>>()
        };
        assert_eq!(of(5.0), ["input 5", "export 0"]);
        assert_eq!(of(-3.0), ["input 0", "export 3"]);
    }

    #[test]
    fn what_waits_to_be_understood_is_bounded() {
        let mut pending = Pending::default();
        for _ in 0..100 {
            pending.push(&[7; 1000]);
        }
        assert_eq!(pending.bytes().len(), MAX_MESSAGE);
        pending.skip(usize::MAX);
        assert!(pending.bytes().is_empty());
    }
}
