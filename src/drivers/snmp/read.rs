//! From the figures of one poll to readings. Pure.

use super::plan::{Plan, Point};
use super::session::Value;
use crate::model::{Joules, Measure, Quantity, Reading};

/// What one poll's figures say.
#[derive(Debug, PartialEq)]
pub struct Outcome {
    /// The readings; a value that is not there is none.
    pub readings: Vec<Reading>,
    /// Whether a variable is gone that discovery had found: the device's rows may mean something else now.
    pub vanished: bool,
    /// How long the agent runs, hundredths of a second, if it says so.
    pub up_time: Option<i64>,
}

/// Reads the answer to [`Plan::asked`], which has its order.
#[must_use]
pub fn read(plan: &Plan, values: &[Value]) -> Outcome {
    let (up_time, values) = match values.split_last() {
        Some((up_time, values)) => (up_time.number(), values),
        None => (None, values),
    };
    let vanished = values.contains(&Value::Absent);
    let measures: Vec<Option<Measure>> = plan.points.iter().map(|point| measure(point, values)).collect();
    let unmeasured = |point: &Point, measure: &Measure| {
        let other = point.zero_is_missing_while.and_then(|place| measures.get(place)?.as_ref());
        measure.value() == 0.0 && other.is_some_and(|power| power.value() > 0.0)
    };
    let all =
        plan.points.iter().zip(&measures).filter_map(|(point, measure)| Some((point, measure.as_ref()?)));
    let readings = all
        .filter(|(point, measure)| !unmeasured(point, measure))
        .map(|(point, measure)| Reading {
            channel: point.channel.clone(),
            measure: *measure,
            quality: point.quality,
        })
        .collect();
    Outcome { readings, vanished, up_time }
}

/// One point's value; none if one of its variables has none, or it cannot be a value of that quantity. A part of a sum that is no
/// measurement leaves no sum, although the sum might look like one.
fn measure(point: &Point, values: &[Value]) -> Option<Measure> {
    let (mut sum, mut step) = (0.0, 0.0);
    for term in &point.terms {
        let figure = term.scale.figure(values.get(term.place)?)?;
        sum += term.scale.apply(figure)?;
        step += term.scale.step(figure);
    }
    let (quantum, modulus) = match point.quantity {
        // A sum of counters does not begin again where one of them does.
        Quantity::Energy => match point.terms.as_slice() {
            [only] => (Joules::new(step).ok()?, only.scale.modulus()),
            _ => (Joules::new(step).ok()?, None),
        },
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
    Measure::from_base_units(point.quantity, sum, quantum, modulus).ok()
}
