//! Power equipment: PDUs, transfer switches, power shelves and the like behind the service root's `PowerEquipment`.
//!
//! `look` finds out what there is, `plan` names it, `readings` makes readings of what a poll read; here is the order in
//! which it is read. A service without equipment costs nothing; one that lists an empty `PowerEquipment`, one look.

mod look;
mod plan;
mod readings;
mod resources;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use super::client::{Client, Failure};
use super::energy::Counters;
use super::expand::{self, Expansion};
use super::origin::ResourcePath;
use super::reader::{Got, Reader};
use super::resources::read;
use super::select::Collector;
use super::telemetry::Docs;
use crate::model::{ChannelId, Clock, Identity, PollError, Reading};
use look::Look;
use plan::{Group, Plan};
use readings::Seen;
use resources::Row;

/// What one poll read of all units.
pub(super) struct Values(Vec<Seen>);

/// The power equipment of one service.
pub(super) struct Equipment {
    clock: Arc<dyn Clock>,
    /// A look under way; a poll that is dropped leaves it where it stands.
    look: Option<Look>,
    plan: Plan,
    counters: Counters,
    expansion: Expansion,
    /// Where reading members one by one goes on: how many of them, of all units, were had.
    turn: usize,
}

impl Equipment {
    /// Nothing is known yet.
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            look: None,
            plan: Plan::default(),
            counters: Counters::default(),
            expansion: Expansion::default(),
            turn: 0,
        }
    }

    /// Takes from the service root what it says of equipment, and begins to look at it.
    pub(super) fn learn(&mut self, equipment: Option<ResourcePath>, features: &expand::Features) {
        self.expansion.learn(features);
        match equipment {
            // One under way goes on: begun anew each time that something is gone, it might never end.
            Some(path) => self.look = self.look.take().or_else(|| Some(Look::new(path))),
            None => (self.look, self.plan) = (None, Plan::default()),
        }
    }

    /// Whether there is or may be equipment, so that a service without chassis is none the worse.
    pub(super) const fn is_expected(&self) -> bool {
        self.look.is_some() || !self.plan.units.is_empty()
    }

    /// Whether it is known what there is.
    pub(super) const fn is_known(&self) -> bool {
        !self.plan.units.is_empty()
    }

    /// Who the first unit says it is.
    pub(super) fn identity(&self) -> Option<&Identity> {
        self.plan.units.first().map(|unit| &unit.identity)
    }

    /// Why the first resource that was left out was.
    pub(super) const fn left_out(&self) -> Option<&PollError> {
        self.plan.left_out.as_ref()
    }

    /// Whether `channel` is for the equipment to fill: a chassis is not asked for it as well, since two numbers for one
    /// point would take turns.
    pub(super) fn owns(&self, channel: &ChannelId) -> bool {
        let mut alone = self.plan.units.iter().filter(|unit| unit.prefix.is_empty() && unit.has_total());
        alone.any(|unit| unit.input().as_ref() == Some(channel))
    }

    /// Goes on with the look for `steps` resources; true if this ended one.
    ///
    /// # Errors
    /// What leaves nothing more to be expected of this poll.
    pub(super) async fn look(
        &mut self,
        client: &mut Client,
        steps: usize,
        has_systems: bool,
    ) -> Result<bool, PollError> {
        for _ in 0..steps {
            let Some(look) = &mut self.look else { return Ok(false) };
            let Some(path) = look.next().cloned() else { break };
            match client.get_inventory(&path).await {
                Ok(document) => look.answer(&document, client.origin()),
                Err(Failure::Gone) => look.absent(),
                Err(Failure::Refused(error)) => look.failed(error),
                Err(Failure::Broken(error)) => return Err(error),
            }
        }
        if self.look.as_ref().is_none_or(|look| look.next().is_some()) {
            return Ok(false);
        }
        if let Some(look) = self.look.take() {
            self.take(look.finish(has_systems));
        }
        Ok(true)
    }

    fn take(&mut self, plan: Plan) {
        // A service that restarts may show empty collections, or errors, for a while: what was known before stays known.
        let fewer = plan.points() < self.plan.points();
        if fewer && (plan.units.is_empty() || plan.left_out.is_some()) {
            self.plan.left_out = plan.left_out;
            return;
        }
        let mut channels: HashSet<ChannelId> = plan.units.iter().filter_map(plan::Unit::input).collect();
        for member in plan.units.iter().flat_map(|unit| &unit.groups).flat_map(|group| &group.members) {
            let lines = ["L1", "L2", "L3"].map(|line| format!("{}/{line}", member.channel));
            channels.extend(lines.iter().filter_map(|line| ChannelId::new(line).ok()));
            channels.insert(member.channel.clone());
        }
        self.counters.keep_only(&channels);
        self.plan = plan;
        self.turn = 0;
    }

    /// Reads the values of all units.
    ///
    /// # Errors
    /// What leaves nothing more to be expected of this poll.
    pub(super) async fn read(&mut self, reader: &mut Reader<'_>) -> Result<Values, PollError> {
        let Self { plan, expansion, turn, clock, .. } = self;
        let started = clock.now();
        let patience =
            reader.client.as_ref().map_or(Duration::ZERO, |client| expand::patience(client.limit()));
        let mut seen = Vec::with_capacity(plan.units.len());
        for unit in &mut plan.units {
            let mut metrics = None;
            if let Some(path) = &unit.metrics {
                match reader.try_get(path).await? {
                    Got::Document(document) => metrics = Some(read(&document)),
                    Got::Gone => unit.metrics = None,
                    Got::Refused => {}
                }
            }
            let mut rows = Vec::with_capacity(unit.groups.len());
            for group in &mut unit.groups {
                rows.push(together(group, expansion, reader).await?);
            }
            seen.push(Seen { metrics, rows });
        }
        // One by one what did not come together: as many as there is time for, and the others at the next poll.
        let mut missing = missing(plan, &seen);
        let count = missing.len().max(1);
        missing.rotate_left(*turn % count);
        for (nth, (unit, group, member)) in missing.into_iter().enumerate() {
            if nth > 0 && clock.now().since(started) >= patience {
                break;
            }
            let known = plan.units.get_mut(unit).and_then(|unit| unit.groups.get_mut(group));
            let Some(known) = known.and_then(|group| group.members.get_mut(member)) else { continue };
            *turn = (*turn + 1) % count;
            let row = match reader.try_get(&known.path).await? {
                Got::Document(document) => read::<Row>(&document),
                // Listed, but not there: as good as not metered, until the next look.
                Got::Gone => Row::default(),
                Got::Refused => continue,
            };
            known.unmetered = !row.is_metered();
            let slot = seen.get_mut(unit).and_then(|seen| seen.rows.get_mut(group)?.get_mut(member));
            if let Some(slot) = slot {
                *slot = Some(row);
            }
        }
        Ok(Values(seen))
    }

    /// What the readings would be if the resources were as in `docs`.
    pub(super) fn replay(&self, docs: &Docs) -> Vec<Reading> {
        let (mut collector, mut counters) = (Collector::default(), self.counters.clone());
        for unit in &self.plan.units {
            let metrics = unit.metrics.as_ref().and_then(|path| docs.get(path)).map(read);
            let row = |member: &plan::Member| docs.get(&member.path).map(read);
            let rows = unit.groups.iter().map(|group| group.members.iter().map(row).collect()).collect();
            readings::readings(unit, &Seen { metrics, rows }, &mut counters, &mut collector);
        }
        collector.readings
    }

    /// The readings of what was read.
    pub(super) fn readings(&mut self, values: &Values) -> Vec<Reading> {
        let mut collector = Collector::default();
        for (unit, seen) in self.plan.units.iter().zip(&values.0) {
            readings::readings(unit, seen, &mut self.counters, &mut collector);
        }
        collector.readings
    }
}

/// Reads the metered members of `group` in one request, where the service does that.
async fn together(
    group: &mut Group,
    expansion: &mut Expansion,
    reader: &mut Reader<'_>,
) -> Result<Vec<Option<Row>>, PollError> {
    let mut rows = vec![None; group.members.len()];
    // For a single one its own resource is less to carry.
    if !expansion.is_on() || group.members.iter().filter(|member| !member.unmetered).count() < 2 {
        return Ok(rows);
    }
    let wanted: Vec<&ResourcePath> = group.members.iter().map(|member| &member.path).collect();
    let Some(client) = reader.client.as_deref_mut() else { return Ok(rows) };
    let Some(expanded) = expansion.read(client, &group.collection, &wanted).await? else {
        return Ok(rows);
    };
    reader.changed |= expanded.others || expanded.listed.contains(&false);
    for ((member, row), document) in group.members.iter_mut().zip(&mut rows).zip(expanded.documents) {
        if let Some(document) = &document {
            reader.record(&member.path, document);
        }
        *row = document.map(|document| read::<Row>(&document));
        member.unmetered = row.as_ref().is_some_and(|row| !row.is_metered());
    }
    Ok(rows)
}

/// The metered members that have not been read: unit, group and member by their places.
fn missing(plan: &Plan, seen: &[Seen]) -> Vec<(usize, usize, usize)> {
    let mut missing = Vec::new();
    for (u, (unit, seen)) in plan.units.iter().zip(seen).enumerate() {
        for (g, (group, rows)) in unit.groups.iter().zip(&seen.rows).enumerate() {
            for (m, (member, row)) in group.members.iter().zip(rows).enumerate() {
                if row.is_none() && !member.unmetered {
                    missing.push((u, g, m));
                }
            }
        }
    }
    missing
}
