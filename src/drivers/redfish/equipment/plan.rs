//! What a look makes of power equipment: which resources each poll reads, and the names of the channels. Pure.

use super::look::{GroupDraft, UnitDraft};
use crate::drivers::redfish::names::{clean, unique};
use crate::drivers::redfish::origin::ResourcePath;
use crate::model::{ChannelId, Identity, PollError};

/// The kinds of things that a unit consists of, from the wall to the load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum GroupKind {
    Mains,
    Feeder,
    Subfeed,
    Branch,
    Outlet,
    OutletGroup,
}

impl GroupKind {
    /// The first part of its channels.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Mains => "mains",
            Self::Feeder => "feeder",
            Self::Subfeed => "subfeed",
            Self::Branch => "branch",
            Self::Outlet => "outlet",
            Self::OutletGroup => "outletgroup",
        }
    }
}

/// What there is to poll.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) units: Vec<Unit>,
    /// Why the first of the resources that were left out was; another look is worth while soon.
    pub(super) left_out: Option<PollError>,
}

/// A PDU, transfer switch or power shelf.
#[derive(Debug)]
pub(super) struct Unit {
    /// Before every channel: nothing, or `unit/<Id>/`.
    pub(super) prefix: String,
    pub(super) identity: Identity,
    pub(super) metrics: Option<ResourcePath>,
    pub(super) groups: Vec<Group>,
}

/// All circuits, or all outlets, of a unit.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) kind: GroupKind,
    pub(super) collection: ResourcePath,
    pub(super) members: Vec<Member>,
}

/// A circuit or outlet.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) path: ResourcePath,
    /// Its channel.
    pub(super) channel: ChannelId,
    /// It was read and has no meter, so that it is not asked again until the next look.
    pub(super) unmetered: bool,
}

impl Plan {
    /// Makes the plan. A unit alone in its service has no prefix; beside others, or beside a server
    /// (`beside_others`), each has one.
    pub(super) fn from_draft(
        draft: Vec<UnitDraft>,
        beside_others: bool,
        left_out: Option<PollError>,
    ) -> Self {
        let found: Vec<UnitDraft> = draft
            .into_iter()
            .filter(|unit| unit.metrics.is_some() || unit.groups.iter().any(|g| !g.members.is_empty()))
            .collect();
        // Ids are unique in their collection only: where they are not, the collection's name tells them apart.
        let longer: Vec<String> = found.iter().map(|unit| unit.path.last_segments().join("-")).collect();
        let ids = found.iter().zip(&longer).map(|(unit, longer)| {
            (
                Some(unit.distribution.id.as_deref().unwrap_or_else(|| unit.path.last_segment())),
                longer.as_str(),
            )
        });
        let names = unique(ids);
        let alone = found.len() == 1 && !beside_others;
        let unit = |(draft, name): (UnitDraft, String)| {
            let prefix = if alone { String::new() } else { format!("unit/{name}/") };
            Unit::new(draft, prefix)
        };
        Self { units: found.into_iter().zip(names).map(unit).collect(), left_out }
    }
}

impl Plan {
    /// How many units, circuits and outlets there are.
    pub(super) fn points(&self) -> usize {
        let members = |unit: &Unit| unit.groups.iter().map(|group| group.members.len()).sum::<usize>();
        self.units.iter().map(|unit| 1 + members(unit)).sum()
    }
}

impl Unit {
    fn new(draft: UnitDraft, prefix: String) -> Self {
        let UnitDraft { distribution: said, metrics, groups, .. } = draft;
        let text = |text: Option<String>| clean(&text.unwrap_or_default());
        let identity = Identity {
            vendor: text(said.manufacturer),
            model: text(said.model),
            serial: text(said.serial),
            firmware: text(said.firmware),
            profile: String::new(),
        };
        let groups = groups.into_iter().map(|draft| Group::new(draft, &prefix)).collect();
        Self { prefix, identity, metrics, groups }
    }

    /// Whether it says what it takes in as a whole.
    pub(super) fn has_total(&self) -> bool {
        let mut groups = self.groups.iter();
        self.metrics.is_some()
            || groups.any(|group| group.kind == GroupKind::Mains && !group.members.is_empty())
    }

    /// The channel of what the whole unit takes in.
    pub(super) fn input(&self) -> Option<ChannelId> {
        ChannelId::new(&format!("{}input", self.prefix)).ok()
    }
}

impl Group {
    /// Members are named by the last part of their path, by the specification their `Id`: it is known without reading them.
    fn new(draft: GroupDraft, prefix: &str) -> Self {
        let GroupDraft { kind, collection, members } = draft;
        let names = unique(members.iter().map(|path| (Some(path.last_segment()), "")));
        let member = |(path, name): (ResourcePath, String)| {
            let channel = ChannelId::new(&format!("{prefix}{}/{name}", kind.word())).ok()?;
            Some(Member { path, channel, unmetered: false })
        };
        Self { kind, collection, members: members.into_iter().zip(names).filter_map(member).collect() }
    }
}
