//! OBIS codes (IEC 62056-61), which electricity meters of all makers share, whatever carries them: from coded values to readings.
//! Pure, but for what a meter has chosen to count by, which must not change under way.

use std::collections::BTreeSet;

use super::telegram::{Readings, channel};
use crate::model::{ChannelId, PollError, Quantity, Reading};

/// `A-B:C.D.E`: medium, channel, what is measured, how it is processed, tariff. The sixth part, for values of past billing
/// periods, does not get this far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Code {
    pub(super) a: u8,
    pub(super) b: u8,
    pub(super) c: u8,
    pub(super) d: u8,
    pub(super) e: u8,
}

/// The unit of a value, after its prefix was taken into the number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    Watt,
    WattHour,
    VoltAmpere,
    Volt,
    Ampere,
    Hertz,
    /// A factor.
    One,
}

/// A value under its code.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Item {
    pub(super) code: Code,
    pub(super) unit: Unit,
    /// In units of `unit`.
    pub(super) value: f64,
    /// The step in which it is shown.
    pub(super) step: f64,
    /// Where the display of a counter begins anew, where that is known.
    pub(super) wrap: Option<f64>,
}

/// Where in the supply a value belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spot {
    Total,
    Phase(u8),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    Drawn(Spot),
    Given(Spot),
    Net(Spot),
    /// Drawn and given back together, both counted upwards: what is drawn, for a meter that counts nothing back.
    Both(Spot),
    Plain(Spot, Quantity, Unit),
    /// Energy drawn; 0 is the total, others are tariffs.
    Import(u8),
    /// Energy given back.
    Export(u8),
}

/// What a code means to us; most codes mean nothing.
fn meaning(code: Code) -> Option<Meaning> {
    use Meaning::{Both, Drawn, Export, Given, Import, Net, Plain};
    // Groups of 20 are the phases: 21 is to L1 what 1 is to the total.
    let (of, spot) = match code.c {
        c @ 1..=20 => (c, Spot::Total),
        c @ 21..=40 => (c - 20, Spot::Phase(1)),
        c @ 41..=60 => (c - 40, Spot::Phase(2)),
        c @ 61..=80 => (c - 60, Spot::Phase(3)),
        0 | 81..=u8::MAX => return None,
    };
    match (of, code.d, code.e) {
        (1, 7, 0) => Some(Drawn(spot)),
        (2, 7, 0) => Some(Given(spot)),
        (15, 7, 0) => Some(Both(spot)),
        (16, 7, 0) => Some(Net(spot)),
        (9, 7, 0) => Some(Plain(spot, Quantity::ApparentPower, Unit::VoltAmpere)),
        (11, 7, 0) => Some(Plain(spot, Quantity::Current, Unit::Ampere)),
        (12, 7, 0) => Some(Plain(spot, Quantity::Voltage, Unit::Volt)),
        (13, 7, 0) => Some(Plain(spot, Quantity::PowerFactor, Unit::One)),
        (14, 7, 0) if spot == Spot::Total => Some(Plain(spot, Quantity::Frequency, Unit::Hertz)),
        (1, 8, tariff) if spot == Spot::Total => Some(Import(tariff)),
        (2, 8, tariff) if spot == Spot::Total => Some(Export(tariff)),
        _ => None,
    }
}

/// By which register energy is counted: decided once, since another register would be another counter.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
enum Register {
    #[default]
    Undecided,
    /// The register without tariff.
    Total,
    /// The sum of these tariffs, and of no fewer.
    Tariffs(BTreeSet<u8>),
}

impl Register {
    fn read(&mut self, items: &[(u8, Item)], channel: &ChannelId, into: &mut Readings) {
        let mut tariffs: Vec<(u8, Item)> = Vec::new();
        for (tariff, item) in items {
            if !tariffs.iter().any(|(known, _)| known == tariff) {
                tariffs.push((*tariff, *item));
            }
        }
        let total = tariffs.iter().find(|(tariff, _)| *tariff == 0).map(|(_, item)| *item);
        tariffs.retain(|(tariff, _)| *tariff != 0);
        if *self == Self::Undecided {
            *self = match total {
                Some(_) => Self::Total,
                None if tariffs.is_empty() => Self::Undecided,
                None => Self::Tariffs(tariffs.iter().map(|(tariff, _)| *tariff).collect()),
            };
        }
        match self {
            Self::Undecided => {}
            Self::Total => {
                if let Some(item) = total {
                    into.counter(channel, item.value, item.step, item.wrap);
                }
            }
            Self::Tariffs(chosen) => {
                tariffs.retain(|(tariff, _)| chosen.contains(tariff));
                if tariffs.len() == chosen.len() {
                    let sum = tariffs.iter().map(|(_, item)| item.value).sum();
                    // Each is off by up to its own step. Where they wrap, they do so one by one.
                    let step = tariffs.iter().map(|(_, item)| item.step).sum();
                    into.counter(channel, sum, step, None);
                }
            }
        }
    }
}

/// From values to readings, message by message of one meter.
#[derive(Debug)]
pub(super) struct Fold {
    drawn: [ChannelId; 4],
    given: [ChannelId; 4],
    import: Register,
    export: Register,
}

impl Fold {
    /// Nothing chosen yet.
    ///
    /// # Errors
    /// Never: the channels' names are written here.
    pub(super) fn new() -> Result<Self, PollError> {
        let three = |names: [&str; 4]| -> Result<[ChannelId; 4], PollError> {
            let [total, first, second, third] = names;
            Ok([channel(total)?, channel(first)?, channel(second)?, channel(third)?])
        };
        Ok(Self {
            drawn: three(["input", "phase/L1", "phase/L2", "phase/L3"])?,
            given: three(["export", "export/L1", "export/L2", "export/L3"])?,
            import: Register::Undecided,
            export: Register::Undecided,
        })
    }

    /// The readings of one message.
    pub(super) fn fold(&mut self, items: &[Item]) -> Vec<Reading> {
        let of_electricity = items.iter().filter(|item| item.code.a == 1);
        // Some makers number their only meter 1; where there are several, the first is the meter itself.
        let Some(first) = of_electricity.clone().map(|item| item.code.b).min() else { return Vec::new() };
        let meant = of_electricity.filter(|item| item.code.b == first);
        let meant: Vec<(Meaning, Item)> =
            meant.filter_map(|item| meaning(item.code).map(|meaning| (meaning, *item))).collect();
        let mut into = Readings::default();
        self.powers(&meant, &mut into);
        let [input, ..] = &self.drawn;
        let [export, ..] = &self.given;
        let tariffs = |wanted: fn(Meaning) -> Option<u8>| -> Vec<(u8, Item)> {
            let counters = meant.iter().filter(|(_, item)| item.unit == Unit::WattHour);
            counters.filter_map(|(meaning, item)| Some((wanted(*meaning)?, *item))).collect()
        };
        let import = tariffs(|meaning| if let Meaning::Import(t) = meaning { Some(t) } else { None });
        let exported = tariffs(|meaning| if let Meaning::Export(t) = meaning { Some(t) } else { None });
        self.import.read(&import, input, &mut into);
        self.export.read(&exported, export, &mut into);
        into.finish()
    }

    fn powers(&self, meant: &[(Meaning, Item)], into: &mut Readings) {
        let place = |channels: &[ChannelId; 4], spot: Spot| -> ChannelId {
            let [total, first, second, third] = channels;
            match spot {
                Spot::Total => total,
                Spot::Phase(1) => first,
                Spot::Phase(2) => second,
                Spot::Phase(_) => third,
            }
            .clone()
        };
        let (mut net, mut both) = (Vec::new(), Vec::new());
        let gives_back =
            meant.iter().any(|(meaning, _)| matches!(meaning, Meaning::Export(_) | Meaning::Given(_)));
        for (meaning, item) in meant {
            match *meaning {
                Meaning::Drawn(spot) if item.unit == Unit::Watt => {
                    into.measured(&place(&self.drawn, spot), Quantity::Power, item.value);
                }
                Meaning::Given(spot) if item.unit == Unit::Watt => {
                    into.measured(&place(&self.given, spot), Quantity::Power, item.value);
                }
                Meaning::Net(spot) if item.unit == Unit::Watt => {
                    // Of two, the first: its sign says where both belong.
                    if !net.iter().any(|(known, _)| *known == spot) {
                        net.push((spot, item.value));
                    }
                }
                Meaning::Both(spot) if item.unit == Unit::Watt && !gives_back => {
                    both.push((spot, item.value));
                }
                Meaning::Plain(spot, quantity, unit) if item.unit == unit => {
                    // Meters that see power given back say so by the sign of the current too.
                    into.measured(&place(&self.drawn, spot), quantity, item.value.abs());
                }
                Meaning::Drawn(_)
                | Meaning::Given(_)
                | Meaning::Net(_)
                | Meaning::Both(_)
                | Meaning::Plain(..)
                | Meaning::Import(_)
                | Meaning::Export(_) => {}
            }
        }
        // Where both directions are told apart, they came first, and the difference adds nothing.
        for (spot, watts) in net {
            into.signed(&place(&self.drawn, spot), &place(&self.given, spot), watts);
        }
        for (spot, watts) in both {
            into.measured(&place(&self.drawn, spot), Quantity::Power, watts);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(code: [u8; 5], unit: Unit, value: f64) -> Item {
        let [a, b, c, d, e] = code;
        Item { code: Code { a, b, c, d, e }, unit, value, step: 1.0, wrap: None }
    }

    fn lines(fold: &mut Fold, items: &[Item]) -> Vec<String> {
        let line =
            |r: &Reading| format!("{} {} {}", r.channel, r.measure.quantity().name(), r.measure.value());
        fold.fold(items).iter().map(line).collect()
    }

    #[test]
    fn codes_become_channels() {
        let items = [
            item([1, 0, 1, 7, 0], Unit::Watt, 1193.0),
            item([1, 0, 2, 7, 0], Unit::Watt, 0.0),
            item([1, 0, 41, 7, 0], Unit::Watt, 300.0),
            item([1, 0, 52, 7, 0], Unit::Volt, 229.9),
            item([1, 0, 71, 7, 0], Unit::Ampere, -2.5),
            item([1, 0, 14, 7, 0], Unit::Hertz, 49.9),
            // Gas, a value of the wrong unit, and a code that means nothing here.
            item([7, 0, 1, 7, 0], Unit::Watt, 1.0),
            item([1, 0, 12, 7, 0], Unit::Ampere, 1.0),
            item([1, 0, 1, 6, 0], Unit::Watt, 9000.0),
        ];
        let want = [
            "input power 1193",
            "export power 0",
            "phase/L2 power 300",
            "phase/L2 voltage 229.9",
            "phase/L3 current 2.5",
            "input frequency 49.9",
        ];
        assert_eq!(lines(&mut Fold::new().unwrap(), &items), want);
    }

    #[test]
    fn tariffs_are_summed_only_when_all_of_them_are_there() {
        let mut fold = Fold::new().unwrap();
        let both = [item([1, 0, 1, 8, 1], Unit::WattHour, 10.0), item([1, 0, 1, 8, 2], Unit::WattHour, 5.0)];
        assert_eq!(lines(&mut fold, &both), ["input energy 54000"]);
        assert_eq!(lines(&mut fold, both.get(..1).unwrap()), [] as [&str; 0]);
        // A total that turns up later is another counter: not mixed in.
        let late = [item([1, 0, 1, 8, 0], Unit::WattHour, 15.0)];
        assert_eq!(lines(&mut fold, &late), [] as [&str; 0]);
    }

    #[test]
    fn a_total_is_taken_before_its_tariffs_and_export_is_not_import() {
        let items = [
            item([1, 0, 1, 8, 1], Unit::WattHour, 10.0),
            item([1, 0, 1, 8, 0], Unit::WattHour, 17.0),
            item([1, 0, 2, 8, 0], Unit::WattHour, 1.0),
            item([1, 0, 16, 7, 0], Unit::Watt, -40.0),
        ];
        let want = ["input power 0", "export power 40", "input energy 61200", "export energy 3600"];
        assert_eq!(lines(&mut Fold::new().unwrap(), &items), want);
    }

    #[test]
    fn power_without_direction_is_drawn_unless_the_meter_counts_both_ways() {
        let power = item([1, 0, 15, 7, 0], Unit::Watt, 163.5);
        assert_eq!(lines(&mut Fold::new().unwrap(), &[power]), ["input power 163.5"]);
        let both = [power, item([1, 0, 2, 8, 0], Unit::WattHour, 1.0)];
        assert_eq!(lines(&mut Fold::new().unwrap(), &both), ["export energy 3600"]);
    }

    #[test]
    fn of_two_differences_only_the_first_counts() {
        let items = [item([1, 0, 16, 7, 0], Unit::Watt, 40.0), item([1, 0, 16, 7, 0], Unit::Watt, -3.0)];
        assert_eq!(lines(&mut Fold::new().unwrap(), &items), ["input power 40", "export power 0"]);
    }

    #[test]
    fn a_difference_adds_nothing_to_both_directions() {
        let items = [
            item([1, 1, 16, 7, 0], Unit::Watt, -40.0),
            item([1, 1, 1, 7, 0], Unit::Watt, 0.0),
            item([1, 1, 2, 7, 0], Unit::Watt, 40.0),
        ];
        assert_eq!(lines(&mut Fold::new().unwrap(), &items), ["input power 0", "export power 40"]);
    }
}
