//! Watts Up? PRO: a plug-in meter that logs a line of figures every second once it is told to. Pure.

use super::telegram::{Pending, Readings, Telegram, channel};
use crate::model::{Accuracy, ChannelId, ChannelInfo, Identity, PollError, Quantity, Ratio, Watts};

/// Stops what a reader before us began, then logs outwards every second.
pub(super) const START: &[u8] = b"#L,R,0;#L,W,3,E,1,1;";
/// Ends the logging.
pub(super) const STOP: &[u8] = b"#L,R,0;";

/// A packet is `#d,-,18,` and 18 fields.
const PARTS: usize = 21;
/// Longer ones are none.
const MAX_PACKET: usize = 512;
/// Its error of power, as a share of what it shows: 1.5 % (no document of the maker was at hand: unverified).
const CLASS: f64 = 0.015;
/// It counts tenths of W.
const STEP_WATTS: f64 = 0.1;

/// What is known of its one channel beside its readings.
///
/// # Errors
/// Never.
pub(super) fn info() -> Result<ChannelInfo, PollError> {
    let known = Ratio::new(CLASS).ok().zip(Watts::new(STEP_WATTS).ok());
    let accuracy = known.map(|(share, step)| Accuracy { share, step });
    Ok(ChannelInfo { channel: channel("input")?, name: String::new(), accuracy })
}

/// From bytes to telegrams.
#[derive(Debug)]
pub(super) struct Framer {
    pub(super) pending: Pending,
    input: ChannelId,
}

impl Framer {
    /// Nothing heard yet.
    ///
    /// # Errors
    /// Never.
    pub(super) fn new() -> Result<Self, PollError> {
        Ok(Self { pending: Pending::default(), input: channel("input")? })
    }

    /// Forgets a torn packet.
    pub(super) fn reset(&mut self) {
        self.pending.clear();
    }

    /// Takes what has arrived; gives the packets that are complete with it.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Vec<Telegram> {
        self.pending.push(bytes);
        let mut telegrams = Vec::new();
        while let Some(end) = self.pending.bytes().iter().position(|b| *b == b';') {
            let packet = self.pending.bytes().get(..end).unwrap_or_default();
            // A torn packet may stand before the last `#`.
            let start = packet.iter().rposition(|b| *b == b'#');
            let telegram = start.and_then(|start| packet.get(start..)).and_then(|p| self.packet(p));
            telegrams.extend(telegram);
            self.pending.skip(end + 1);
        }
        let torn = self.pending.bytes().len().saturating_sub(MAX_PACKET);
        self.pending.skip(torn);
        telegrams
    }

    /// Source: the maker's communications protocol 1.8; scales of watts, volts and watt-hours as several readers have them.
    fn packet(&self, packet: &[u8]) -> Option<Telegram> {
        if packet.len() > MAX_PACKET {
            return None;
        }
        let text = std::str::from_utf8(packet).ok()?;
        let parts: Vec<&str> = text.split(',').collect();
        if parts.len() != PARTS || !matches!(parts.as_slice(), ["#d", "-", "18", ..]) {
            return None;
        }
        // Fields that are switched off hold `_`.
        let field = |number: usize| -> Option<f64> {
            let text = parts.get(number + 2)?.trim();
            (text.len() <= 12 && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())?
        };
        let mut readings = Readings::default();
        let mut add = |quantity, value: Option<f64>, divisor: f64| {
            if let Some(value) = value {
                readings.measured(&self.input, quantity, value / divisor);
            }
        };
        add(Quantity::Power, field(1), 10.0);
        add(Quantity::Voltage, field(2), 10.0);
        add(Quantity::Current, current(field(1), field(2), field(3)), 1.0);
        add(Quantity::PowerFactor, field(14).filter(|percent| *percent <= 100.0), 100.0);
        add(Quantity::Frequency, field(17).filter(|tenths| *tenths > 0.0), 10.0);
        add(Quantity::ApparentPower, field(18), 10.0);
        if let Some(tenths) = field(4) {
            readings.counter(&self.input, tenths / 10.0, 0.1, None);
        }
        let readings = readings.finish();
        let identity = Some(Identity {
            vendor: "Electronic Educational Devices".to_owned(),
            model: "Watts up? PRO".to_owned(),
            ..Identity::default()
        });
        (!readings.is_empty()).then_some(Telegram { readings, identity })
    }
}

/// Amperes. Firmware differs on whether the field counts mA or tenths of A: the scale is the one with which volts times amperes
/// come nearest to the watts from above; none if neither makes sense.
fn current(deciwatts: Option<f64>, decivolts: Option<f64>, field: Option<f64>) -> Option<f64> {
    let (watts, volts, field) = (deciwatts? / 10.0, decivolts? / 10.0, field?);
    if volts <= 0.0 {
        return None;
    }
    if field == 0.0 {
        return (watts < volts * 0.1).then_some(0.0);
    }
    let fits = |amperes: &f64| (0.9..20.0).contains(&(volts * amperes / watts.max(0.1)));
    [field / 1000.0, field / 10.0].into_iter().find(fits)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PACKET: &str = "#d,-,18,1000,2304,434,1234,0,0,0,1050,2313,454,950,2295,414,98,100,0,500,1010;\r\n";

    fn lines(bytes: &str) -> Vec<String> {
        let telegrams = Framer::new().unwrap().push(bytes.as_bytes());
        let readings = telegrams.into_iter().flat_map(|t| t.readings);
        readings.map(|r| format!("{} {}", r.measure.quantity().name(), r.measure.value())).collect()
    }

    #[test]
    fn a_packet_is_a_reading() {
        // 123.4 Wh are 444,240 J.
        let want = [
            "power 100",
            "voltage 230.4",
            "current 0.434",
            "power_factor 0.98",
            "frequency 50",
            "apparent_power 101",
            "energy 444240",
        ];
        assert_eq!(lines(PACKET), want);
    }

    #[test]
    fn what_is_switched_off_is_no_reading() {
        let off = "#d,-,18,1000,_,_,_,_,_,_,_,_,_,_,_,_,_,_,_,_,_;";
        assert_eq!(lines(off), ["power 100"]);
    }

    #[test]
    fn a_torn_packet_leaves_nothing_and_spoils_not_the_next() {
        for before in [
            "1000,2304;",
            "#d,-,18,1000,23",
            "#d,-,18,1;",
            "#v,-,8,0,0,1,7,3,4,1500,1;",
            "#",
            ";;;",
            "#h,-,18,W,V;",
        ] {
            assert_eq!(lines(&format!("{before}{PACKET}")).len(), 7, "{before}");
        }
        // Padding makes a packet too long, however much of it comes at once.
        assert_eq!(
            lines(&PACKET.replace(",1000,", &format!(",{}1000,", " ".repeat(MAX_PACKET)))),
            [] as [&str; 0]
        );
        for broken in [PACKET.replace("1000", "10x0"), PACKET.replace("1000", "-1000")] {
            assert!(!lines(&broken).contains(&"power 100".to_owned()), "{broken}");
        }
    }

    #[test]
    fn the_scale_of_the_current_is_the_one_that_fits() {
        // 460.8 W at 230.4 V are 2 A: 2000 mA or 20 tenths.
        assert_eq!(current(Some(4608.0), Some(2304.0), Some(2000.0)), Some(2.0));
        assert_eq!(current(Some(4608.0), Some(2304.0), Some(20.0)), Some(2.0));
        assert_eq!(current(Some(4608.0), Some(2304.0), Some(7.0)), None);
        assert_eq!(current(Some(0.0), Some(2304.0), Some(0.0)), Some(0.0));
        assert_eq!(current(Some(10.0), Some(0.0), Some(1.0)), None);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            let mut framer = Framer::new().unwrap();
            let _ = framer.push(&bytes);
            prop_assert!(framer.pending.bytes().len() <= MAX_PACKET);
        }
    }
}
