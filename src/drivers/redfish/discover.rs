//! Finds out once where a BMC keeps its power readings. Pure: it says which resource it wants next and is handed the
//! answer, so that a discovery that was interrupted goes on where it stood. What it found is a [`Site`], by `plan`.
//!
//! Only links of the device are followed, each once; the few well-known paths are for services that leave links out.

use std::collections::{HashSet, VecDeque};

use serde_json::Value;

use super::origin::{Origin, ResourcePath};
use super::plan::Site;
use super::resources::{
    Chassis, Collection, Environment, Link, Manager, Power, Presence, Root, Subsystem, Supply, SupplyMetrics,
    System, read,
};
use crate::model::{ErrorKind, PollError};

/// The most resources that one discovery asks for.
const MAX_STEPS: usize = 500;
/// The most chassis and the most systems that are looked at.
const MAX_MEMBERS: usize = 64;
/// The most power supplies of one chassis.
const MAX_SUPPLIES: usize = 32;
/// How often a resource that answers badly is tried.
const TRIES: u8 = 2;

/// What a resource is to the discovery. Chassis and supplies are named by their place in the draft.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Root,
    ChassisPage,
    SystemsPage,
    Chassis,
    System,
    Manager,
    Environment(usize),
    Power(usize),
    Subsystem(usize),
    SuppliesPage(usize),
    Supply(usize),
    SupplyMetrics(usize, usize),
}

#[derive(Debug)]
struct Task {
    step: Step,
    path: ResourcePath,
    tries: u8,
}

/// A chassis and what was found at it.
#[derive(Debug)]
pub(super) struct ChassisDraft {
    pub(super) path: ResourcePath,
    pub(super) chassis: Chassis,
    /// `EnvironmentMetrics`, and whether it has power.
    pub(super) environment: Option<(ResourcePath, bool)>,
    /// `Power`, and how many domains and supplies it lists.
    pub(super) power: Option<(ResourcePath, usize, usize)>,
    pub(super) supplies: Vec<SupplyDraft>,
}

/// A power supply of the newer model.
#[derive(Debug)]
pub(super) struct SupplyDraft {
    pub(super) path: ResourcePath,
    pub(super) supply: Supply,
    /// Its `Metrics`, if there is anything to read in them.
    pub(super) metrics: Option<ResourcePath>,
}

/// All that was found, before anything is made of it.
#[derive(Debug, Default)]
pub(super) struct Draft {
    pub(super) root: Root,
    pub(super) chassis: Vec<ChassisDraft>,
    pub(super) systems: Vec<(ResourcePath, System)>,
    pub(super) firmware: Option<String>,
    /// Why the first of the resources that were left out was.
    pub(super) left_out: Option<PollError>,
}

/// A discovery under way.
#[derive(Debug)]
pub(super) struct Discovery {
    todo: VecDeque<Task>,
    seen: HashSet<ResourcePath>,
    draft: Draft,
}

impl Discovery {
    /// One that begins with the service root.
    pub(super) fn new() -> Self {
        let mut new = Self { todo: VecDeque::new(), seen: HashSet::new(), draft: Draft::default() };
        new.want(Step::Root, Some(ResourcePath::service_root()));
        new
    }

    /// The resource to ask for, or nothing when all is known.
    pub(super) fn next(&self) -> Option<&ResourcePath> {
        self.todo.front().map(|task| &task.path)
    }

    /// Whether the resource to ask for holds no reading, so that an unchanged copy of it is as good as a new one.
    pub(super) fn next_is_inventory(&self) -> bool {
        self.todo.front().is_some_and(|task| task.step.is_inventory())
    }

    /// Whether a computer system was found.
    pub(super) const fn has_systems(&self) -> bool {
        !self.draft.systems.is_empty()
    }

    fn is_essential(&self, step: Step) -> bool {
        step.is_essential(self.draft.root.power_equipment.id.is_some())
    }

    /// The service root, once it is known.
    pub(super) const fn root(&self) -> &Root {
        &self.draft.root
    }

    /// What there is to poll.
    ///
    /// # Errors
    /// As [`Site::from_draft`].
    pub(super) fn finish(self, origin: &Origin) -> Result<Site, PollError> {
        Site::from_draft(self.draft, origin)
    }

    /// The resource asked for does not exist.
    ///
    /// # Errors
    /// `Protocol` when nothing can be known without it.
    pub(super) fn absent(&mut self) -> Result<(), PollError> {
        match self.todo.pop_front() {
            Some(task) if self.is_essential(task.step) => Err(PollError::new(
                ErrorKind::Protocol,
                format!("there is no {}", task.path.as_str()),
                "check that the address is a BMC with Redfish, and that Redfish is enabled on it",
            )),
            Some(_) | None => Ok(()),
        }
    }

    /// The resource asked for was answered badly: it is tried again at the end, then left out.
    ///
    /// # Errors
    /// `error` itself when nothing can be known without the resource.
    pub(super) fn failed(&mut self, error: PollError) -> Result<(), PollError> {
        let Some(mut task) = self.todo.pop_front() else { return Ok(()) };
        if self.is_essential(task.step) {
            self.todo.push_front(task);
            return Err(error);
        }
        task.tries += 1;
        if task.tries < TRIES {
            self.todo.push_back(task);
        } else {
            tracing::debug!(resource = task.path.as_str(), %error, "left out of the discovery");
            self.draft.left_out.get_or_insert(error);
        }
        Ok(())
    }

    /// The answer to the resource asked for.
    pub(super) fn answer(&mut self, document: &Value, origin: &Origin) {
        let Some(Task { step, path, .. }) = self.todo.pop_front() else { return };
        let link = |link: &Link| link.id.as_deref().and_then(|id| origin.resolve(id));
        match step {
            Step::Root => {
                let root: Root = read(document);
                let or = |link: Option<ResourcePath>, known| link.or(Some(ResourcePath::well_known(known)));
                self.want(Step::SystemsPage, or(link(&root.systems), "/redfish/v1/Systems"));
                self.want(Step::ChassisPage, or(link(&root.chassis), "/redfish/v1/Chassis"));
                self.draft.root = root;
            }
            Step::ChassisPage => self.page(document, origin, Step::ChassisPage, Step::Chassis, MAX_MEMBERS),
            Step::SystemsPage => self.page(document, origin, Step::SystemsPage, Step::System, MAX_MEMBERS),
            Step::Chassis => self.chassis(path, read(document), origin),
            Step::System => self.draft.systems.push((path, read(document))),
            Step::Manager => self.draft.firmware = read::<Manager>(document).firmware,
            Step::Environment(at) => {
                let has_power = read::<Environment>(document).power_watts.is_some();
                self.at(at, |chassis| chassis.environment = Some((path, has_power)));
            }
            Step::Power(at) => {
                let Power { controls, supplies } = read(document);
                self.at(at, |chassis| chassis.power = Some((path, controls.len(), supplies.len())));
            }
            Step::Subsystem(at) => {
                // Some firmware has the resource as a stub, its state Absent, and reports by `Power` alone.
                let subsystem: Subsystem = read(document);
                if subsystem.presence != Presence::Missing {
                    self.want(Step::SuppliesPage(at), link(&subsystem.supplies));
                }
            }
            Step::SuppliesPage(at) => {
                self.page(document, origin, Step::SuppliesPage(at), Step::Supply(at), MAX_SUPPLIES);
            }
            Step::Supply(at) => self.supply(at, path, read(document), origin),
            Step::SupplyMetrics(at, nth) => self.at(at, |chassis| {
                if let Some(supply) = chassis.supplies.get_mut(nth)
                    && read::<SupplyMetrics>(document).has_readings()
                {
                    supply.metrics = Some(path);
                }
            }),
        }
    }

    fn page(&mut self, document: &Value, origin: &Origin, this: Step, member: Step, most: usize) {
        let page: Collection = read(document);
        for link in page.members.iter().take(most) {
            self.want(member, link.id.as_deref().and_then(|id| origin.resolve(id)));
        }
        self.want(this, page.next.as_deref().and_then(|next| origin.resolve(next)));
    }

    fn chassis(&mut self, path: ResourcePath, chassis: Chassis, origin: &Origin) {
        let at = self.draft.chassis.len();
        if at >= MAX_MEMBERS || chassis.presence == Presence::Missing {
            return;
        }
        let link = |link: &Link| link.id.as_deref().and_then(|id| origin.resolve(id));
        self.want(Step::Environment(at), link(&chassis.environment));
        self.want(Step::Power(at), link(&chassis.power));
        self.want(Step::Subsystem(at), link(&chassis.subsystem));
        self.want(Step::Manager, chassis.links.managers.first().and_then(link));
        let (environment, power, supplies) = (None, None, Vec::new());
        self.draft.chassis.push(ChassisDraft { path, chassis, environment, power, supplies });
    }

    fn supply(&mut self, at: usize, path: ResourcePath, supply: Supply, origin: &Origin) {
        let Some(nth) = self.draft.chassis.get(at).map(|chassis| chassis.supplies.len()) else { return };
        if nth >= MAX_SUPPLIES || supply.presence == Presence::Missing {
            return;
        }
        let metrics = supply.metrics.id.as_deref().and_then(|id| origin.resolve(id));
        self.want(Step::SupplyMetrics(at, nth), metrics);
        self.at(at, |chassis| chassis.supplies.push(SupplyDraft { path, supply, metrics: None }));
    }

    fn at(&mut self, at: usize, change: impl FnOnce(&mut ChassisDraft)) {
        if let Some(chassis) = self.draft.chassis.get_mut(at) {
            change(chassis);
        }
    }

    fn want(&mut self, step: Step, path: Option<ResourcePath>) {
        let Some(path) = path else { return };
        if self.seen.len() < MAX_STEPS && self.seen.insert(path.clone()) {
            self.todo.push_back(Task { step, path, tries: 0 });
        }
    }
}

impl Step {
    /// Whether nothing can be known without it. A PDU may have no chassis at all.
    const fn is_essential(self, has_equipment: bool) -> bool {
        matches!(self, Self::Root) || (matches!(self, Self::ChassisPage) && !has_equipment)
    }

    /// Whether the resource says what there is, and holds no reading.
    const fn is_inventory(self) -> bool {
        match self {
            Self::Root
            | Self::ChassisPage
            | Self::SystemsPage
            | Self::Chassis
            | Self::System
            | Self::Manager
            | Self::Subsystem(_)
            | Self::SuppliesPage(_)
            | Self::Supply(_) => true,
            Self::Environment(_) | Self::Power(_) | Self::SupplyMetrics(..) => false,
        }
    }
}
