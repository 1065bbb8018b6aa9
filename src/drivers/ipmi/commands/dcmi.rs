//! DCMI: the power of the whole machine. DCMI v1.5 section 6.6.

use super::{No, data};
use crate::drivers::ipmi::wire::bytes::Bytes;
use crate::drivers::ipmi::wire::message::{Reply, Request};

/// Network function of group extensions, and DCMI's number among the groups.
const GROUP: u8 = 0x2c;
const DCMI: u8 = 0xdc;

/// Get Power Reading, system power statistics.
#[must_use]
pub fn get_power_reading() -> Request {
    Request::new(GROUP, 0x02, [DCMI, 0x01, 0x00, 0x00])
}

/// Power of the machine, W, averaged over a short window of the BMC's own choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PowerReading {
    /// Now, W.
    pub current: u16,
    /// Over the reporting period: minimum, maximum, average, W.
    pub over_period: [u16; 3],
    /// The reporting period, ms: often since the BMC started.
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
        Self::read(Bytes(data(reply)?)).ok_or(No::Malformed)
    }

    fn read(mut bytes: Bytes<'_>) -> Option<Self> {
        if bytes.u8()? != DCMI {
            return None;
        }
        let current = bytes.u16()?;
        let over_period = [bytes.u16()?, bytes.u16()?, bytes.u16()?];
        let (_time, period_ms, state) = (bytes.u32()?, bytes.u32()?, bytes.u8()?);
        Some(Self { current, over_period, period_ms, active: state & 0x40 != 0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(data: &[u8]) -> Reply {
        Reply { net_fn: 0x2d, seq: 1, command: 2, code: 0, data: data.to_vec() }
    }

    #[test]
    fn watts_are_read_and_what_is_cut_or_inactive_is_not() {
        // 245 W, 200 to 300, average 240, 60,000 ms, active.
        let mut good = hex::decode("dcf500c8002c01f0000000006060ea000040").unwrap();
        let reading = PowerReading::parse(&reply(&good)).unwrap();
        assert_eq!(
            reading,
            PowerReading { current: 245, over_period: [200, 300, 240], period_ms: 60_000, active: true }
        );
        for cut in 0..good.len() {
            assert_eq!(PowerReading::parse(&reply(&good[..cut])), Err(No::Malformed), "cut at {cut}");
        }
        good[17] = 0;
        assert!(!PowerReading::parse(&reply(&good)).unwrap().active);
        good[0] = 0xdd;
        assert_eq!(PowerReading::parse(&reply(&good)), Err(No::Malformed));
    }
}
