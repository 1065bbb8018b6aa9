//! Finds out which units of power equipment a service has, and what they consist of. Pure, as `discover`: it says which
//! resource it wants next and is handed the answer. Every resource here is inventory: none holds a reading.

use std::collections::{HashSet, VecDeque};

use serde_json::Value;

use super::plan::{GroupKind, Plan};
use super::resources::{Distribution, Kinds, Page};
use crate::drivers::redfish::origin::{Origin, ResourcePath};
use crate::drivers::redfish::resources::{Link, Presence, read};
use crate::model::PollError;

/// The most resources that one look asks for.
const MAX_STEPS: usize = 500;
/// The most units.
pub(super) const MAX_UNITS: usize = 64;
/// The most circuits or outlets of one kind at one unit.
pub(super) const MAX_MEMBERS: usize = 256;
/// How often a resource that answers badly is tried.
const TRIES: u8 = 2;

/// What a resource is to the look. Units are named by their place in the draft.
#[derive(Debug, Clone, Copy)]
enum Step {
    Equipment,
    UnitsPage,
    Unit,
    MembersPage(usize, GroupKind),
}

#[derive(Debug)]
struct Task {
    step: Step,
    path: ResourcePath,
    tries: u8,
}

/// A unit and what was found at it.
#[derive(Debug)]
pub(super) struct UnitDraft {
    pub(super) path: ResourcePath,
    pub(super) distribution: Distribution,
    pub(super) metrics: Option<ResourcePath>,
    pub(super) groups: Vec<GroupDraft>,
}

/// A collection of circuits or outlets.
#[derive(Debug)]
pub(super) struct GroupDraft {
    pub(super) kind: GroupKind,
    pub(super) collection: ResourcePath,
    pub(super) members: Vec<ResourcePath>,
}

/// A look under way.
#[derive(Debug)]
pub(super) struct Look {
    todo: VecDeque<Task>,
    seen: HashSet<ResourcePath>,
    units: Vec<UnitDraft>,
    left_out: Option<PollError>,
    /// Units that are listed, but did not answer.
    silent_units: usize,
}

impl Look {
    /// One that begins with `PowerEquipment` at `equipment`.
    pub(super) fn new(equipment: ResourcePath) -> Self {
        let mut new = Self {
            todo: VecDeque::new(),
            seen: HashSet::new(),
            units: Vec::new(),
            left_out: None,
            silent_units: 0,
        };
        new.want(Step::Equipment, Some(equipment));
        new
    }

    /// The resource to ask for, or nothing when all is known.
    pub(super) fn next(&self) -> Option<&ResourcePath> {
        self.todo.front().map(|task| &task.path)
    }

    /// What there is to poll.
    pub(super) fn finish(self, has_systems: bool) -> Plan {
        let beside_others = has_systems || self.silent_units > 0;
        Plan::from_draft(self.units, beside_others, self.left_out)
    }

    /// The resource asked for does not exist.
    pub(super) fn absent(&mut self) {
        self.todo.pop_front();
    }

    /// The resource asked for was answered badly: it is tried again at the end, then left out.
    pub(super) fn failed(&mut self, error: PollError) {
        let Some(mut task) = self.todo.pop_front() else { return };
        task.tries += 1;
        if task.tries < TRIES {
            self.todo.push_back(task);
        } else {
            tracing::debug!(resource = task.path.as_str(), %error, "left out of the look at power equipment");
            self.silent_units += usize::from(matches!(task.step, Step::Unit));
            self.left_out.get_or_insert(error);
        }
    }

    /// The answer to the resource asked for.
    pub(super) fn answer(&mut self, document: &Value, origin: &Origin) {
        let Some(Task { step, path, .. }) = self.todo.pop_front() else { return };
        let link = |link: &Link| link.id.as_deref().and_then(|id| origin.resolve(id));
        match step {
            Step::Equipment => {
                let kinds: Kinds = read(document);
                for kind in [
                    &kinds.rack_pdus,
                    &kinds.floor_pdus,
                    &kinds.transfer_switches,
                    &kinds.switchgear,
                    &kinds.power_shelves,
                    &kinds.buses,
                    &kinds.battery_shelves,
                ] {
                    self.want(Step::UnitsPage, link(kind));
                }
            }
            Step::UnitsPage => {
                let page: Page = read(document);
                for member in page.members.iter().take(MAX_UNITS) {
                    self.want(Step::Unit, link(member));
                }
                self.want(Step::UnitsPage, page.next.as_deref().and_then(|next| origin.resolve(next)));
            }
            Step::Unit => self.unit(path, read(document), origin),
            Step::MembersPage(at, kind) => self.members(at, kind, path, &read(document), origin),
        }
    }

    fn unit(&mut self, path: ResourcePath, distribution: Distribution, origin: &Origin) {
        let at = self.units.len();
        if at >= MAX_UNITS || distribution.presence == Presence::Missing {
            return;
        }
        let link = |link: &Link| link.id.as_deref().and_then(|id| origin.resolve(id));
        for (kind, collection) in [
            (GroupKind::Mains, &distribution.mains),
            (GroupKind::Branch, &distribution.branches),
            (GroupKind::Feeder, &distribution.feeders),
            (GroupKind::Subfeed, &distribution.subfeeds),
            (GroupKind::Outlet, &distribution.outlets),
            (GroupKind::OutletGroup, &distribution.outlet_groups),
        ] {
            self.want(Step::MembersPage(at, kind), link(collection));
        }
        let metrics = link(&distribution.metrics);
        self.units.push(UnitDraft { path, distribution, metrics, groups: Vec::new() });
    }

    fn members(&mut self, at: usize, kind: GroupKind, path: ResourcePath, page: &Page, origin: &Origin) {
        let Some(unit) = self.units.get_mut(at) else { return };
        let found = page.members.iter().filter_map(|link| origin.resolve(link.id.as_deref()?));
        let next = page.next.as_deref().and_then(|next| origin.resolve(next));
        if let Some(group) = unit.groups.iter_mut().find(|group| group.kind == kind) {
            let room = MAX_MEMBERS.saturating_sub(group.members.len());
            group.members.extend(found.take(room));
        } else {
            let members = found.take(MAX_MEMBERS).collect();
            unit.groups.push(GroupDraft { kind, collection: path, members });
        }
        self.want(Step::MembersPage(at, kind), next);
    }

    fn want(&mut self, step: Step, path: Option<ResourcePath>) {
        let Some(path) = path else { return };
        if self.seen.len() < MAX_STEPS && self.seen.insert(path.clone()) {
            self.todo.push_back(Task { step, path, tries: 0 });
        }
    }
}
