//! A full sensor record: what a sensor is called, what it measures, and how its raw byte becomes a number.
//! IPMI v2.0 section 43.1. Compact records (43.2) hold no factors, so that no number can come of their sensors.

use super::sensor::{Factors, Format, Linear, Unit};
use crate::drivers::ipmi::wire::bytes::Bytes;

/// Type of a full sensor record.
pub const FULL: u8 = 0x01;
/// The BMC itself as the owner of a sensor.
const BMC: u8 = 0x20;
/// Longest name of a sensor, bytes.
const MAX_NAME: usize = 16;

/// A sensor whose readings are numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct Sensor {
    /// Its number, for Get Sensor Reading.
    pub number: u8,
    /// Logical unit that owns it.
    pub lun: u8,
    /// What it is mounted on: 07h board, 0Ah power supply, 37h air inlet ...
    pub entity: u8,
    /// What it measures.
    pub unit: Unit,
    /// From raw to number.
    pub factors: Factors,
    /// Its name as the BMC has it.
    pub name: String,
}

impl Sensor {
    /// Reads the body of a full record, that is, what follows its head. A body cut short within the name gives a shorter name;
    /// `None` is what has no numbers, in a unit that nobody asks for, or belongs to another controller.
    #[must_use]
    pub fn parse(body: &[u8]) -> Option<Self> {
        let mut bytes = Bytes(body);
        let [owner, owner_lun, number, entity, _instance, _init, _capabilities, _type, _event] =
            bytes.array()?;
        // Three masks of events and thresholds.
        bytes.take(6)?;
        let [units, base, _modifier, linear, m, m_tolerance, b, b_accuracy, _accuracy, exponents] =
            bytes.array()?;
        // Percent, a rate (per second ...), or a compound of two units.
        if owner != BMC || units & 0b0011_1111 != 0 {
            return None;
        }
        let factors = Factors {
            format: Format::from_bits(units >> 6)?,
            linear: Linear::from_bits(linear & 0x7f)?,
            m: signed(u16::from(m) | u16::from(m_tolerance >> 6) << 8, 10),
            b: signed(u16::from(b) | u16::from(b_accuracy >> 6) << 8, 10),
            b_exponent: signed(u16::from(exponents & 0x0f), 4),
            exponent: signed(u16::from(exponents >> 4), 4),
        };
        let unit = Unit::from_code(base)?;
        // Flags, nominal values, thresholds, reserved, OEM: 17 bytes up to the name.
        let name = bytes.take(17).and_then(|_| name(bytes)).unwrap_or_default();
        Some(Self { number, lun: owner_lun & 3, entity, unit, factors, name })
    }
}

/// A two's complement number of `bits` bits.
fn signed(raw: u16, bits: u32) -> i16 {
    let unused = 16 - bits;
    (raw << unused).cast_signed() >> unused
}

/// A type and length byte, and the text behind it, as far as it is there.
fn name(mut bytes: Bytes<'_>) -> Option<String> {
    let head = bytes.u8()?;
    let rest = bytes.rest();
    let text = rest.get(..usize::from(head & 0x1f)).unwrap_or(rest);
    Some(super::fru::text(head >> 6, text.get(..MAX_NAME).unwrap_or(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A full record's body: power, entity 7, `M`, exponents and a name.
    pub fn body(units: u8, base: u8, m: [u8; 2], exponents: u8, name: &str) -> Vec<u8> {
        let mut body = vec![0x20, 0, 9, 7, 1, 0x7f, 0x68, 0x0b, 1, 0, 0, 0, 0, 0, 0];
        body.extend([units, base, 0, 0, m[0], m[1], 0, 0, 0, exponents]);
        body.extend([0; 17]);
        body.push(0xc0 | u8::try_from(name.len()).unwrap());
        body.extend(name.as_bytes());
        body
    }

    #[test]
    fn a_watt_sensor_is_read_with_its_name_and_factors() {
        let sensor = Sensor::parse(&body(0, 6, [4, 0], 0, "System Power")).unwrap();
        assert_eq!((sensor.number, sensor.entity, sensor.unit), (9, 7, Unit::Watts));
        assert_eq!(sensor.name, "System Power");
        assert_eq!(sensor.factors.value(61), Some(244.0));
        // M of 10 bits: 0x3FE is -2; exponent nibble 0xF is -1.
        let sensor = Sensor::parse(&body(0, 6, [0xfe, 0xc0], 0xf0, "x")).unwrap();
        assert_eq!((sensor.factors.m, sensor.factors.exponent), (-2, -1));
    }

    #[test]
    fn a_record_that_lies_about_its_length_loses_its_name_only() {
        let whole = body(0, 6, [4, 0], 0, "System Power");
        for len in 0..whole.len() {
            let sensor = Sensor::parse(&whole[..len]);
            // 25 bytes up to the exponents, 17 more and the length up to the name.
            assert_eq!(sensor.is_some(), len >= 25, "{len} bytes");
            if let Some(sensor) = sensor {
                let there: String = "System Power".chars().take(len.saturating_sub(43)).collect();
                assert_eq!(sensor.name, there.trim());
            }
        }
        let mut lying = whole;
        lying[42] = 0xc0 | 31;
        assert_eq!(Sensor::parse(&lying).unwrap().name, "System Power");
    }

    #[test]
    fn what_is_no_plain_number_in_a_known_unit_is_left_out() {
        for (units, base, why) in [
            (0x01, 6, "percent"),
            (0x08, 6, "watts per microsecond"),
            (0x02, 6, "watts per something"),
            (0xc0, 6, "no analog reading"),
            (0, 18, "revolutions"),
            (0, 0, "no unit"),
        ] {
            assert_eq!(Sensor::parse(&body(units, base, [1, 0], 0, "x")), None, "{why}");
        }
        let mut satellite = body(0, 6, [1, 0], 0, "x");
        satellite[0] = 0x2c;
        assert_eq!(Sensor::parse(&satellite), None, "another controller's");
        let mut oem = body(0, 6, [1, 0], 0, "x");
        oem[18] = 0x71;
        assert_eq!(Sensor::parse(&oem), None, "OEM linearisation");
    }

    proptest::proptest! {
        #[test]
        fn random_records_never_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..120)) {
            if let Some(sensor) = Sensor::parse(&bytes) {
                for raw in 0..=255 {
                    if let Some(value) = sensor.factors.value(raw) {
                        proptest::prop_assert!(value.is_finite());
                    }
                }
            }
        }
    }
}
