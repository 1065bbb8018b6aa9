//! Get Device ID, Set Session Privilege Level, Get Chassis Status.

use super::{No, data};
use crate::drivers::ipmi::wire::bytes::Bytes;
use crate::drivers::ipmi::wire::message::{Reply, Request};

const CHASSIS: u8 = 0x00;
const APPLICATION: u8 = 0x06;

/// Get Device ID.
#[must_use]
pub fn get_device_id() -> Request {
    Request::new(APPLICATION, 0x01, [])
}

/// Set Session Privilege Level.
#[must_use]
pub fn set_privilege(level: u8) -> Request {
    Request::new(APPLICATION, 0x3b, [level])
}

/// Get Chassis Status.
#[must_use]
pub fn get_chassis_status() -> Request {
    Request::new(CHASSIS, 0x01, [])
}

/// Who the BMC is. IPMI v2.0 section 20.1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceId {
    /// Firmware, such as `2.17`.
    pub firmware: String,
    /// IANA enterprise number of the maker.
    pub manufacturer: u32,
    /// The maker's product number.
    pub product: u16,
}

impl DeviceId {
    /// Reads the reply.
    ///
    /// # Errors
    /// As [`data`]; `Malformed` if it is too short.
    pub fn parse(reply: &Reply) -> Result<Self, No> {
        Self::read(Bytes(data(reply)?)).ok_or(No::Malformed)
    }

    fn read(mut bytes: Bytes<'_>) -> Option<Self> {
        let [_id, _revision, major, minor, _version, _support, a, b, c] = bytes.array()?;
        let manufacturer = u32::from_le_bytes([a, b, c & 0x0f, 0]);
        // The minor number is binary-coded decimal.
        let firmware = format!("{}.{minor:02x}", major & 0x7f);
        Some(Self { firmware, manufacturer, product: bytes.u16()? })
    }

    /// The maker's name, where it is known. IANA enterprise numbers.
    #[must_use]
    pub const fn vendor(&self) -> &'static str {
        match self.manufacturer {
            2 => "IBM",
            9 | 5771 => "Cisco",
            11 => "HP",
            42 => "Sun",
            343 => "Intel",
            674 => "Dell",
            7244 => "Quanta",
            10368 => "Fujitsu",
            10876 | 47488 => "Supermicro",
            11161 => "Wistron",
            15370 => "Gigabyte",
            19046 => "Lenovo",
            20569 => "Inventec",
            47196 => "HPE",
            _ => "",
        }
    }
}

/// Whether the machine is on.
///
/// # Errors
/// As [`data`]; `Malformed` if it is too short.
pub fn is_on(reply: &Reply) -> Result<bool, No> {
    data(reply)?.first().map(|state| state & 1 == 1).ok_or(No::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_says_who_it_is() {
        let data = hex::decode("20810217029fa20200f3ff").unwrap();
        let reply = Reply { net_fn: 7, seq: 1, command: 1, code: 0, data };
        let id = DeviceId::parse(&reply).unwrap();
        assert_eq!(id, DeviceId { firmware: "2.17".into(), manufacturer: 674, product: 0xfff3 });
        assert_eq!(id.vendor(), "Dell");
        assert_eq!(DeviceId::parse(&Reply { data: vec![0x20; 10], ..reply }), Err(No::Malformed));
    }
}
