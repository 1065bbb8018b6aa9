//! From the registers of one poll to readings. Pure.

use super::number::{Number, looks_misread};
use super::plan::spans;
use super::profile::{Span, Value};
use crate::model::{Joules, Measure, Quantity};

/// How a meter was built in, which no profile can know.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mounting {
    /// Its current transformers are turned round: what it counts as delivered is drawn.
    pub invert: bool,
    /// Its power, current and energy count this many times.
    pub ratio: f64,
}

/// The registers that a poll brought.
#[derive(Debug, Default)]
pub struct Registers(Vec<(Span, Vec<u16>)>);

impl Registers {
    /// Takes an answer.
    pub fn add(&mut self, span: Span, words: Vec<u16>) {
        self.0.push((span, words));
    }

    fn get(&self, span: Span) -> Option<&[u16]> {
        self.0.iter().find_map(|(block, words)| {
            let offset = usize::from(span.start.checked_sub(block.start)?);
            if block.table != span.table {
                return None;
            }
            words.get(offset..offset + usize::from(span.count))
        })
    }
}

/// What one value came to.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// A value.
    Value(Measure),
    /// The device does not have the registers.
    NotThere,
    /// The device says that it has no value.
    NoValue,
    /// A direction that does not count: power that is delivered, not drawn.
    Negative(f64),
    /// No such thing can be measured: the number was read wrongly.
    Unbelievable(f64),
}

/// One value with where it stood.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// What it came to.
    pub outcome: Outcome,
    /// Where the numbers stood.
    pub spans: Vec<Span>,
    /// The numbers, with their registers.
    pub numbers: Vec<(Vec<u16>, Number)>,
}

/// Reads `value`.
#[must_use]
pub fn read(value: &Value, registers: &Registers, mounting: &Mounting) -> Found {
    let Some(places) = spans(value, mounting.invert) else {
        return Found { outcome: Outcome::NotThere, spans: Vec::new(), numbers: Vec::new() };
    };
    let numbers: Option<Vec<(Vec<u16>, Number)>> = places
        .iter()
        .map(|span| {
            let words = registers.get(*span)?;
            Some((words.to_vec(), value.kind.read(words, value.order)?))
        })
        .collect();
    let Some(numbers) = numbers else {
        return Found { outcome: Outcome::NotThere, spans: places, numbers: Vec::new() };
    };
    let outcome = outcome(value, &numbers, mounting);
    Found { outcome, spans: places, numbers }
}

fn outcome(value: &Value, numbers: &[(Vec<u16>, Number)], mounting: &Mounting) -> Outcome {
    let mut total = 0.0;
    let mut step: f64 = 0.0;
    for (_, number) in numbers {
        let missing = value.missing.iter().any(|missing| *missing == number.real());
        if value.kind.never_means_a_value(*number) || missing {
            return Outcome::NoValue;
        }
        let one = value.scale.apply(*number);
        let (least, most) = value.valid;
        if looks_misread(*number) || !(least..=most).contains(&one) {
            return Outcome::Unbelievable(one);
        }
        total += one;
        // Each of several counters hides up to a step of its own.
        step += value.scale.step(value.kind, *number, value.step).get();
    }
    let ratio = if is_behind_transformers(value.quantity) { mounting.ratio } else { 1.0 };
    let turned = mounting.invert && value.quantity == Quantity::Power;
    let total = total * ratio * if turned { -1.0 } else { 1.0 };
    // A negative zero is a zero.
    let total = if value.magnitude { total.abs() } else { total + 0.0 };
    let joules = |value: f64| Joules::new(value).ok();
    let modulus =
        value.wraps_at.filter(|_| numbers.len() == 1).map(|number| value.scale.stretch(number) * ratio);
    let quantum = joules(step * ratio).unwrap_or(Joules::ZERO);
    match Measure::from_base_units(value.quantity, total, quantum, modulus.and_then(joules)) {
        Ok(measure) => Outcome::Value(measure),
        Err(_) => Outcome::Negative(total),
    }
}

const fn is_behind_transformers(quantity: Quantity) -> bool {
    match quantity {
        Quantity::Power | Quantity::ApparentPower | Quantity::Current | Quantity::Energy => true,
        Quantity::Voltage
        | Quantity::PowerFactor
        | Quantity::Frequency
        | Quantity::Temperature
        | Quantity::Humidity
        | Quantity::Flow => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drivers::modbus::Profile;
    use crate::drivers::modbus::wire::pdu::Table;
    use crate::drivers::profiles::Profile as _;
    use crate::model::{EnergyCounter, Watts};

    const STRAIGHT: Mounting = Mounting { invert: false, ratio: 1.0 };

    fn value(rest: &str) -> Value {
        let text = format!(
            "protocol: modbus\nname: own\nabout: a meter\nchannels: [{{channel: input, values: [{{register: 0, {rest}}}]}}]\n"
        );
        Profile::parse(&text).unwrap().values.remove(0)
    }

    fn outcome_of(value: &Value, words: &[u16], mounting: Mounting) -> Outcome {
        let mut registers = Registers::default();
        let count = u16::try_from(words.len()).unwrap();
        registers.add(Span { table: Table::Holding, start: 0, count }, words.to_vec());
        read(value, &registers, &mounting).outcome
    }

    fn watts(value: f64) -> Outcome {
        Outcome::Value(Measure::Power(Watts::new(value).unwrap()))
    }

    #[test]
    fn power_has_a_direction_that_a_mounting_may_turn() {
        let power = value("quantity: power, type: i32, scale: 0.1");
        let turned = Mounting { invert: true, ratio: 1.0 };
        assert_eq!(outcome_of(&power, &[0, 2345], STRAIGHT), watts(234.5));
        assert_eq!(outcome_of(&power, &[0xFFFF, 0xFFF6], STRAIGHT), Outcome::Negative(-1.0));
        assert_eq!(outcome_of(&power, &[0xFFFF, 0xFFF6], turned), watts(1.0));
        assert_eq!(outcome_of(&power, &[0, 10], turned), Outcome::Negative(-1.0));
        assert_eq!(outcome_of(&power, &[0, 10], Mounting { invert: false, ratio: 40.0 }), watts(40.0));
    }

    #[test]
    fn what_is_not_there_is_no_zero() {
        let power = value("quantity: power, type: u16, missing: [9999]");
        assert_eq!(outcome_of(&power, &[9999], STRAIGHT), Outcome::NoValue);
        assert_eq!(outcome_of(&power, &[0xFFFF], STRAIGHT), Outcome::NoValue);
        assert_eq!(outcome_of(&power, &[0], STRAIGHT), watts(0.0));
        assert_eq!(read(&power, &Registers::default(), &STRAIGHT).outcome, Outcome::NotThere);
    }

    #[test]
    fn a_number_of_the_wrong_type_is_not_believed() {
        // The integer 2300 as a float is 3.2e-42; a float with its words swapped is anything.
        let voltage = value("quantity: voltage, type: f32");
        assert!(matches!(outcome_of(&voltage, &[0, 2300], STRAIGHT), Outcome::Unbelievable(_)));
        assert!(matches!(outcome_of(&voltage, &[0x7A00, 0x4366], STRAIGHT), Outcome::Unbelievable(_)));
        let frequency = value("quantity: frequency, type: u16, valid: [40, 70]");
        assert_eq!(outcome_of(&frequency, &[500], STRAIGHT), Outcome::Unbelievable(500.0));
    }

    #[test]
    fn energy_has_its_step_its_end_and_its_other_direction() {
        let energy = value("quantity: energy, type: u32, scale: 360000, wraps_at_bits: 32, reversed: 2");
        let Outcome::Value(Measure::Energy(counter)) = outcome_of(&energy, &[0, 5, 0, 7], STRAIGHT) else {
            panic!()
        };
        let joules = |value| Joules::new(value).unwrap();
        let modulus = Some(joules(4_294_967_296.0 * 360_000.0));
        assert_eq!(counter, EnergyCounter { total: joules(1.8e6), quantum: joules(360_000.0), modulus });
        let turned = Mounting { invert: true, ratio: 2.0 };
        let Outcome::Value(Measure::Energy(counter)) = outcome_of(&energy, &[0, 5, 0, 7], turned) else {
            panic!()
        };
        assert_eq!((counter.total, counter.quantum), (joules(5.04e6), joules(720_000.0)));
        // Without a counter of the other direction there is none.
        let energy = value("quantity: energy, type: u32, scale: 1");
        assert_eq!(outcome_of(&energy, &[0, 5], turned), Outcome::NotThere);
    }

    #[test]
    fn tariffs_add_up_and_one_without_a_value_leaves_no_sum() {
        let energy = value("quantity: energy, type: u16, scale: 1, add: [1], wraps_at: 10000");
        let Outcome::Value(Measure::Energy(counter)) = outcome_of(&energy, &[5, 7], STRAIGHT) else {
            panic!()
        };
        assert_eq!((counter.total.get(), counter.quantum.get(), counter.modulus), (12.0, 2.0, None));
        assert_eq!(outcome_of(&energy, &[5, 0xFFFF], STRAIGHT), Outcome::NoValue);
    }

    #[test]
    fn a_sign_that_is_a_direction_is_left_out() {
        let factor = value("quantity: power_factor, type: i16, scale: 0.001, magnitude: true");
        let Outcome::Value(measure) = outcome_of(&factor, &[0xFC72], STRAIGHT) else { panic!() };
        assert_eq!(measure.value(), 0.91);
    }
}
