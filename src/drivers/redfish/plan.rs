//! What a discovery makes of a BMC: which resources each poll reads, and the names of the channels. Pure.
//!
//! Names depend on the structure found, never on a value, so that a missing reading renames nothing.

use std::collections::HashSet;

use super::draft::{ChassisDraft, Draft, SupplyDraft};
use super::extras::{Extra, extras};
use super::names::{clean, unique};
use super::origin::{Origin, ResourcePath};
use super::quirks::Maker;
use super::resources::{Presence, System};
use super::sensors::Role;
use super::summary::summary;
use super::topology::Topology;
use super::windows;
use crate::model::{ChannelId, ErrorKind, Identity, PollError, SystemSummary};

/// What there is to poll at one BMC.
#[derive(Debug, Default)]
pub(super) struct Site {
    /// Every chassis with power.
    pub(super) chassis: Vec<ChassisPlan>,
    /// The server among them. Where there is none, every chassis is as good as the others.
    main: Option<usize>,
    pub(super) extras: Vec<Extra>,
    /// HPE's summary of 24 hours, and the channel that it is about.
    pub(super) day: Option<(ChannelId, ResourcePath)>,
    pub(super) identity: Identity,
    pub(super) system: Option<SystemSummary>,
    /// Something answered badly, so that another look is worth while soon.
    pub(super) incomplete: bool,
}

/// What there is to poll at one chassis.
#[derive(Debug)]
pub(super) struct ChassisPlan {
    /// Before every channel of this chassis: nothing, or `chassis/<Id>/`.
    pub(super) prefix: String,
    pub(super) maker: Maker,
    pub(super) environment: Option<ResourcePath>,
    pub(super) power: Option<ResourcePath>,
    /// `power` holds what the newer resources do not: supplies, more than one domain, or a window.
    pub(super) power_adds: bool,
    /// Power supplies of the newer model; where there are any, those in `power` are not used.
    pub(super) supplies: Vec<SupplyPlan>,
    /// The supplies feed others too: their sum is not this chassis.
    pub(super) supplies_are_shared: bool,
    /// What its supplies can give, W.
    pub(super) capacity_watts: Option<f64>,
    /// A sensor of the total, and its factor to W; asked where nothing else gives one.
    pub(super) total_sensor: Option<(ResourcePath, f64)>,
    /// The computer systems in it, each with its name, where there are several.
    pub(super) nodes: Vec<(ResourcePath, String)>,
    /// The inlet's channel, where the ambient temperature of `environment` is all there is for it.
    pub(super) ambient: Option<ChannelId>,
    /// Says whether the server is switched on: its system, or the chassis.
    pub(super) state: ResourcePath,
}

/// A power supply of the newer model.
#[derive(Debug)]
pub(super) struct SupplyPlan {
    /// The last part of its channel.
    pub(super) name: String,
    pub(super) metrics: ResourcePath,
    pub(super) capacity_watts: Option<f64>,
    pub(super) presence: Presence,
}

impl Site {
    /// Makes the plan.
    ///
    /// # Errors
    /// `NoReading` when no chassis has anything to read, or why a resource that might have was left out.
    pub(super) fn from_draft(draft: &Draft, origin: &Origin) -> Result<Self, PollError> {
        let topology = Topology { draft, origin, maker: Maker::of(draft) };
        let powered = powered(draft, topology.maker);
        let main = main(&topology, &powered);
        let names = unique(powered.iter().map(|c| (c.chassis.id.as_deref(), c.path.last_segment())));
        let named: Vec<(&ChassisDraft, String)> = powered
            .iter()
            .zip(names)
            .enumerate()
            .map(|(at, (draft, name))| {
                (*draft, if main == Some(at) { String::new() } else { format!("chassis/{name}/") })
            })
            .collect();
        let extras = extras(&topology, &named);
        let first = powered.get(main.unwrap_or(0)).copied();
        if first.is_none() && extras.is_empty() {
            return Err(draft.left_out.clone().unwrap_or_else(no_power));
        }
        let system = system(&topology, first, main.is_some());
        let plan = |(draft, prefix): &(&ChassisDraft, String)| {
            ChassisPlan::new(draft, prefix.clone(), &extras, &topology)
        };
        let chassis: Vec<ChassisPlan> = named.iter().map(plan).collect();
        let day = main.and_then(|at| Some((chassis.get(at)?.input()?, topology.day(powered.get(at)?)?)));
        let identity = identity(&topology, first, system);
        let incomplete = draft.left_out.is_some();
        Ok(Self { chassis, main, extras, day, identity, system: system.and_then(summary), incomplete })
    }

    /// Where there is nothing but power equipment.
    pub(super) fn without_chassis(maker: Maker) -> Self {
        let identity = Identity { profile: maker.profile().to_owned(), ..Identity::default() };
        Self { identity, ..Self::default() }
    }

    /// Whether nothing of it is polled.
    pub(super) fn is_empty(&self) -> bool {
        self.chassis.is_empty() && self.extras.is_empty()
    }

    /// The chassis that every poll reads: the server, or all where none is the server.
    pub(super) fn core(&self) -> impl Iterator<Item = &ChassisPlan> {
        self.chassis.iter().enumerate().filter(|(at, _)| self.main.is_none_or(|m| m == *at)).map(|(_, c)| c)
    }

    /// All other chassis.
    pub(super) fn others(&self) -> impl Iterator<Item = &ChassisPlan> {
        self.chassis.iter().enumerate().filter(|(at, _)| self.main.is_some_and(|m| m != *at)).map(|(_, c)| c)
    }

    /// Every channel that has a counter of its own, to forget those of channels that are gone.
    pub(super) fn counter_channels(&self) -> HashSet<ChannelId> {
        let of_chassis = self.chassis.iter().flat_map(|chassis| {
            let supplies = chassis.supplies.iter().filter_map(|s| chassis.channel("psu", &s.name));
            supplies.chain(chassis.input())
        });
        of_chassis.chain(self.extras.iter().map(|extra| extra.channel.clone())).collect()
    }
}

impl ChassisPlan {
    fn new(draft: &ChassisDraft, prefix: String, extras: &[Extra], topology: &Topology<'_>) -> Self {
        let measured: Vec<&SupplyDraft> = draft.supplies.iter().filter(|s| s.metrics.is_some()).collect();
        let names = unique(measured.iter().map(|s| (s.supply.id.as_deref(), s.path.last_segment())));
        let supplies = measured
            .iter()
            .zip(names)
            .filter_map(|(draft, name)| {
                let metrics = draft.metrics.clone()?;
                let (capacity_watts, presence) = (draft.supply.capacity_watts, draft.supply.presence);
                Some(SupplyPlan { name, metrics, capacity_watts, presence })
            })
            .collect::<Vec<_>>();
        let power_adds = draft.power.as_ref().is_some_and(|(_, power)| {
            power.controls.len() > 1
                || power.controls.iter().any(windows::has_window)
                || (supplies.is_empty() && !power.supplies.is_empty())
        });
        let nodes = topology.nodes_in(draft);
        let names = unique(nodes.iter().map(|(_, path, system)| (system.id.as_deref(), path.last_segment())));
        let several = nodes.len() > 1;
        let has_inlet = extras.iter().any(|extra| extra.is_inlet_of(&prefix));
        Self {
            maker: topology.maker,
            environment: draft.environment.as_ref().map(|(path, _)| path.clone()),
            power: draft.power.as_ref().map(|(path, _)| path.clone()),
            power_adds,
            supplies,
            supplies_are_shared: topology.shares_supplies(draft),
            capacity_watts: draft.capacity(),
            total_sensor: total_sensor(draft, topology),
            ambient: if has_inlet { None } else { ChannelId::new(&format!("{prefix}inlet")).ok() },
            state: nodes.first().map_or_else(|| draft.path.clone(), |(_, path, _)| (*path).clone()),
            nodes: nodes.iter().map(|(_, path, _)| (*path).clone()).zip(names).filter(|_| several).collect(),
            prefix,
        }
    }

    /// The channel of what the whole chassis takes in.
    pub(super) fn input(&self) -> Option<ChannelId> {
        ChannelId::new(&format!("{}input", self.prefix)).ok()
    }

    /// The channel of one part of the chassis; `name` is a name made by [`unique`].
    pub(super) fn channel(&self, kind: &str, name: &str) -> Option<ChannelId> {
        ChannelId::new(&format!("{}{kind}/{name}", self.prefix)).ok()
    }

    /// The channel of what one of several computer systems in the chassis takes in, if `item` is one.
    pub(super) fn node(&self, item: &ResourcePath) -> Option<ChannelId> {
        let (_, name) = self.nodes.iter().find(|(path, _)| path.same_resource(item))?;
        ChannelId::new(&format!("{}system/{name}/input", self.prefix)).ok()
    }
}

impl ChassisDraft {
    /// Whether anything at it is about its own power.
    fn has_power(&self, maker: Maker) -> bool {
        self.environment.as_ref().is_some_and(|(_, environment)| environment.power_watts.is_some())
            || self.supplies.iter().any(|supply| supply.metrics.is_some())
            || self.power.as_ref().is_some_and(|(_, power)| {
                let listed = power.controls.len() + power.supplies.len();
                listed > 0 || maker.total_elsewhere(power).is_some()
            })
    }

    /// What its supplies can give, W: as the whole says, or their sum, whichever is more.
    fn capacity(&self) -> Option<f64> {
        let new: Option<Vec<f64>> = self.supplies.iter().map(|s| s.supply.capacity_watts).collect();
        let sum: f64 = new.unwrap_or_default().iter().sum();
        Some(self.capacity_watts.unwrap_or_default().max(sum)).filter(|watts| *watts > 0.0)
    }
}

impl Topology<'_> {
    fn day(&self, chassis: &ChassisDraft) -> Option<ResourcePath> {
        let (_, power) = chassis.power.as_ref()?;
        self.origin.resolve(self.maker.day_of_power(power)?)
    }
}

/// The chassis with power; those that only have a sensor of it count if there are no others.
fn powered(draft: &Draft, maker: Maker) -> Vec<&ChassisDraft> {
    let powered: Vec<&ChassisDraft> = draft.chassis.iter().filter(|c| c.has_power(maker)).collect();
    if !powered.is_empty() {
        return powered;
    }
    let sensed = |chassis: &&ChassisDraft| {
        let mut sensors = chassis.sensors.iter();
        sensors.any(|(path, s)| {
            matches!(s.role(maker.is_total_sensor(path.last_segment())), Some(Role::Total(_)))
        })
    };
    draft.chassis.iter().filter(sensed).collect()
}

/// Which of the powered chassis is the server: the only one, or the only one with a computer system.
fn main(topology: &Topology<'_>, powered: &[&ChassisDraft]) -> Option<usize> {
    let with_system = powered.iter().enumerate().filter(|(_, chassis)| topology.is_server(chassis));
    let servers: Vec<usize> = with_system.map(|(at, _)| at).collect();
    match (powered.len(), servers.as_slice()) {
        (1, _) => Some(0),
        (_, [only]) => Some(*only),
        (_, _none_or_several) => None,
    }
}

/// The one computer system that a BMC stands for, if it is one.
fn system<'a>(topology: &Topology<'a>, first: Option<&ChassisDraft>, is_main: bool) -> Option<&'a System> {
    let inside = first.map(|chassis| topology.nodes_in(chassis)).unwrap_or_default();
    // Services that link neither from the chassis nor from the system.
    let all = if inside.is_empty() && (is_main || first.is_none()) { topology.nodes() } else { inside };
    match all.as_slice() {
        [(_, _, only)] => Some(*only),
        _none_or_several => None,
    }
}

fn identity(topology: &Topology<'_>, first: Option<&ChassisDraft>, system: Option<&System>) -> Identity {
    let (draft, maker) = (topology.draft, topology.maker);
    let chassis = first.or_else(|| draft.chassis.first()).map(|first| &first.chassis);
    let said = |texts: [Option<&String>; 3]| {
        texts.into_iter().flatten().next().map_or_else(String::new, |t| clean(t))
    };
    Identity {
        vendor: said([
            draft.root.vendor.as_ref(),
            system.and_then(|s| s.manufacturer.as_ref()),
            chassis.and_then(|c| c.manufacturer.as_ref()),
        ]),
        model: said([system.and_then(|s| s.model.as_ref()), chassis.and_then(|c| c.model.as_ref()), None]),
        serial: said([system.and_then(|s| maker.serial(s)), chassis.and_then(|c| c.serial.as_ref()), None]),
        firmware: said([draft.manager.firmware.as_ref(), None, None]),
        profile: maker.profile().to_owned(),
    }
}

fn total_sensor(draft: &ChassisDraft, topology: &Topology<'_>) -> Option<(ResourcePath, f64)> {
    draft.sensors.iter().find_map(|(path, sensor)| {
        match sensor.role(topology.maker.is_total_sensor(path.last_segment()))? {
            Role::Total(factor) => Some((path.clone(), factor)),
            Role::TotalEnergy(_) | Role::OfSupply(_) | Role::OfPart(_) | Role::Inlet => None,
        }
    })
}

fn no_power() -> PollError {
    PollError::new(
        ErrorKind::NoReading,
        "no chassis offers power readings",
        "check that the BMC measures power (a licence may be needed), or meter this host at its PDU outlet",
    )
}

#[cfg(test)]
mod tests;
