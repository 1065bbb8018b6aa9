//! From a profile and what a walk found to the list of variables that each poll reads. Pure.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::found::Found;
use super::oid::Oid;
use super::profile::{Place, Profile, Scale, Source};
use super::rows::{Candidate, candidates};
use crate::model::{Accuracy, ChannelId, ChannelInfo, Quality, Quantity, Ratio, Watts};

/// The most points of one device; far above the largest chain, so that a hostile agent cannot fill our memory.
pub const MAX_POINTS: usize = 4000;

/// sysUpTime.0, hundredths of a second; it falls when the agent restarts, and every 497 days.
const SYS_UP_TIME: [u32; 9] = [1, 3, 6, 1, 2, 1, 1, 3, 0];

/// A step finer than this says nothing of a meter whose class is not known, W.
const COARSE_STEP: f64 = 1.0;

/// One reading to be: where its figures stand and what they mean.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// Whose reading.
    pub channel: ChannelId,
    /// Of what.
    pub quantity: Quantity,
    /// How the device knows it.
    pub quality: Quality,
    /// The variables; several add up.
    pub terms: Vec<Term>,
    /// The point whose power, while above 0, makes a 0 here "not measured".
    pub zero_is_missing_while: Option<usize>,
    /// Whether any row of its column had a value when the plan was made.
    pub alive: bool,
}

/// One variable of a point.
#[derive(Debug, Clone, PartialEq)]
pub struct Term {
    /// Its place in [`Plan::asked`].
    pub place: usize,
    /// From figure to value.
    pub scale: Arc<Scale>,
}

/// All points of a device.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Every variable to read, each once; the last is `sysUpTime`.
    pub asked: Vec<Oid>,
    /// At most one for each channel and quantity.
    pub points: Vec<Point>,
    /// What is to say of its channels.
    pub channels: Vec<ChannelInfo>,
    /// How many of the points had a value when the plan was made.
    pub present: usize,
}

impl Plan {
    /// The variables of a point.
    pub fn sources<'a>(&'a self, point: &'a Point) -> impl Iterator<Item = &'a Oid> {
        point.terms.iter().filter_map(|term| self.asked.get(term.place))
    }

    /// The points in whose columns something had a value.
    fn alive(&self) -> impl Iterator<Item = (&ChannelId, Quantity)> {
        self.points.iter().filter(|point| point.alive).map(|point| (&point.channel, point.quantity))
    }

    /// The point of a channel and quantity.
    #[must_use]
    pub fn point(&self, channel: &ChannelId, quantity: Quantity) -> Option<&Point> {
        self.points.iter().find(|point| point.quantity == quantity && point.channel == *channel)
    }
}

/// Every column that a profile needs walked, each once.
#[must_use]
pub fn columns(profile: &Profile) -> Vec<Oid> {
    let mut seen = HashSet::new();
    let column = |place: &Place| match place {
        Place::Column(oid) => Some(oid.clone()),
        Place::Scalar(_) => None,
    };
    places(profile).into_iter().filter_map(column).filter(|oid| seen.insert(oid.clone())).collect()
}

/// Every single variable that a profile needs, each once.
#[must_use]
pub fn scalars(profile: &Profile) -> Vec<Oid> {
    let mut seen = HashSet::new();
    let scalar = |place: &Place| match place {
        Place::Scalar(oid) => Some(oid.clone()),
        Place::Column(_) => None,
    };
    places(profile).into_iter().filter_map(scalar).filter(|oid| seen.insert(oid.clone())).collect()
}

/// Every place that a profile names.
fn places(profile: &Profile) -> Vec<&Place> {
    let mut all = Vec::new();
    for group in &profile.groups {
        let vars = group.vars.iter().map(|(_, var)| var).chain(&group.unit).map(|var| &var.source);
        let conditions = group.values.iter().flat_map(|value| &value.conditions).chain(&group.conditions);
        let sources = vars.chain(conditions.map(|condition| &condition.source));
        all.extend(sources.filter_map(|source| match source {
            Source::Cell(cell) => Some(&cell.place),
            Source::Part(_) => None,
        }));
        all.extend(group.names.iter().map(|cell| &cell.place));
        for value in &group.values {
            all.push(&value.place);
            all.extend(value.modifiers.iter().map(|(_, cell)| &cell.place));
        }
    }
    all
}

/// The plan for what was found. Where several places give the same channel and quantity, the first that had a value
/// is taken; an energy counter that `before` read stays, since two counters of one channel differ by some joules.
/// What no row of a column had a value for, now and `before`, is not asked for.
#[must_use]
pub fn plan(profile: &Profile, found: &Found, before: Option<&Plan>) -> Plan {
    let mut chosen: Vec<Candidate> = Vec::new();
    let mut names: HashMap<ChannelId, String> = HashMap::new();
    let mut places: HashMap<(ChannelId, Quantity), usize> = HashMap::new();
    let keeps = |candidate: &Candidate| {
        candidate.quantity == Quantity::Energy
            && before.is_some_and(|plan| {
                let point = plan.point(&candidate.channel, Quantity::Energy);
                point.is_some_and(|point| plan.sources(point).eq(candidate.terms.iter().map(|(oid, _)| oid)))
            })
    };
    for group in &profile.groups {
        for candidate in candidates(group, found, &mut names) {
            let key = (candidate.channel.clone(), candidate.quantity);
            if let Some(old) = places.get(&key).and_then(|&place| chosen.get_mut(place)) {
                if candidate.present && (!old.present || (keeps(&candidate) && !keeps(old))) {
                    *old = candidate;
                }
            } else if chosen.len() < MAX_POINTS {
                places.insert(key, chosen.len());
                chosen.push(candidate);
            }
        }
    }
    if let Some(before) = before {
        let alive: HashSet<_> = before.alive().collect();
        chosen.retain(|c| c.alive || alive.contains(&(&c.channel, c.quantity)));
    }
    made(profile, chosen, names)
}

/// Puts the chosen together.
fn made(profile: &Profile, chosen: Vec<Candidate>, mut names: HashMap<ChannelId, String>) -> Plan {
    let mut asked: Vec<Oid> = Vec::new();
    let mut places: HashMap<Oid, usize> = HashMap::new();
    let mut points = Vec::with_capacity(chosen.len());
    let mut channels: BTreeMap<ChannelId, ChannelInfo> = BTreeMap::new();
    let powers: HashMap<ChannelId, usize> = chosen
        .iter()
        .enumerate()
        .filter(|(_, candidate)| candidate.quantity == Quantity::Power)
        .map(|(place, candidate)| (candidate.channel.clone(), place))
        .collect();
    let present = chosen.iter().filter(|candidate| candidate.present).count();
    // One name for all quantities of a channel: ten thousand devices have a million points.
    let mut ids: HashSet<ChannelId> = HashSet::new();
    for mut candidate in chosen {
        match ids.get(&candidate.channel) {
            Some(known) => candidate.channel = known.clone(),
            None => drop(ids.insert(candidate.channel.clone())),
        }
        let accuracy = accuracy(profile, &candidate);
        if let Some(name) = names.remove(&candidate.channel) {
            let info = ChannelInfo { channel: candidate.channel.clone(), name, accuracy: None };
            channels.entry(candidate.channel.clone()).or_insert(info).accuracy = accuracy;
        } else if accuracy.is_some() {
            let info = ChannelInfo { channel: candidate.channel.clone(), name: String::new(), accuracy };
            channels.entry(candidate.channel.clone()).or_insert(info).accuracy = accuracy;
        }
        let mut place = |oid: Oid| {
            *places.entry(oid).or_insert_with_key(|oid| {
                asked.push(oid.clone());
                asked.len().saturating_sub(1)
            })
        };
        let terms = candidate.terms.into_iter().map(|(oid, scale)| Term { place: place(oid), scale });
        points.push(Point {
            channel: candidate.channel,
            quantity: candidate.quantity,
            quality: candidate.quality,
            terms: terms.collect(),
            zero_is_missing_while: candidate.while_channel.and_then(|channel| powers.get(&channel).copied()),
            alive: candidate.alive,
        });
    }
    asked.extend(Oid::from_arcs(&SYS_UP_TIME));
    Plan { asked, points, channels: channels.into_values().collect(), present }
}

/// How far a channel's power may be off, as far as class or a coarse step say.
fn accuracy(profile: &Profile, candidate: &Candidate) -> Option<Accuracy> {
    if candidate.quantity != Quantity::Power || !candidate.present {
        return None;
    }
    let class =
        candidate.accuracy.or_else(|| profile.accuracy.filter(|_| candidate.quality == Quality::Measured));
    if class.is_none() && candidate.step <= COARSE_STEP {
        return None;
    }
    Some(Accuracy { share: class.unwrap_or(Ratio::ZERO), step: Watts::new(candidate.step).ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drivers::Profiles;
    use crate::drivers::snmp::read;
    use crate::drivers::snmp::session::{Row, Value};
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

    /// The readings of an answer that has of each variable what `rows` have, in the plan's order.
    fn read_rows(plan: &Plan, rows: &[Row]) -> read::Outcome {
        let value =
            |asked: &Oid| rows.iter().find(|(oid, _)| oid == asked).map_or(Value::Absent, |(_, v)| v.clone());
        let answer: Vec<Value> = plan.asked.iter().map(value).collect();
        read::read(plan, &answer)
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
        let power = |plan: &Plan, rows: &[Row]| input(&read_rows(plan, rows).readings, Quantity::Power);
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
        let readings = read_rows(&plan(&profile(), &found, Some(&before)), &rows).readings;
        // 100 Wh of the total row, not 90 Wh of the total table; power moves to the better place.
        assert_eq!(input(&readings, Quantity::Energy), Some(360_000.0));
        assert_eq!(input(&readings, Quantity::Power), Some(490.0));
        let readings = read_rows(&plan(&profile(), &found, None), &rows).readings;
        assert_eq!(input(&readings, Quantity::Energy), Some(90.0 * 3600.0));
    }

    #[test]
    fn a_sum_with_a_missing_part_is_no_reading() {
        let phases =
            [("3.4.1.2.0.1.1", 1), ("3.4.1.4.0.1.1", 300), ("3.4.1.2.0.1.2", 2), ("3.4.1.4.0.1.2", 200)];
        let (found, mut rows) = eaton(&phases);
        let plan = plan(&profile(), &found, None);
        assert_eq!(input(&read_rows(&plan, &rows).readings, Quantity::Power), Some(500.0));
        for hole in [Value::Absent, Value::Number(-1), Value::Unusable, Value::Number(0xFFFF_FFFF)] {
            rows[3].1 = hole.clone();
            let outcome = read_rows(&plan, &rows);
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
            let powers = read_rows(&plan, &rows).readings;
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
