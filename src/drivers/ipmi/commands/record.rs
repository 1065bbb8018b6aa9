//! A full sensor record: what a sensor is called, what it measures, and how its raw byte becomes a number.
//! IPMI v2.0 section 43.1. Compact records (43.2) and event-only ones (43.3) hold no factors, so that no number can come of
//! their sensors, however many share one record: they are walked past.

use super::sensor::{EACH_READING, Factors, Format, Linear, Unit};
use crate::drivers::ipmi::wire::bridge::Via;
use crate::drivers::ipmi::wire::bytes::Bytes;

/// Type of a full sensor record.
pub const FULL: u8 = 0x01;
/// Type of a maker's own record.
pub const OEM: u8 = 0xc0;
/// Where a record's base unit stands in its body.
pub const UNIT_AT: usize = 16;
/// Event type of sensors with thresholds: those that measure.
const THRESHOLD: u8 = 0x01;
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
    /// Whether `factors` hold at no reading, and others must be asked for at each.
    pub each_reading: bool,
    /// Whether it is marked as one that has states, not numbers.
    pub discrete: bool,
    /// The controller that owns it, where that is not the BMC.
    pub via: Option<Via>,
    /// Its name as the BMC has it.
    pub name: String,
}

impl Sensor {
    /// Reads the body of a full record, that is, what follows its head. A body cut short within the name gives a shorter name;
    /// `None` is what has no numbers, is in a unit that nobody asks for, or belongs to software or to a controller on
    /// another bus than the machine's own.
    #[must_use]
    pub fn parse(body: &[u8]) -> Option<Self> {
        let mut bytes = Bytes(body);
        let [owner, owner_lun, number, entity, _instance, _init, _capabilities, _type, event] =
            bytes.array()?;
        // Three masks of events and thresholds.
        bytes.take(6)?;
        let [units, base, _modifier, linear] = bytes.array()?;
        // Percent, a rate (per second ...), or a compound of two units.
        if units & 0b0011_1111 != 0 {
            return None;
        }
        let owner = Via { channel: owner_lun >> 4, address: owner };
        if !owner.is_bmc() && (owner.address & 1 == 1 || owner.channel != 0) {
            return None;
        }
        let each_reading = linear & 0x7f == EACH_READING;
        let linear = if each_reading { Linear::Linear } else { Linear::from_bits(linear & 0x7f)? };
        let factors = Factors::from_bytes(Format::from_bits(units >> 6)?, linear, bytes.array()?);
        let unit = Unit::from_code(base)?;
        // Flags, nominal values, thresholds, reserved, OEM: 17 bytes up to the name.
        let name = bytes.take(17).and_then(|_| name(bytes)).unwrap_or_default();
        let via = (!owner.is_bmc()).then_some(owner);
        let discrete = event != THRESHOLD;
        Some(Self { number, lun: owner_lun & 3, entity, unit, factors, each_reading, discrete, via, name })
    }
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
        let mut software = body(0, 6, [1, 0], 0, "x");
        software[0] = 0x41;
        assert_eq!(Sensor::parse(&software), None, "system software's");
        let mut elsewhere = body(0, 6, [1, 0], 0, "x");
        (elsewhere[0], elsewhere[1]) = (0x2c, 0x60);
        assert_eq!(Sensor::parse(&elsewhere), None, "of a controller on another bus");
        let mut oem = body(0, 6, [1, 0], 0, "x");
        oem[18] = 0x71;
        assert_eq!(Sensor::parse(&oem), None, "OEM linearisation");
    }

    #[test]
    fn who_owns_it_and_how_it_measures_is_told() {
        let plain = Sensor::parse(&body(0, 6, [1, 0], 0, "x")).unwrap();
        assert_eq!((plain.via, plain.each_reading, plain.discrete), (None, false, false));
        let mut satellite = body(0, 6, [1, 0], 0, "x");
        (satellite[0], satellite[1]) = (0x2c, 0x01);
        let satellite = Sensor::parse(&satellite).unwrap();
        assert_eq!((satellite.via, satellite.lun), (Some(Via { channel: 0, address: 0x2c }), 1));
        let mut other = body(0, 6, [1, 0], 0, "x");
        other[18] = 0x70;
        assert!(Sensor::parse(&other).unwrap().each_reading);
        other = body(0, 6, [1, 0], 0, "x");
        other[8] = 0x6f;
        assert!(Sensor::parse(&other).unwrap().discrete);
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
