//! Sensors of a chassis: which of them measure electricity, in which unit, and of what. Pure.
//!
//! Unit and type must agree: a sensor whose `ReadingUnits` are not those of its `ReadingType` says nothing.

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::lenient::{flag, number, resource, text};
use super::resources::{Excerpt, Presence, presence};

resource!(/// A sensor, Sensor 1.12.
Sensor {
    id: Option<String> = "Id" by "text",
    presence: Presence = "Status" by "presence",
    enabled: Option<bool> = "Enabled" by "flag",
    kind: Option<String> = "ReadingType" by "text",
    units: Option<String> = "ReadingUnits" by "text",
    reading: Option<f64> = "Reading" by "number",
    lifetime: Option<f64> = "LifetimeReading" by "number",
    place: Place = "PhysicalContext" by "place",
    side: Side = "PhysicalSubContext" by "side",
    lines: Lines = "ElectricalContext" by "lines",
});

/// What a sensor measures, and the factor to the unit in which this driver reads it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Quantity {
    /// Power; factor to W.
    Power(f64),
    /// Energy; factor to kWh.
    KilowattHours(f64),
    /// Energy; factor to J.
    Joules(f64),
    /// Voltage, V.
    Volts,
    /// Current, A.
    Amperes,
    /// Temperature, degrees Celsius.
    Celsius,
}

/// Where a sensor is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Place {
    /// `Chassis` or `SystemBoard`: the whole.
    Whole,
    /// `PowerSupply`, `PowerSupplyBay`.
    Supply,
    /// `Intake`.
    Intake,
    /// Anywhere else.
    #[default]
    Elsewhere,
}

fn place<'de, D: Deserializer<'de>>(from: D) -> Result<Place, D::Error> {
    Ok(match Value::deserialize(from)?.as_str() {
        Some("Chassis" | "SystemBoard") => Place::Whole,
        Some("PowerSupply" | "PowerSupplyBay") => Place::Supply,
        Some("Intake") => Place::Intake,
        Some(_) | None => Place::Elsewhere,
    })
}

/// On which side of the thing a sensor is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Side {
    /// `Input`.
    Input,
    /// `Output`.
    Output,
    /// Not said.
    #[default]
    Unsaid,
}

fn side<'de, D: Deserializer<'de>>(from: D) -> Result<Side, D::Error> {
    Ok(match Value::deserialize(from)?.as_str() {
        Some("Input") => Side::Input,
        Some("Output") => Side::Output,
        Some(_) | None => Side::Unsaid,
    })
}

/// Which lines a sensor measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Lines {
    /// `Total`: all of them.
    Total,
    /// One line, or two against each other.
    Some,
    /// Not said.
    #[default]
    Unsaid,
}

fn lines<'de, D: Deserializer<'de>>(from: D) -> Result<Lines, D::Error> {
    Ok(match Value::deserialize(from)?.as_str() {
        Some("Total") => Lines::Total,
        Some(_) => Lines::Some,
        None => Lines::Unsaid,
    })
}

/// What a sensor is to this driver.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Role {
    /// Power of the whole chassis.
    Total(f64),
    /// Energy of the whole chassis.
    TotalEnergy(Quantity),
    /// Something of a power supply: of interest where the supply's own resource is silent.
    OfSupply(Quantity),
    /// Power or energy of some part.
    OfPart(Quantity),
    /// Temperature of the air that comes in.
    Inlet,
}

impl Sensor {
    /// What it measures, if type and units agree.
    pub(super) fn quantity(&self) -> Option<Quantity> {
        let kind = self.kind.as_deref();
        Some(match (kind, self.units.as_deref()) {
            (Some("Power") | None, Some("W")) | (Some("Power"), None) => Quantity::Power(1.0),
            (Some("Power") | None, Some("kW")) => Quantity::Power(1000.0),
            (Some("EnergykWh") | None, Some("kW.h")) | (Some("EnergykWh"), None) => {
                Quantity::KilowattHours(1.0)
            }
            (Some("EnergyWh"), Some("W.h") | None) => Quantity::KilowattHours(0.001),
            (Some("EnergyJoules") | None, Some("J")) | (Some("EnergyJoules"), None) => Quantity::Joules(1.0),
            (Some("EnergyJoules"), Some("kJ")) => Quantity::Joules(1000.0),
            (Some("Voltage") | None, Some("V")) | (Some("Voltage"), None) => Quantity::Volts,
            (Some("Current") | None, Some("A")) | (Some("Current"), None) => Quantity::Amperes,
            (Some("Temperature") | None, Some("Cel")) | (Some("Temperature"), None) => Quantity::Celsius,
            (_other_type, _other_units) => return None,
        })
    }

    /// What it is to this driver; nothing if it is off, or measures what no one pays for.
    ///
    /// `named_total`: its maker knows it as the total by its name.
    pub(super) fn role(&self, named_total: bool) -> Option<Role> {
        if self.presence == Presence::Missing || self.enabled == Some(false) || self.side == Side::Output {
            return None;
        }
        let quantity = self.quantity()?;
        let total = named_total || self.place == Place::Whole && self.lines == Lines::Total;
        let supply = self.place == Place::Supply && self.lines != Lines::Some;
        match quantity {
            Quantity::Power(factor) if total => Some(Role::Total(factor)),
            // An energy sensor of the chassis seldom says `Total`, and there is no other energy of a chassis.
            Quantity::KilowattHours(_) | Quantity::Joules(_)
                if self.place == Place::Whole && self.lines != Lines::Some =>
            {
                Some(Role::TotalEnergy(quantity))
            }
            Quantity::Power(_) | Quantity::KilowattHours(_) | Quantity::Joules(_) if supply => {
                Some(Role::OfSupply(quantity))
            }
            Quantity::Power(_) | Quantity::KilowattHours(_) | Quantity::Joules(_)
                if self.place == Place::Elsewhere || self.place == Place::Whole =>
            {
                Some(Role::OfPart(quantity))
            }
            // Volts and amperes of rails and regulators are many, and nobody's bill.
            Quantity::Volts | Quantity::Amperes if supply && self.side == Side::Input => {
                Some(Role::OfSupply(quantity))
            }
            Quantity::Celsius if self.place == Place::Intake => Some(Role::Inlet),
            Quantity::Power(_) | Quantity::KilowattHours(_) | Quantity::Joules(_) => None,
            Quantity::Volts | Quantity::Amperes | Quantity::Celsius => None,
        }
    }

    /// Its reading, if it gives one now.
    pub(super) fn now(&self) -> Option<f64> {
        let off = self.presence == Presence::Missing || self.enabled == Some(false);
        self.reading.filter(|_| !off)
    }

    /// Its energy in the unit of `quantity`, as the excerpt that other resources show.
    pub(super) fn energy(&self, factor: f64) -> Excerpt {
        let off = self.presence == Presence::Missing || self.enabled == Some(false);
        let scaled = |value: Option<f64>| value.filter(|_| !off).map(|value| value * factor);
        Excerpt { reading: scaled(self.reading), lifetime: scaled(self.lifetime), ..Excerpt::default() }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::resources::read;
    use super::*;

    fn sensor(json: Value) -> Sensor {
        read(&json)
    }

    #[test]
    fn units_count_only_if_they_are_those_of_the_type() {
        for (kind, units, want) in [
            (json!("Power"), json!("W"), Some(Quantity::Power(1.0))),
            (json!("Power"), json!(null), Some(Quantity::Power(1.0))),
            (json!(null), json!("W"), Some(Quantity::Power(1.0))),
            (json!("Power"), json!("kW"), Some(Quantity::Power(1000.0))),
            (json!("Power"), json!("V.A"), None),
            (json!("Power"), json!("Cel"), None),
            (json!("ApparentPower"), json!("W"), None),
            (json!("EnergykWh"), json!("kW.h"), Some(Quantity::KilowattHours(1.0))),
            (json!("EnergykWh"), json!("J"), None),
            (json!("EnergyWh"), json!("W.h"), Some(Quantity::KilowattHours(0.001))),
            (json!("EnergyJoules"), json!("J"), Some(Quantity::Joules(1.0))),
            (json!("Current"), json!("A"), Some(Quantity::Amperes)),
            (json!("Voltage"), json!("mV"), None),
            (json!("Temperature"), json!("Cel"), Some(Quantity::Celsius)),
            (json!("Temperature"), json!("[degF]"), None),
            (json!(null), json!(null), None),
            (json!(7), json!({}), None),
        ] {
            let sensor = sensor(json!({ "ReadingType": kind, "ReadingUnits": units }));
            assert_eq!(sensor.quantity(), want, "{sensor:?}");
        }
    }

    #[test]
    fn a_sensor_is_the_total_only_if_it_says_so() {
        let power = |place: &str, lines: Value, side: Value| {
            let sensor =
                sensor(json!({ "ReadingType": "Power", "ReadingUnits": "W", "PhysicalContext": place,
                "ElectricalContext": lines, "PhysicalSubContext": side }));
            sensor.role(false)
        };
        let watts = Quantity::Power(1.0);
        assert_eq!(power("Chassis", json!("Total"), json!(null)), Some(Role::Total(1.0)));
        assert_eq!(power("SystemBoard", json!("Total"), json!("Input")), Some(Role::Total(1.0)));
        assert_eq!(power("SystemBoard", json!("Total"), json!("Output")), None);
        assert_eq!(power("Chassis", json!("Line1ToNeutral"), json!(null)), Some(Role::OfPart(watts)));
        assert_eq!(power("SystemBoard", json!(null), json!(null)), Some(Role::OfPart(watts)));
        assert_eq!(power("CPU", json!(null), json!(null)), Some(Role::OfPart(watts)));
        assert_eq!(power("PowerSupply", json!("Total"), json!("Input")), Some(Role::OfSupply(watts)));
        assert_eq!(power("PowerSupply", json!("Total"), json!("Output")), None);
        assert_eq!(sensor(json!({ "ReadingUnits": "W" })).role(true), Some(Role::Total(1.0)));
    }

    #[test]
    fn what_is_off_is_no_sensor() {
        let base = json!({ "ReadingUnits": "W", "Reading": 5, "PhysicalContext": "CPU" });
        for (key, value) in [("Enabled", json!(false)), ("Status", json!({ "State": "Absent" }))] {
            let mut off = base.clone();
            off[key] = value;
            assert_eq!((sensor(off.clone()).role(false), sensor(off).now()), (None, None));
        }
        assert_eq!(sensor(base).now(), Some(5.0));
    }
}
