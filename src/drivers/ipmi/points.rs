//! Which sensors are read, what their channels are called, and which one is the whole machine's power.

use std::collections::{BTreeMap, HashSet};

use super::commands::record::Sensor;
use super::commands::sensor::Unit;
use super::wire::bridge::Via;
use crate::model::ChannelId;

/// Most sensors read in one poll.
const MAX_POINTS: usize = 64;
/// Entity of a power supply: never the whole machine.
const POWER_SUPPLY: u8 = 0x0a;
/// Entities of the air inlet: DCMI's and IPMI's.
const INLET: [u8; 2] = [0x40, 0x37];
/// Names of sensors for the power of the whole machine, best first, in lower case with single spaces.
const TOTALS: [&str; 11] = [
    "system level",
    "pwr consumption",
    "power consumption",
    "power meter",
    "sys power",
    "system power",
    "total power",
    "sys total power",
    "system total power",
    "total pwr",
    "node power",
];

/// A sensor that is read.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// The sensor.
    pub sensor: Sensor,
    /// `sensor/` and its name.
    pub channel: ChannelId,
    /// Whether it is the whole machine's power.
    pub total: bool,
}

/// Whether sensors marked as discrete are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Discrete {
    /// They are, if they have a unit and a number.
    Read,
    /// They are not: what they answer are states.
    Skipped,
}

/// The sensors worth reading, power first.
pub fn points(sensors: &[Sensor], discrete: Discrete) -> Vec<Point> {
    let mut wanted: Vec<&Sensor> = sensors
        .iter()
        .filter(|s| !s.discrete || discrete == Discrete::Read)
        .filter(|s| !s.unit.is_temperature() || is_inlet(s))
        .collect();
    wanted.sort_by_key(|sensor| rank(sensor.unit));
    wanted.truncate(MAX_POINTS);
    let best = wanted.iter().filter_map(|sensor| Some((total_rank(sensor)?, place(sensor)))).min();
    let mut taken: BTreeMap<String, u32> = BTreeMap::new();
    wanted.iter().for_each(|sensor| *taken.entry(slug(&sensor.name)).or_default() += 1);
    let point = |sensor: &&Sensor| {
        let name = slug(&sensor.name);
        let unique = !name.is_empty() && taken.get(&name) == Some(&1);
        let owner = sensor.via.map_or_else(String::new, |via| format!("{:02x}.", via.address));
        let number = format!("{owner}{}.{}", sensor.lun, sensor.number);
        let channel = match (unique, name.is_empty()) {
            (true, _) => format!("sensor/{name}"),
            (false, false) => format!("sensor/{name}/{number}"),
            (false, true) => format!("sensor/{number}"),
        };
        Some(Point {
            channel: ChannelId::new(&channel).ok()?,
            total: best.is_some_and(|(_, best)| best == place(sensor)),
            sensor: (*sensor).clone(),
        })
    };
    distinct(wanted.iter().filter_map(point).collect())
}

/// Two records of one sensor, or a name that reads like the number of another: the first one counts.
fn distinct(mut points: Vec<Point>) -> Vec<Point> {
    let mut channels = HashSet::new();
    points.retain(|point| channels.insert(point.channel.clone()));
    points.iter_mut().filter(|point| point.total).skip(1).for_each(|point| point.total = false);
    points
}

const fn rank(unit: Unit) -> u8 {
    match unit {
        Unit::Watts => 0,
        Unit::VoltAmperes => 1,
        Unit::Amperes => 2,
        Unit::Celsius | Unit::Fahrenheit | Unit::Kelvin => 3,
        Unit::Volts => 4,
    }
}

/// What tells a sensor from all others of its BMC.
const fn place(sensor: &Sensor) -> (u8, u8, Option<Via>) {
    (sensor.number, sensor.lun, sensor.via)
}

/// Whether it stands in the air inlet.
pub fn is_inlet(sensor: &Sensor) -> bool {
    let name = words(&sensor.name);
    INLET.contains(&sensor.entity) || ["inlet", "intake", "ambient"].iter().any(|word| name.contains(word))
}

fn total_rank(sensor: &Sensor) -> Option<usize> {
    let name = words(&sensor.name);
    let place = TOTALS.iter().position(|total| *total == name)?;
    (sensor.unit == Unit::Watts && sensor.entity != POWER_SUPPLY).then_some(place)
}

/// Lower case, with single spaces for all that is neither letter nor digit.
fn words(name: &str) -> String {
    let lower = name.to_ascii_lowercase();
    lower.split(|c: char| !c.is_ascii_alphanumeric()).filter(|w| !w.is_empty()).collect::<Vec<_>>().join(" ")
}

/// A name as part of a channel: `PS1 Input Power` is `ps1-input-power`.
fn slug(name: &str) -> String {
    let keep = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_');
    let signs = name.replace('+', "p").to_ascii_lowercase();
    signs.split(|c: char| !keep(c)).filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drivers::ipmi::commands::sensor::{Factors, Format, Linear};

    fn sensor(number: u8, entity: u8, unit: Unit, name: &str) -> Sensor {
        let factors = Factors {
            format: Format::Unsigned,
            linear: Linear::Linear,
            m: 1,
            b: 0,
            b_exponent: 0,
            exponent: 0,
        };
        let name = name.to_owned();
        Sensor {
            number,
            lun: 0,
            entity,
            unit,
            factors,
            each_reading: false,
            discrete: false,
            via: None,
            name,
        }
    }

    fn names(sensors: &[Sensor]) -> Vec<String> {
        let mark = |p: &Point| format!("{}{}", p.channel, if p.total { " total" } else { "" });
        points(sensors, Discrete::Skipped).iter().map(mark).collect()
    }

    #[test]
    fn power_comes_first_and_only_inlets_of_the_temperatures() {
        let sensors = [
            sensor(1, 3, Unit::Celsius, "CPU1 Temp"),
            sensor(2, 0x37, Unit::Celsius, "Temp 1"),
            sensor(3, 7, Unit::Celsius, "Ambient"),
            sensor(4, 7, Unit::Volts, "+12 V"),
            sensor(5, 10, Unit::Amperes, "PS1 Curr Out"),
            sensor(6, 10, Unit::Watts, "PS1 Input Power"),
            sensor(7, 7, Unit::Watts, "Pwr Consumption"),
        ];
        assert_eq!(
            names(&sensors),
            [
                "sensor/ps1-input-power",
                "sensor/pwr-consumption total",
                "sensor/ps1-curr-out",
                "sensor/temp-1",
                "sensor/ambient",
                "sensor/p12-v"
            ]
        );
    }

    #[test]
    fn the_best_name_is_the_total_and_a_supply_never_is() {
        let watts = |number, entity, name| sensor(number, entity, Unit::Watts, name);
        assert_eq!(
            names(&[watts(1, 7, "Total_Power"), watts(2, 7, "System Level"), watts(3, 7, "CPU Power")]),
            ["sensor/total_power", "sensor/system-level total", "sensor/cpu-power"]
        );
        assert_eq!(names(&[watts(1, 10, "Power Meter")]), ["sensor/power-meter"]);
        assert_eq!(names(&[watts(1, 7, "PSU Power")]), ["sensor/psu-power"], "no guess");
    }

    #[test]
    fn equal_and_empty_names_are_told_apart_by_number() {
        let sensors = [
            sensor(8, 7, Unit::Volts, "VDD"),
            sensor(9, 7, Unit::Volts, "VDD"),
            sensor(4, 7, Unit::Volts, "\u{e9}"),
        ];
        assert_eq!(names(&sensors), ["sensor/vdd/0.8", "sensor/vdd/0.9", "sensor/0.4"]);
    }

    #[test]
    fn a_sensor_of_another_controller_is_told_apart_by_its_address() {
        let own = sensor(8, 7, Unit::Watts, "Power");
        let via = Some(Via { channel: 0, address: 0x2c });
        let others = Sensor { via, ..own.clone() };
        assert_eq!(names(&[own, others]), ["sensor/power/0.8", "sensor/power/2c.0.8"]);
    }

    #[test]
    fn sensors_with_states_are_read_only_where_that_is_known_to_be_a_mistake() {
        let sensors = [Sensor { discrete: true, ..sensor(8, 7, Unit::Watts, "Power Meter") }];
        assert!(names(&sensors).is_empty());
        assert!(points(&sensors, Discrete::Read).iter().all(|point| point.total));
    }

    #[test]
    fn a_sensor_with_two_records_is_one_channel_and_one_total() {
        let watts = |number, name| sensor(number, 7, Unit::Watts, name);
        assert_eq!(names(&[watts(1, "CPU"), watts(1, "CPU")]), ["sensor/cpu/0.1"]);
        assert_eq!(
            names(&[watts(1, "System Power"), watts(1, "Total Power")]),
            ["sensor/system-power total", "sensor/total-power"]
        );
        // A name that reads like the number of a sensor without one.
        assert_eq!(names(&[watts(4, ""), watts(5, "0.4")]), ["sensor/0.4"]);
    }
}
