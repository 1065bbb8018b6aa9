//! Intel Node Manager: power of the platform, its processors and its memory, kept by the chipset's Management Engine.
//! Sources: FreeIPMI's `ipmi-oem intelnm` and ipmitool's `nm`, which agree on command, modes and domains.
//!
//! Its minimum, maximum and average are not read: the unit of their period is not beyond doubt.

use super::{No, data};
use crate::drivers::ipmi::wire::bridge::Via;
use crate::drivers::ipmi::wire::bytes::Bytes;
use crate::drivers::ipmi::wire::message::{Reply, Request};

/// Network function of commands that begin with their maker's number, and Intel's.
const GROUP: u8 = 0x2e;
const INTEL: [u8; 3] = [0x57, 0x01, 0x00];
/// Statistics of a domain's power.
const POWER: u8 = 0x01;
/// Bit of the last byte: measurements are being made.
const MEASURING: u8 = 0x40;
/// Subtype of the repository's record that says where Node Manager is.
const RECORD: u8 = 0x0d;

/// Bytes of that record's body up to the place.
pub const LOCATION_LEN: u8 = 7;

/// Where most boards have it, if the repository does not say.
pub const USUAL: Via = Via { channel: 6, address: 0x2c };

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Domain {
    /// The whole machine.
    Platform,
    /// All processors.
    Processors,
    /// All memory.
    Memory,
}

impl Domain {
    const fn number(self) -> u8 {
        match self {
            Self::Platform => 0,
            Self::Processors => 1,
            Self::Memory => 2,
        }
    }
}

/// Get Node Manager Statistics.
#[must_use]
pub fn get_power(domain: Domain) -> Request {
    let [a, b, c] = INTEL;
    Request::new(GROUP, 0xc8, [a, b, c, POWER, domain.number(), 0])
}

/// Power of the domain, W.
///
/// # Errors
/// As [`data`]; `Malformed` if it is too short, not Intel's or another domain's; `NotMeasuring` if it says so.
pub fn power(reply: &Reply, domain: Domain) -> Result<u16, No> {
    let mut bytes = Bytes(data(reply)?);
    let mut read = || {
        let maker: [u8; 3] = bytes.array()?;
        let current = bytes.u16()?;
        // Minimum, maximum, average, time, period.
        bytes.take(14)?;
        let state = bytes.u8()?;
        (maker == INTEL && state & 0x0f == domain.number()).then_some((current, state & MEASURING != 0))
    };
    match read().ok_or(No::Malformed)? {
        (_, false) => Err(No::NotMeasuring),
        (watts, true) => Ok(watts),
    }
}

/// Where Node Manager is, by the body of an OEM record (type C0h); `None` is any other such record.
#[must_use]
pub fn location(body: &[u8]) -> Option<Via> {
    let mut bytes = Bytes(body);
    let [a, b, c, subtype, _version, address, channel] = bytes.array()?;
    let via = Via { channel: channel >> 4, address: address & 0xfe };
    ([a, b, c] == INTEL && subtype == RECORD && via.address != 0).then_some(via)
}

#[cfg(test)]
mod tests {
    use super::*;

    // Intel; 0x00f5 is 245 W, 200 to 300, average 240; at 0x60000000, over 600; domain 0, all enabled and measuring.
    const GOOD: &str = "570100f500c8002c01f000000000605802000070";

    fn reply(data: &str) -> Reply {
        Reply { net_fn: 0x2f, seq: 1, command: 0xc8, code: 0, data: hex::decode(data).unwrap() }
    }

    #[test]
    fn power_is_read_of_the_domain_that_was_asked_for() {
        assert_eq!(power(&reply(GOOD), Domain::Platform), Ok(245));
        assert_eq!(power(&reply(GOOD), Domain::Memory), Err(No::Malformed), "another domain");
        let memory = GOOD.replace("000070", "000072");
        assert_eq!(power(&reply(&memory), Domain::Memory), Ok(245));
        let other = GOOD.replace("570100", "a20200");
        assert_eq!(power(&reply(&other), Domain::Platform), Err(No::Malformed), "not Intel's");
        let idle = GOOD.replace("000070", "000030");
        assert_eq!(power(&reply(&idle), Domain::Platform), Err(No::NotMeasuring));
        for cut in 0..20 {
            let cut = Reply { data: reply(GOOD).data[..cut].to_vec(), ..reply("") };
            assert_eq!(power(&cut, Domain::Platform), Err(No::Malformed), "{cut:?}");
        }
        assert_eq!(get_power(Domain::Processors).data, [0x57, 1, 0, 1, 1, 0]);
    }

    #[test]
    fn its_record_says_where_it_is() {
        // Intel, subtype 0Dh, version 1, address 2Ch, channel 6 and LUN 0, four sensor numbers.
        let body = hex::decode("5701000d012c6001020304").unwrap();
        assert_eq!(location(&body), Some(USUAL));
        assert_eq!(location(&body[..6]), None, "cut");
        let mut other = body.clone();
        other[3] = 0x0e;
        assert_eq!(location(&other), None, "another record of Intel's");
        other = body;
        other[0] = 0x58;
        assert_eq!(location(&other), None, "another maker's");
    }
}
