//! From the numbers of one poll to readings. Pure.

use std::collections::HashMap;

use super::oid::Oid;
use super::plan::{Plan, Point};
use super::session::{Row, Value};
use crate::model::{ChannelId, Joules, Measure, Quantity, Reading};

/// What one poll's numbers say.
#[derive(Debug, PartialEq)]
pub struct Outcome {
    /// The readings; a value that is not there is none.
    pub readings: Vec<Reading>,
    /// Whether a variable is gone that discovery had found: the device's rows may mean something else now.
    pub vanished: bool,
}

/// Reads `rows` by `plan`.
#[must_use]
pub fn read(plan: &Plan, rows: &[Row]) -> Outcome {
    let numbers: HashMap<&Oid, &Value> = rows.iter().map(|(oid, value)| (oid, value)).collect();
    let vanished =
        plan.points.iter().flat_map(|p| &p.oids).any(|oid| matches!(numbers.get(oid), Some(Value::Absent)));
    let all: Vec<(&Point, Measure)> =
        plan.points.iter().filter_map(|point| Some((point, measure(point, &numbers)?))).collect();
    let powers: HashMap<&ChannelId, f64> = all
        .iter()
        .filter(|(p, _)| p.quantity == Quantity::Power)
        .map(|(p, m)| (&p.channel, m.value()))
        .collect();
    let unmeasured = |point: &Point, measure: &Measure| {
        let other = point.zero_is_missing_while.as_ref().and_then(|channel| powers.get(channel));
        measure.value() == 0.0 && other.is_some_and(|watts| *watts > 0.0)
    };
    let readings = all
        .iter()
        .filter(|(point, measure)| !unmeasured(point, measure))
        .map(|(point, measure)| Reading {
            channel: point.channel.clone(),
            measure: *measure,
            quality: point.quality,
        })
        .collect();
    Outcome { readings, vanished }
}

/// One point's value; none if one of its variables has none, or it cannot be a value of that quantity.
fn measure(point: &Point, numbers: &HashMap<&Oid, &Value>) -> Option<Measure> {
    let value = |oid: &Oid| point.scale.apply(numbers.get(oid)?.number()?);
    let values: Option<Vec<f64>> = point.oids.iter().map(value).collect();
    let values = values?;
    // A negative part of a sum is no measurement either, although the sum might look like one.
    let signed = point.quantity == Quantity::Temperature;
    if !signed && values.iter().any(|v| *v < 0.0) {
        return None;
    }
    let (quantum, modulus) = match point.quantity {
        Quantity::Energy => (point.scale.step(), point.scale.modulus()),
        Quantity::Power
        | Quantity::ApparentPower
        | Quantity::Voltage
        | Quantity::Current
        | Quantity::PowerFactor
        | Quantity::Frequency
        | Quantity::Temperature
        | Quantity::Humidity
        | Quantity::Flow => (Joules::ZERO, None),
    };
    Measure::from_base_units(point.quantity, values.iter().sum(), quantum, modulus).ok()
}
