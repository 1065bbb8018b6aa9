//! DCMI: power of the whole machine, its windows, and the air inlet's temperature. DCMI v1.5 sections 6.1, 6.6 and 6.7.
//!
//! Of the capabilities, parameter 3 (who answers the power commands) and 5 (windows) are read. Whether the BMC claims
//! power management (1) is not: BMCs claim it wrongly in both directions. Event log and channels (2, 4) bear no reading.

use std::sync::LazyLock;
use std::time::Duration;

use super::{No, data};
use crate::drivers::ipmi::wire::bridge::Via;
use crate::drivers::ipmi::wire::bytes::Bytes;
use crate::drivers::ipmi::wire::message::{Reply, Request};
use crate::model::{Celsius, ChannelId, PowerWindow, Watts};

/// Network function of group extensions, and DCMI's number among the groups.
const GROUP: u8 = 0x2c;
const DCMI: u8 = 0xdc;
/// Most windows that are read of one BMC.
const MAX_PERIODS: usize = 8;
/// Most temperatures that one reply can hold.
const MAX_TEMPERATURES: u8 = 8;

/// Get Power Reading, system power statistics.
#[must_use]
pub fn get_power_reading() -> Request {
    Request::new(GROUP, 0x02, [DCMI, 0x01, 0x00, 0x00])
}

/// Get Power Reading, enhanced: statistics over `period`.
#[must_use]
pub fn get_enhanced(period: Period) -> Request {
    Request::new(GROUP, 0x02, [DCMI, 0x02, period.0, 0x00])
}

/// Get DCMI Capabilities: the controller that answers the power commands.
#[must_use]
pub fn get_controller() -> Request {
    Request::new(GROUP, 0x01, [DCMI, 0x03])
}

/// Get DCMI Capabilities: the windows of enhanced statistics.
#[must_use]
pub fn get_periods() -> Request {
    Request::new(GROUP, 0x01, [DCMI, 0x05])
}

/// Get Temperature Readings: all instances of `entity`.
#[must_use]
pub fn get_temperatures(entity: u8) -> Request {
    Request::new(GROUP, 0x10, [DCMI, 0x01, entity, 0x00, 0x01])
}

/// What follows DCMI's number in a reply.
fn group(reply: &Reply) -> Result<Bytes<'_>, No> {
    match data(reply)? {
        [DCMI, rest @ ..] => Ok(Bytes(rest)),
        _ => Err(No::Malformed),
    }
}

/// What follows the versions of DCMI and of the parameter.
fn capability(reply: &Reply) -> Result<Bytes<'_>, No> {
    let mut bytes = group(reply)?;
    bytes.take(3).ok_or(No::Malformed)?;
    Ok(bytes)
}

/// Power of the machine, W, averaged over a short window of the BMC's own choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PowerReading {
    /// Now, W.
    pub current: u16,
    /// Over the reporting period: minimum, maximum, average, W.
    pub over_period: [u16; 3],
    /// The reporting period, in system mode ms: often since the BMC started.
    pub period_ms: u32,
    /// Whether the BMC says that it is measuring.
    pub active: bool,
}

impl PowerReading {
    /// Reads the reply.
    ///
    /// # Errors
    /// As [`data`]; `Malformed` if it is not DCMI's or too short, as Supermicro's is when it cannot reach its supplies.
    pub fn parse(reply: &Reply) -> Result<Self, No> {
        let mut bytes = group(reply)?;
        let mut read = || {
            let current = bytes.u16()?;
            let over_period = [bytes.u16()?, bytes.u16()?, bytes.u16()?];
            let (_time, period_ms, state) = (bytes.u32()?, bytes.u32()?, bytes.u8()?);
            Some(Self { current, over_period, period_ms, active: state & 0x40 != 0 })
        };
        read().ok_or(No::Malformed)
    }

    /// Its statistics as the window `name` of `length`; none where they cannot be: no length, or an average that does not lie
    /// between minimum and maximum.
    #[must_use]
    pub fn window(&self, channel: &ChannelId, name: &'static str, length: Duration) -> Option<PowerWindow> {
        let [minimum, maximum, average] = self.over_period;
        if length.is_zero() || !self.active || average < minimum || maximum < average {
            return None;
        }
        let watts = |watts: u16| Watts::new(f64::from(watts)).ok();
        Some(PowerWindow {
            channel: channel.clone(),
            name,
            length,
            average: watts(average),
            minimum: watts(minimum),
            maximum: watts(maximum),
        })
    }
}

/// A window of enhanced statistics, as the BMC writes it: two bits of unit, six of duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period(u8);

impl Period {
    /// Its length.
    #[must_use]
    pub fn length(self) -> Duration {
        let seconds = match self.0 >> 6 {
            0 => 1,
            1 => 60,
            2 => 3600,
            _ => 86400,
        };
        Duration::from_secs(seconds * u64::from(self.0 & 0x3f))
    }

    /// Its name: `5m`, in the BMC's own unit.
    #[must_use]
    pub fn name(self) -> &'static str {
        static NAMES: LazyLock<[String; 256]> = LazyLock::new(|| {
            std::array::from_fn(|byte| {
                let unit = ["s", "m", "h", "d"].get(byte >> 6).copied().unwrap_or_default();
                format!("{}{unit}", byte & 0x3f)
            })
        });
        NAMES.get(usize::from(self.0)).map_or("", String::as_str)
    }
}

/// The windows that the BMC keeps, without those of no length ("now").
///
/// # Errors
/// As [`data`]; `Malformed` if it is not DCMI's or too short.
pub fn periods(reply: &Reply) -> Result<Vec<Period>, No> {
    let mut bytes = capability(reply)?;
    let count = usize::from(bytes.u8().ok_or(No::Malformed)?);
    let mut periods: Vec<Period> = Vec::new();
    for period in bytes.rest().iter().take(count).map(|byte| Period(*byte)) {
        if !period.length().is_zero() && !periods.contains(&period) && periods.len() < MAX_PERIODS {
            periods.push(period);
        }
    }
    Ok(periods)
}

/// The controller that answers the power commands, where it is not the BMC itself.
///
/// # Errors
/// As [`data`]; `Malformed` if it is not DCMI's or too short.
pub fn controller(reply: &Reply) -> Result<Option<Via>, No> {
    let mut bytes = capability(reply)?;
    let [address, channel] = bytes.array().ok_or(No::Malformed)?;
    let via = Via { channel: channel >> 4, address: address & 0xfe };
    // Some BMCs leave it empty.
    Ok((via.address != 0 && !via.is_bmc()).then_some(via))
}

/// Temperatures with the number of their sensor among those of the entity.
///
/// # Errors
/// As [`data`]; `Malformed` if it is not DCMI's or too short.
pub fn temperatures(reply: &Reply) -> Result<Vec<(u8, Celsius)>, No> {
    let mut bytes = group(reply)?;
    let [_total, here] = bytes.array().ok_or(No::Malformed)?;
    let mut temperatures: Vec<(u8, Celsius)> = Vec::new();
    for _ in 0..here.min(MAX_TEMPERATURES) {
        let [value, instance] = bytes.array().ok_or(No::Malformed)?;
        // Not two's complement: a sign and seven bits.
        let degrees = f64::from(value & 0x7f) * if value & 0x80 == 0 { 1.0 } else { -1.0 };
        let known = temperatures.iter().any(|(number, _)| *number == instance);
        temperatures.extend(Celsius::new(degrees).ok().filter(|_| !known).map(|celsius| (instance, celsius)));
    }
    Ok(temperatures)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(data: &str) -> Reply {
        Reply { net_fn: 0x2d, seq: 1, command: 2, code: 0, data: hex::decode(data).unwrap() }
    }

    // 245 W, 200 to 300, average 240, at 0x60000000, 60,000 ms, active.
    const GOOD: &str = "dcf500c8002c01f0000000006060ea000040";

    #[test]
    fn watts_are_read_and_what_is_cut_or_inactive_is_not() {
        let mut good = reply(GOOD);
        let reading = PowerReading::parse(&good).unwrap();
        assert_eq!(
            reading,
            PowerReading { current: 245, over_period: [200, 300, 240], period_ms: 60_000, active: true }
        );
        for cut in 0..good.data.len() {
            let cut = Reply { data: good.data[..cut].to_vec(), ..good.clone() };
            assert_eq!(PowerReading::parse(&cut), Err(No::Malformed), "{cut:?}");
        }
        good.data[17] = 0;
        assert!(!PowerReading::parse(&good).unwrap().active);
        good.data[0] = 0xdd;
        assert_eq!(PowerReading::parse(&good), Err(No::Malformed));
    }

    #[test]
    fn a_window_holds_statistics_that_can_be() {
        let channel = ChannelId::new("input").unwrap();
        let good = PowerReading::parse(&reply(GOOD)).unwrap();
        let minute = Duration::from_secs(60);
        let window = good.window(&channel, "reporting", minute).unwrap();
        let watts = |watts: Option<Watts>| watts.unwrap().get();
        assert_eq!((window.name, window.length), ("reporting", minute));
        let values = [watts(window.minimum), watts(window.average), watts(window.maximum)];
        assert_eq!(values, [200.0, 240.0, 300.0]);
        for (bad, length) in [
            (PowerReading { over_period: [200, 300, 199], ..good }, minute),
            (PowerReading { over_period: [200, 300, 301], ..good }, minute),
            (PowerReading { over_period: [0, 0, 240], ..good }, minute),
            (PowerReading { active: false, ..good }, minute),
            (good, Duration::ZERO),
        ] {
            assert_eq!(bad.window(&channel, "reporting", length), None, "{bad:?}");
        }
    }

    #[test]
    fn periods_have_the_unit_of_their_two_bits() {
        // Six: now, 15 s, 5 min (01b, 5), 24 h (10b, 24), 7 d (11b, 7), and 5 min again.
        let periods = |data| {
            periods(&reply(data))
                .map(|all| all.iter().map(|p| (p.name(), p.length().as_secs())).collect::<Vec<_>>())
        };
        let wanted = vec![("15s", 15), ("5m", 300), ("24h", 86_400), ("7d", 604_800)];
        assert_eq!(periods("dc01050206000f4598c745"), Ok(wanted));
        assert_eq!(periods("dc0105020145ff"), Ok(vec![("5m", 300)]), "no more than it counts");
        assert_eq!(periods("dc010502ff45"), Ok(vec![("5m", 300)]), "no more than there are");
        assert_eq!(periods("dc01050200"), Ok(vec![]));
        assert_eq!(periods("dc010502"), Err(No::Malformed));
        assert_eq!(periods("dd01050200"), Err(No::Malformed));
        let many: String = (1..=40).map(|n| format!("{n:02x}")).collect();
        assert_eq!(periods(&format!("dc01050228{many}")).unwrap().len(), MAX_PERIODS);
    }

    #[test]
    fn another_controller_than_the_bmc_is_told() {
        assert_eq!(controller(&reply("dc0105022000")), Ok(None));
        assert_eq!(controller(&reply("dc0105020000")), Ok(None), "left empty");
        assert_eq!(controller(&reply("dc0105022c61")), Ok(Some(Via { channel: 6, address: 0x2c })));
        assert_eq!(controller(&reply("dc0105022c")), Err(No::Malformed));
    }

    #[test]
    fn temperatures_have_a_sign_of_their_own() {
        let read = |data| {
            temperatures(&reply(data)).map(|all| all.iter().map(|(n, c)| (*n, c.get())).collect::<Vec<_>>())
        };
        // Two of two: 24 degrees of sensor 1, minus 5 (80h and 5) of sensor 2.
        assert_eq!(read("dc020218018502"), Ok(vec![(1, 24.0), (2, -5.0)]));
        assert_eq!(read("dc0202180185"), Err(No::Malformed), "cut");
        assert_eq!(read("dc020218011901"), Ok(vec![(1, 24.0)]), "one sensor twice");
        assert_eq!(read("dc0000"), Ok(vec![]));
    }

    proptest::proptest! {
        #[test]
        fn random_replies_never_panic(data in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..40)) {
            let reply = Reply { net_fn: 0x2d, seq: 1, command: 2, code: 0, data: [&[DCMI], data.as_slice()].concat() };
            let _ = (PowerReading::parse(&reply), periods(&reply), controller(&reply), temperatures(&reply));
        }
    }
}
