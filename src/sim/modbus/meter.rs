//! The registers of an energy meter of Schneider's iEM3000 series, three phases: float32 and int64, high word first. The
//! manual's numbers are one more than the addresses on the wire; here stand the manual's.

use std::collections::BTreeMap;

use super::super::endpoint::counted;
use super::super::world::{Draw, Point, World};

/// Joules in the watt-hour that it counts.
const WATT_HOUR: f64 = 3600.0;
/// What it had counted before the simulation began, Wh.
const PAST_WATT_HOURS: f64 = 41_302_768.0;
const VOLTS: [f64; 3] = [230.2, 229.4, 229.9];
const SHARES: [f64; 3] = [0.36, 0.33, 0.31];
const POWER_FACTOR: f64 = 0.95;
const HERTZ: f64 = 50.01;

/// Registers by their address on the wire.
pub(super) type Registers = BTreeMap<u16, u16>;

/// One meter.
pub(super) struct Meter {
    point: Point,
}

impl Meter {
    pub const fn new(point: Point) -> Self {
        Self { point }
    }

    /// Vendor, product code and revision.
    #[expect(clippy::unused_self, reason = "all meters are of one model; who asks need not know")]
    pub const fn identity(&self) -> [&'static str; 3] {
        ["Schneider Electric", "iEM3155", "1.5.002"]
    }

    /// Everything it shows at `t` seconds.
    pub fn registers(&self, world: &World, t: f64) -> Registers {
        let Draw { watts, joules } = world.building(self.point, t);
        let mut shown = Shown(Registers::new());
        shown.word_pair(130, self.serial());
        let mut amperes = 0.0;
        for ((n, volts), share) in (0u16..).zip(VOLTS).zip(SHARES) {
            let of_phase = watts * share;
            let current = of_phase / POWER_FACTOR / volts;
            amperes += current;
            shown.float(3000 + 2 * n, current);
            shown.float(3028 + 2 * n, volts);
            shown.float(3054 + 2 * n, of_phase / 1000.0);
            shown.watt_hours(3518 + 4 * n, PAST_WATT_HOURS * share + joules * share / WATT_HOUR);
        }
        shown.float(3010, amperes / 3.0);
        shown.float(3036, VOLTS.iter().sum::<f64>() / 3.0);
        shown.float(3060, watts / 1000.0);
        shown.float(3076, watts / POWER_FACTOR / 1000.0);
        shown.float(3084, POWER_FACTOR);
        shown.float(3110, HERTZ);
        shown.watt_hours(3204, PAST_WATT_HOURS + joules / WATT_HOUR);
        // Nothing comes back.
        shown.watt_hours(3208, 0.0);
        shown.0
    }

    /// Serial number: another for each meter.
    const fn serial(&self) -> u32 {
        match self.point {
            Point::Utility => 17_240_100,
            Point::UpsIn => 17_240_101,
            Point::UpsOut => 17_240_102,
            Point::Cooling => 17_240_103,
            Point::Lighting => 17_240_104,
        }
    }
}

/// Registers as they are collected; `number` is always the manual's.
struct Shown(Registers);

impl Shown {
    fn add(&mut self, number: u16, bytes: &[u8]) {
        for (address, word) in (number - 1..).zip(bytes.chunks_exact(2)) {
            if let &[high, low] = word {
                self.0.insert(address, u16::from_be_bytes([high, low]));
            }
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "the meter shows single precision")]
    fn float(&mut self, number: u16, value: f64) {
        self.add(number, &(value as f32).to_be_bytes());
    }

    fn watt_hours(&mut self, number: u16, value: f64) {
        self.add(number, &counted(value).to_be_bytes());
    }

    fn word_pair(&mut self, number: u16, value: u32) {
        self.add(number, &value.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registers_hold_what_the_manual_says() {
        let registers = Meter::new(Point::Lighting).registers(&World::new(1), 7200.0);
        let words = |first: u16, count: u16| -> Vec<u16> {
            (first..first + count).map(|address| registers[&address]).collect()
        };
        // 45 W are 0.045 kW: 0.045 = 1.44 x 2^-5, so the exponent is 122 and the fraction 0.44 x 2^23 = 3690988 = 0x3851ec:
        // 0x3d3851ec.
        assert_eq!(words(3059, 2), [0x3d38, 0x51ec]);
        // 41,302,768 Wh before and 90 Wh in two hours: 41,302,858 = 0x02763b4a.
        assert_eq!(words(3203, 4), [0, 0, 0x0276, 0x3b4a]);
        assert_eq!(words(3207, 4), [0; 4]);
        // 17,240,104 = 0x01071028.
        assert_eq!(words(129, 2), [0x0107, 0x1028]);
    }
}
