//! What a discovery makes of a BMC: which resources each poll reads, and the names of the channels. Pure.
//!
//! Names depend on the structure found, never on a value, so that a missing reading renames nothing.

use std::collections::HashSet;

use super::discover::{ChassisDraft, Draft, SupplyDraft};
use super::origin::{Origin, ResourcePath};
use super::resources::{Link, Presence, System};
use crate::model::{ChannelId, ErrorKind, Identity, PollError};

/// The longest part of a channel's name that a device chooses.
const MAX_NAME_CHARS: usize = 64;
/// The longest text of the device's identity.
const MAX_IDENTITY_CHARS: usize = 100;

/// What there is to poll at one BMC.
#[derive(Debug, Default)]
pub(super) struct Site {
    pub(super) chassis: Vec<ChassisPlan>,
    pub(super) identity: Identity,
    /// Something answered badly, so that another look is worth while soon.
    pub(super) incomplete: bool,
}

/// What there is to poll at one chassis.
#[derive(Debug)]
pub(super) struct ChassisPlan {
    /// Before every channel of this chassis: nothing, or `chassis/<Id>/`.
    pub(super) prefix: String,
    pub(super) environment: Option<ResourcePath>,
    pub(super) power: Option<ResourcePath>,
    /// `power` holds what the newer resources do not: supplies, or more than one domain.
    pub(super) power_adds: bool,
    /// Power supplies of the newer model; where there are any, those in `power` are not used.
    pub(super) supplies: Vec<SupplyPlan>,
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
    pub(super) fn from_draft(draft: Draft, origin: &Origin) -> Result<Self, PollError> {
        let Draft { root, chassis, systems, firmware, left_out } = draft;
        let powered: Vec<_> = chassis.into_iter().filter(ChassisDraft::has_power).collect();
        let servers: Vec<usize> = (0..powered.len())
            .filter(|at| powered.get(*at).is_some_and(|c| c.is_server(&systems, origin)))
            .collect();
        let main = match (powered.len(), servers.as_slice()) {
            (1, _) => Some(0),
            (_, [only]) => Some(*only),
            (_, _none_or_several) => None,
        };
        let Some(first) = powered.get(main.unwrap_or(0)) else {
            return Err(left_out.unwrap_or_else(no_power));
        };
        let system = systems_of(first, &systems, origin).first().map(|(_, system)| *system);
        let said = |texts: [Option<&String>; 3]| {
            texts.into_iter().flatten().next().map_or_else(String::new, |t| clean(t))
        };
        let identity = Identity {
            vendor: said([
                root.vendor.as_ref(),
                system.and_then(|s| s.manufacturer.as_ref()),
                first.chassis.manufacturer.as_ref(),
            ]),
            model: said([system.and_then(|s| s.model.as_ref()), first.chassis.model.as_ref(), None]),
            serial: said([system.and_then(|s| s.serial.as_ref()), first.chassis.serial.as_ref(), None]),
            firmware: said([firmware.as_ref(), None, None]),
            profile: String::new(),
        };
        let names = unique(powered.iter().map(|c| (c.chassis.id.as_deref(), c.path.last_segment())));
        let chassis = powered
            .iter()
            .zip(names)
            .enumerate()
            .map(|(at, (draft, name))| {
                let prefix = if main == Some(at) { String::new() } else { format!("chassis/{name}/") };
                ChassisPlan::new(draft, prefix, &systems, origin)
            })
            .collect();
        Ok(Self { chassis, identity, incomplete: left_out.is_some() })
    }

    /// Every channel that has a counter of its own, to forget those of channels that are gone.
    pub(super) fn counter_channels(&self) -> HashSet<ChannelId> {
        self.chassis
            .iter()
            .flat_map(|chassis| {
                let supplies = chassis.supplies.iter().filter_map(|s| chassis.channel("psu", &s.name));
                supplies.chain(chassis.input())
            })
            .collect()
    }
}

impl ChassisPlan {
    fn new(
        draft: &ChassisDraft,
        prefix: String,
        systems: &[(ResourcePath, System)],
        origin: &Origin,
    ) -> Self {
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
        let power_adds = draft.power.as_ref().is_some_and(|(_, controls, old_supplies)| {
            *controls > 1 || (supplies.is_empty() && *old_supplies > 0)
        });
        let system = systems_of(draft, systems, origin).first().map(|(path, _)| (*path).clone());
        Self {
            prefix,
            environment: draft.environment.as_ref().map(|(path, _)| path.clone()),
            power: draft.power.as_ref().map(|(path, ..)| path.clone()),
            power_adds,
            supplies,
            state: system.unwrap_or_else(|| draft.path.clone()),
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
}

impl ChassisDraft {
    /// Whether anything at it is about its own power.
    fn has_power(&self) -> bool {
        self.environment.as_ref().is_some_and(|(_, has_power)| *has_power)
            || self.power.as_ref().is_some_and(|(_, controls, supplies)| controls + supplies > 0)
            || self.supplies.iter().any(|supply| supply.metrics.is_some())
    }

    /// Whether a computer system is in it.
    fn is_server(&self, systems: &[(ResourcePath, System)], origin: &Origin) -> bool {
        self.chassis.links.systems.iter().any(|link| link.id.is_some())
            || !systems_of(self, systems, origin).is_empty()
    }
}

fn no_power() -> PollError {
    PollError::new(
        ErrorKind::NoReading,
        "no chassis offers power readings",
        "check that the BMC measures power (a licence may be needed), or meter this host at its PDU outlet",
    )
}

/// The systems in `chassis`: either side may hold the link.
fn systems_of<'a>(
    chassis: &ChassisDraft,
    systems: &'a [(ResourcePath, System)],
    origin: &Origin,
) -> Vec<(&'a ResourcePath, &'a System)> {
    let among = |links: &[Link], wanted: &ResourcePath| {
        let found = links.iter().filter_map(|link| origin.resolve(link.id.as_deref()?));
        found.into_iter().any(|path| path.same_resource(wanted))
    };
    systems
        .iter()
        .filter(|(path, system)| {
            among(&chassis.chassis.links.systems, path) || among(&system.links.chassis, &chassis.path)
        })
        .map(|(path, system)| (path, system))
        .collect()
}

/// A name for each `(preferred, fallback)`, safe in a label: the preferred names if they are all there and all
/// different, else the fallbacks if those are, else places in the list.
pub(super) fn unique<'a>(items: impl Iterator<Item = (Option<&'a str>, &'a str)>) -> Vec<String> {
    let (preferred, fallback): (Vec<_>, Vec<_>) =
        items.map(|(p, f)| (safe(p.unwrap_or_default()), safe(f))).unzip();
    for names in [preferred, fallback.clone()] {
        let different: HashSet<&String> = names.iter().filter(|name| !name.is_empty()).collect();
        if different.len() == names.len() {
            return names;
        }
    }
    (0..fallback.len()).map(|at| at.to_string()).collect()
}

/// Letters, digits, `.`, `_` and `-`; everything else is one `-`.
fn safe(text: &str) -> String {
    let mut name = String::new();
    for c in text.trim().chars().take(MAX_NAME_CHARS) {
        if c.is_ascii_alphanumeric() || matches!(c, '.' | '_') {
            name.push(c);
        } else if !name.ends_with('-') {
            name.push('-');
        }
    }
    name.trim_matches('-').to_owned()
}

/// A text of the device as one short line.
pub(super) fn clean(text: &str) -> String {
    let line: String =
        text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_IDENTITY_CHARS).collect();
    line.trim().to_owned()
}

#[cfg(test)]
mod tests;
