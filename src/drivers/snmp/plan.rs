//! From a profile and what a walk found to the list of variables that each poll reads. Pure.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::oid::Oid;
use super::profile::{Group, Place, Profile, Scale, Source, ValueRow, Var};
use super::session::{Row, Value};
use crate::model::{ChannelId, Quality, Quantity};

/// The most points of one device; far above the largest chain, so that a hostile agent cannot fill our memory.
const MAX_POINTS: usize = 4000;

/// One reading to be: where its numbers stand and what they mean.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// Whose reading.
    pub channel: ChannelId,
    /// Of what.
    pub quantity: Quantity,
    /// How the device knows it.
    pub quality: Quality,
    /// The variables; several add up.
    pub oids: Vec<Oid>,
    /// From number to value.
    pub scale: Scale,
    /// The channel whose power, while above 0, makes a 0 here "not measured".
    pub zero_is_missing_while: Option<ChannelId>,
}

/// All points of a device.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Plan {
    /// At most one for each channel and quantity.
    pub points: Vec<Point>,
}

impl Plan {
    /// Every variable to read, each once.
    #[must_use]
    pub fn oids(&self) -> Vec<Oid> {
        let mut seen = HashSet::new();
        self.points.iter().flat_map(|p| &p.oids).filter(|oid| seen.insert(*oid)).cloned().collect()
    }
}

/// What discovery found: the rows of every column and the single variables.
#[derive(Debug, Default)]
pub struct Found {
    columns: HashMap<Oid, BTreeMap<Vec<u32>, Value>>,
    scalars: HashMap<Oid, Value>,
}

impl Found {
    /// Takes the rows of a walked column.
    pub fn column(&mut self, column: &Oid, rows: Vec<Row>) {
        let rows = rows.into_iter().filter_map(|(oid, value)| Some((oid.after(column)?.to_vec(), value)));
        self.columns.insert(column.clone(), rows.collect());
    }

    /// Takes single variables.
    pub fn scalars(&mut self, rows: Vec<Row>) {
        self.scalars.extend(rows.into_iter().filter(|(_, value)| *value != Value::Absent));
    }

    fn number(&self, column: &Oid, index: &[u32]) -> Option<i64> {
        self.columns.get(column)?.get(index)?.number()
    }

    fn value(&self, oid_of: &Place, oid: &Oid) -> Option<i64> {
        match oid_of {
            Place::Scalar(_) => self.scalars.get(oid)?.number(),
            Place::Column(column) => self.number(column, oid.after(column)?),
        }
    }
}

/// Every column that a profile needs walked, each once.
#[must_use]
pub fn columns(profile: &Profile) -> Vec<Oid> {
    let mut seen = HashSet::new();
    let of_var = |var: &Var| match &var.source {
        Source::Column(oid) => Some(oid.clone()),
        Source::Part(_) => None,
    };
    let of_value = |value: &ValueRow| match &value.place {
        Place::Column(oid) => Some(oid.clone()),
        Place::Scalar(_) => None,
    };
    let all = profile.groups.iter().flat_map(|group| {
        let vars = group.vars.iter().map(|(_, var)| var).chain(&group.unit);
        vars.filter_map(of_var).chain(group.values.iter().filter_map(of_value))
    });
    all.filter(|oid| seen.insert(oid.clone())).collect()
}

/// Every single variable that a profile needs, each once.
#[must_use]
pub fn scalars(profile: &Profile) -> Vec<Oid> {
    let mut seen = HashSet::new();
    let all = profile.groups.iter().flat_map(|group| &group.values).filter_map(|value| match &value.place {
        Place::Scalar(oid) => Some(oid.clone()),
        Place::Column(_) => None,
    });
    all.filter(|oid| seen.insert(oid.clone())).collect()
}

/// The plan for what was found. Where several places give the same channel and quantity, the first that had a value
/// is taken; an energy counter that `before` read stays, since two counters of one channel differ by some joules.
#[must_use]
pub fn plan(profile: &Profile, found: &Found, before: Option<&Plan>) -> Plan {
    let mut chosen: Vec<(Point, bool)> = Vec::new();
    let mut places: HashMap<(ChannelId, Quantity), usize> = HashMap::new();
    let kept: HashMap<(&ChannelId, Quantity), &Vec<Oid>> = before
        .iter()
        .flat_map(|plan| &plan.points)
        .filter(|point| point.quantity == Quantity::Energy)
        .map(|point| ((&point.channel, point.quantity), &point.oids))
        .collect();
    for (point, present) in profile.groups.iter().flat_map(|group| candidates(group, found)) {
        let key = (point.channel.clone(), point.quantity);
        if let Some(&place) = places.get(&key) {
            let keeps = |p: &Point| kept.get(&(&p.channel, p.quantity)).is_some_and(|oids| **oids == p.oids);
            if let Some(old) = chosen.get_mut(place)
                && present
                && (!old.1 || (keeps(&point) && !keeps(&old.0)))
            {
                *old = (point, present);
            }
        } else if chosen.len() < MAX_POINTS {
            places.insert(key, chosen.len());
            chosen.push((point, present));
        }
    }
    Plan { points: chosen.into_iter().map(|(point, _)| point).collect() }
}

/// Every point that a group could give, with whether it has a value now.
fn candidates(group: &Group, found: &Found) -> Vec<(Point, bool)> {
    let mut all: Vec<(Point, bool)> = Vec::new();
    for value in &group.values {
        let mut sums: HashMap<ChannelId, usize> = HashMap::new();
        for (oid, unit, channel) in instances(group, value, found) {
            let present = found.value(&value.place, &oid).is_some_and(|n| usable(value, n));
            let sum = if group.sum { sums.get(&channel).and_then(|&place| all.get_mut(place)) } else { None };
            if let Some((point, complete)) = sum {
                point.oids.push(oid);
                *complete &= present;
                continue;
            }
            sums.insert(channel.clone(), all.len());
            let while_channel = value.zero_is_missing_while.as_deref().and_then(|name| in_unit(unit, name));
            let point = Point {
                channel,
                quantity: value.quantity,
                quality: value.quality,
                oids: vec![oid],
                scale: value.reading.clone(),
                zero_is_missing_while: while_channel,
            };
            all.push((point, present));
        }
    }
    all
}

/// A value that the plan may prefer: not a sentinel, and not negative where that means "not available".
fn usable(value: &ValueRow, number: i64) -> bool {
    value.reading.apply(number).is_some_and(|v| v >= 0.0 || value.quantity == Quantity::Temperature)
}

/// Where a value stands, row by row: its variable, its unit in the chain, its channel.
fn instances(group: &Group, value: &ValueRow, found: &Found) -> Vec<(Oid, i64, ChannelId)> {
    match &value.place {
        Place::Scalar(oid) if found.scalars.contains_key(oid) => {
            let channel = channel(group, 1, &[], found);
            channel.map(|channel| (oid.clone(), 1, channel)).into_iter().collect()
        }
        Place::Scalar(_) => Vec::new(),
        Place::Column(column) => {
            let rows = found.columns.get(column).into_iter().flat_map(BTreeMap::keys);
            rows.filter_map(|index| {
                let unit = match &group.unit {
                    Some(var) => number(var, index, found).filter(|unit| *unit > 0)?,
                    None => 1,
                };
                Some((column.row(index)?, unit, channel(group, unit, index, found)?))
            })
            .collect()
        }
    }
}

/// The row's channel; none if the row does not count.
fn channel(group: &Group, unit: i64, index: &[u32], found: &Found) -> Option<ChannelId> {
    let names: Option<Vec<(&str, String)>> =
        group.vars.iter().map(|(name, var)| Some((name.as_str(), word(var, index, found)?))).collect();
    let names = names?;
    let fill = |hole: &str| names.iter().find(|(name, _)| *name == hole).map(|(_, word)| word.as_str());
    in_unit(unit, &group.channel.fill(fill)?)
}

/// The channel's full name: the first unit of a chain goes without its number, as a unit that stands alone does.
fn in_unit(unit: i64, channel: &str) -> Option<ChannelId> {
    match unit {
        1 => ChannelId::new(channel).ok(),
        later => ChannelId::new(&format!("unit/{later}/{channel}")).ok(),
    }
}

fn number(var: &Var, index: &[u32], found: &Found) -> Option<i64> {
    let number = match &var.source {
        Source::Column(column) => found.number(column, index)?,
        Source::Part(part) => i64::from(*index.get(*part)?),
    };
    number.checked_add(var.plus)
}

fn word(var: &Var, index: &[u32], found: &Found) -> Option<String> {
    let number = number(var, index, found)?;
    match &var.map {
        Some(map) => map.get(&number).cloned(),
        None => Some(number.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drivers::Profiles;
    use crate::drivers::snmp::read;
    use crate::model::{Measure, Reading};

    fn oid(text: &str) -> Oid {
        Oid::parse(text).unwrap()
    }

    /// Rows as a walk of every column of the Eaton profile would find them.
    fn eaton(rows: &[(&str, i64)]) -> (Found, Vec<Row>) {
        let rows: Vec<Row> = rows
            .iter()
            .map(|(end, n)| (oid(&format!("1.3.6.1.4.1.534.6.6.7.{end}")), Value::Number(*n)))
            .collect();
        let mut found = Found::default();
        for column in columns(&profile()) {
            found.column(
                &column,
                rows.iter().filter(|(oid, _)| oid.after(&column).is_some()).cloned().collect(),
            );
        }
        (found, rows)
    }

    fn profile() -> Profile {
        (**Profiles::built_in().snmp.named("eaton-epdu").unwrap()).clone()
    }

    fn input(readings: &[Reading], quantity: Quantity) -> Option<f64> {
        let hit = readings.iter().find(|r| r.channel.as_str() == "input" && r.measure.quantity() == quantity);
        hit.map(|r| r.measure.value())
    }

    const TOTAL_ROW: [(&str, i64); 3] =
        [("3.4.1.2.0.1.4", 4), ("3.4.1.4.0.1.4", 500), ("3.4.1.5.0.1.4", 100)];
    const TOTAL_TABLE: [(&str, i64); 2] = [("3.5.1.4.0.1", 490), ("3.5.1.5.0.1", 90)];

    #[test]
    fn the_first_place_that_has_a_value_is_read() {
        let (found, rows) = eaton(&TOTAL_ROW);
        let power = |plan: &Plan, rows: &[Row]| input(&read::read(plan, rows).readings, Quantity::Power);
        assert_eq!(power(&plan(&profile(), &found, None), &rows), Some(500.0));
        let (found, rows) = eaton(&[&TOTAL_ROW[..], &TOTAL_TABLE].concat());
        assert_eq!(power(&plan(&profile(), &found, None), &rows), Some(490.0));
        let (found, rows) = eaton(&[&TOTAL_ROW[..], &[("3.5.1.4.0.1", -1)]].concat());
        assert_eq!(power(&plan(&profile(), &found, None), &rows), Some(500.0));
    }

    #[test]
    fn an_energy_counter_stays_the_same_one_although_a_better_place_appears() {
        let (found, _) = eaton(&TOTAL_ROW);
        let before = plan(&profile(), &found, None);
        let (found, rows) = eaton(&[&TOTAL_ROW[..], &TOTAL_TABLE].concat());
        let readings = read::read(&plan(&profile(), &found, Some(&before)), &rows).readings;
        // 100 Wh of the total row, not 90 Wh of the total table; power moves to the better place.
        assert_eq!(input(&readings, Quantity::Energy), Some(360_000.0));
        assert_eq!(input(&readings, Quantity::Power), Some(490.0));
        let readings = read::read(&plan(&profile(), &found, None), &rows).readings;
        assert_eq!(input(&readings, Quantity::Energy), Some(90.0 * 3600.0));
    }

    #[test]
    fn a_sum_with_a_missing_part_is_no_reading() {
        let phases =
            [("3.4.1.2.0.1.1", 1), ("3.4.1.4.0.1.1", 300), ("3.4.1.2.0.1.2", 2), ("3.4.1.4.0.1.2", 200)];
        let (found, mut rows) = eaton(&phases);
        let plan = plan(&profile(), &found, None);
        assert_eq!(input(&read::read(&plan, &rows).readings, Quantity::Power), Some(500.0));
        for hole in [Value::Absent, Value::Number(-1), Value::Unusable, Value::Number(0xFFFF_FFFF)] {
            rows[3].1 = hole.clone();
            let outcome = read::read(&plan, &rows);
            assert_eq!(input(&outcome.readings, Quantity::Power), None, "{hole:?}");
            assert_eq!(outcome.vanished, hole == Value::Absent);
        }
    }

    #[test]
    fn sentinels_and_impossible_numbers_leave_no_sample() {
        let (found, mut rows) = eaton(&[("6.5.1.3.0.1", 80), ("6.5.1.4.0.1", 7)]);
        let plan = plan(&profile(), &found, None);
        for (number, expected) in [(80, 1), (0, 1), (-1, 0), (-2_147_483_648, 0), (4_294_967_295, 0)] {
            rows[0].1 = Value::Number(number);
            let powers = read::read(&plan, &rows).readings;
            let powers = powers.iter().filter(|r| matches!(r.measure, Measure::Power(_))).count();
            assert_eq!(powers, expected, "{number}");
        }
    }

    #[test]
    fn a_hostile_number_of_rows_is_cut_off() {
        let mut found = Found::default();
        for column in columns(&profile()) {
            let rows = (0..2000u32).map(|n| (column.row(&[0, n]).unwrap(), Value::Number(1))).collect();
            found.column(&column, rows);
        }
        assert!(plan(&profile(), &found, None).points.len() <= MAX_POINTS);
    }
}
