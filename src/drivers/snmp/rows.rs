//! What a profile's groups could give of the rows that were found: candidates for a plan's points. Pure.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::found::Found;
use super::oid::Oid;
use super::plan::MAX_POINTS;
use super::profile::{Group, Place, Scale, ValueRow};
use super::session::Figure;
use crate::drivers::channels::Template;
use crate::model::{ChannelId, Quality, Quantity, Ratio};

/// The most variables that add up to one point.
const MAX_TERMS: usize = 500;

/// A point that a profile could give, before it is one.
pub struct Candidate {
    /// Whose reading.
    pub channel: ChannelId,
    /// Of what.
    pub quantity: Quantity,
    /// How the device knows it.
    pub quality: Quality,
    /// The variables with their scales; several add up.
    pub terms: Vec<(Oid, Arc<Scale>)>,
    /// The channel whose power, while above 0, makes a 0 here "not measured".
    pub while_channel: Option<ChannelId>,
    /// What stands there now: all terms have a value.
    pub present: bool,
    /// The step in which it is shown, in base units.
    pub step: f64,
    /// Its class, where the maker says it.
    pub accuracy: Option<Ratio>,
    /// Whether it is worth asking for: something in its column has a value.
    pub alive: bool,
}

/// Every point that a group could give, with whether it has a value now; names of channels go to `names`.
pub fn candidates(group: &Group, found: &Found, names: &mut HashMap<ChannelId, String>) -> Vec<Candidate> {
    let mut all: Vec<Candidate> = Vec::new();
    for value in &group.values {
        let room = MAX_POINTS.saturating_sub(all.len());
        let mut of_value = candidates_of(group, value, found, names, room);
        let alive = of_value.iter().any(|candidate| candidate.present);
        of_value.iter_mut().for_each(|candidate| candidate.alive = alive);
        all.append(&mut of_value);
    }
    all
}

fn candidates_of(
    group: &Group,
    value: &ValueRow,
    found: &Found,
    names: &mut HashMap<ChannelId, String>,
    room: usize,
) -> Vec<Candidate> {
    let mut all: Vec<Candidate> = Vec::new();
    let mut sums: HashMap<ChannelId, usize> = HashMap::new();
    // Sums that lack a part: they might look like one.
    let mut torn: HashSet<ChannelId> = HashSet::new();
    let mut scales = Scales::default();
    for (index, oid) in rows(value, found) {
        let Some((unit, words)) = words(group, value, &index, found) else { continue };
        let scale = scale(value, &index, found);
        let here = scale.as_ref().and_then(|scale| scale.figure(found.at(&value.place, &index)?));
        let reversed = value.reverse.as_ref().map(|template| (template, scale.clone().map(Scale::reversed)));
        for (template, scale) in [(&group.channel, scale)].into_iter().chain(reversed) {
            let Some(channel) = words.channel(unit, template) else { continue };
            let Some(scale) = scale.map(|scale| scales.shared(scale)) else {
                torn.insert(channel);
                continue;
            };
            name(group, &channel, &index, found, names);
            let here = here.filter(|figure| scale.apply(*figure).is_some());
            let step = here.map(|figure: Figure| scale.step(figure));
            if let Some(sum) = sums.get(&channel).filter(|_| group.sum).and_then(|&place| all.get_mut(place))
            {
                if !sum.add(oid.clone(), scale, step) {
                    torn.insert(channel);
                }
            } else if all.len() < room {
                sums.insert(channel.clone(), all.len());
                let while_channel = value.zero_is_missing_while.as_deref();
                all.push(Candidate {
                    channel,
                    quantity: value.quantity,
                    quality: value.quality,
                    terms: vec![(oid.clone(), scale)],
                    while_channel: while_channel.and_then(|name| in_unit(unit, name)),
                    present: here.is_some(),
                    step: step.unwrap_or_default(),
                    accuracy: value.accuracy,
                    alive: true,
                });
            }
        }
    }
    if group.sum {
        all.retain(|candidate| !torn.contains(&candidate.channel));
    }
    all
}

/// Takes what people call the row's channel, where the device says it.
fn name(
    group: &Group,
    channel: &ChannelId,
    index: &[u32],
    found: &Found,
    names: &mut HashMap<ChannelId, String>,
) {
    if group.names.is_empty() {
        return;
    }
    let said = group.names.iter().find_map(|cell| found.cell(cell, index)?.words());
    let known = names.entry(channel.clone()).or_default();
    if known.is_empty() {
        *known = said.unwrap_or_default().into_owned();
    }
}

/// The scales of a value's rows, each kept once: they are nearly always the same, and ten thousand devices have a million points.
#[derive(Default)]
struct Scales(Vec<Arc<Scale>>);

impl Scales {
    fn shared(&mut self, scale: Scale) -> Arc<Scale> {
        if let Some(known) = self.0.iter().find(|known| ***known == scale) {
            return Arc::clone(known);
        }
        let scale = Arc::new(scale);
        self.0.push(Arc::clone(&scale));
        scale
    }
}

impl Candidate {
    /// A row more that adds up; none if it has no value. Says whether there is room for it.
    fn add(&mut self, oid: Oid, scale: Arc<Scale>, step: Option<f64>) -> bool {
        if self.terms.len() >= MAX_TERMS {
            return false;
        }
        self.terms.push((oid, scale));
        self.present &= step.is_some();
        self.step += step.unwrap_or_default();
        true
    }
}

/// Where a value stands: the index of each row, and the variable in it.
fn rows(value: &ValueRow, found: &Found) -> Vec<(Vec<u32>, Oid)> {
    match &value.place {
        Place::Scalar(oid) => {
            found.at(&value.place, &[]).map(|_| (Vec::new(), oid.clone())).into_iter().collect()
        }
        Place::Column(column) => {
            found.rows(column).filter_map(|index| Some((index.clone(), column.row(index)?))).collect()
        }
    }
}

/// What a row says for the names in a channel's name.
struct Words<'g>(Vec<(&'g str, String)>);

impl Words<'_> {
    fn channel(&self, unit: i64, template: &Template) -> Option<ChannelId> {
        let fill = |hole: &str| self.0.iter().find(|(name, _)| *name == hole).map(|(_, word)| word.as_str());
        in_unit(unit, &template.fill(fill)?)
    }
}

/// The row's unit and words; none if the row does not count.
fn words<'g>(group: &'g Group, value: &ValueRow, index: &[u32], found: &Found) -> Option<(i64, Words<'g>)> {
    if !found.all_hold(&group.conditions, index) || !found.all_hold(&value.conditions, index) {
        return None;
    }
    let unit = match &group.unit {
        Some(var) => found.word(var, index)?.parse().ok().filter(|unit: &i64| *unit > 0)?,
        None => 1,
    };
    let words: Option<Vec<(&str, String)>> =
        group.vars.iter().map(|(name, var)| Some((name.as_str(), found.word(var, index)?))).collect();
    Some((unit, Words(words?)))
}

/// The channel's full name: the first unit of a chain goes without its number, as a unit that stands alone does.
fn in_unit(unit: i64, channel: &str) -> Option<ChannelId> {
    match unit {
        1 => ChannelId::new(channel).ok(),
        later => ChannelId::new(&format!("unit/{later}/{channel}")).ok(),
    }
}

/// The value's scale with what the device says of it; none if it does not say what it should.
fn scale(value: &ValueRow, index: &[u32], found: &Found) -> Option<Scale> {
    value.modifiers.iter().try_fold(value.scale.clone(), |scale, (modifier, cell)| {
        Some(scale.with(modifier.factor(found.cell(cell, index)?.number()?)?))
    })
}
