//! Finds out once where a BMC keeps its power readings. Pure: it says which resource it wants next and is handed the
//! answer, so that a discovery that was interrupted goes on where it stood. What it found is a [`Site`], by `plan`.
//!
//! What a server's total needs comes first; temperatures, sensors, processors and memory are many, and come later:
//! [`Discovery::is_enough`] says when there is something to poll already.
//!
//! Only links of the device are followed, each once; the few well-known paths are for services that leave links out.

use std::collections::{HashSet, VecDeque};

use serde_json::Value;

use super::draft::{ChassisDraft, Draft, Inlet, PartDraft, PartKind, SupplyDraft};
use super::origin::{Origin, ResourcePath};
use super::plan::Site;
use super::resources::{
    Chassis, Collection, Environment, Link, Part, Presence, ProcessorKind, Root, Subsystem, Supply,
    SupplyMetrics, System, read,
};
use super::thermal::{Thermal, ThermalMetrics, ThermalSubsystem};
use crate::model::{ErrorKind, PollError};

/// The most resources that one discovery asks for.
const MAX_STEPS: usize = 500;
/// The most chassis and the most systems that are looked at.
const MAX_MEMBERS: usize = 64;
/// The most power supplies of one chassis.
const MAX_SUPPLIES: usize = 32;
/// The most sensors of one chassis.
const MAX_SENSORS: usize = 128;
/// The most processors, and the most memory modules, of one system.
const MAX_PARTS: usize = 64;
/// How often a resource that answers badly is tried.
const TRIES: u8 = 2;

/// What a resource is to the discovery. Chassis, supplies, systems and parts are named by their place in the draft.
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
    ThermalSubsystem(usize),
    ThermalMetrics(usize),
    Thermal(usize),
    SensorsPage(usize),
    Sensor(usize),
    ProcessorsPage(usize),
    MemoryPage(usize),
    Processor(usize),
    Memory(usize),
    PartEnvironment(usize),
}

#[derive(Debug)]
struct Task {
    step: Step,
    path: ResourcePath,
    tries: u8,
}

/// A discovery under way.
#[derive(Debug)]
pub(super) struct Discovery {
    todo: VecDeque<Task>,
    /// Begun when `todo` is done.
    later: VecDeque<Task>,
    seen: HashSet<ResourcePath>,
    draft: Draft,
}

impl Discovery {
    /// One that begins with the service root.
    pub(super) fn new() -> Self {
        let (todo, later) = (VecDeque::new(), VecDeque::new());
        let mut new = Self { todo, later, seen: HashSet::new(), draft: Draft::default() };
        new.want(Step::Root, Some(ResourcePath::service_root()));
        new
    }

    /// The resource to ask for, or nothing when all is known.
    pub(super) fn next(&mut self) -> Option<&ResourcePath> {
        while self.todo.is_empty()
            && let Some(task) = self.later.pop_front()
        {
            if !self.is_needless(task.step) {
                self.todo.push_back(task);
            }
        }
        self.todo.front().map(|task| &task.path)
    }

    /// What a server's total needs was asked for; only details are left.
    pub(super) fn is_enough(&self) -> bool {
        self.todo.front().is_none_or(|task| task.step.is_detail())
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

    /// What there is to poll, as far as is known.
    ///
    /// # Errors
    /// As [`Site::from_draft`].
    pub(super) fn site(&self, origin: &Origin) -> Result<Site, PollError> {
        Site::from_draft(&self.draft, origin)
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
            Step::System => self.system(path, read(document), origin),
            Step::Manager => self.draft.manager = read(document),
            Step::Environment(at) => {
                let environment = read(document);
                self.draft.cover_environment(&environment, origin);
                self.at(at, |chassis| chassis.environment = Some((path, environment)));
            }
            Step::Power(at) => self.at(at, |chassis| chassis.power = Some((path, read(document)))),
            Step::Subsystem(at) => {
                // Some firmware has the resource as a stub, its state Absent, and reports by `Power` alone.
                let subsystem: Subsystem = read(document);
                if subsystem.presence != Presence::Missing {
                    self.want(Step::SuppliesPage(at), link(&subsystem.supplies));
                    self.at(at, |chassis| chassis.capacity_watts = subsystem.capacity_watts);
                }
            }
            Step::SuppliesPage(at) => {
                self.page(document, origin, Step::SuppliesPage(at), Step::Supply(at), MAX_SUPPLIES);
            }
            Step::Supply(at) => self.supply(at, path, read(document), origin),
            Step::SupplyMetrics(at, nth) => {
                let metrics: SupplyMetrics = read(document);
                self.draft.cover_supply(&metrics, origin);
                self.at(at, |chassis| {
                    if let Some(supply) = chassis.supplies.get_mut(nth) {
                        supply.metrics = metrics.has_readings().then_some(path);
                    }
                });
            }
            Step::ThermalSubsystem(_)
            | Step::ThermalMetrics(_)
            | Step::Thermal(_)
            | Step::SensorsPage(_)
            | Step::Sensor(_)
            | Step::ProcessorsPage(_)
            | Step::MemoryPage(_)
            | Step::Processor(_)
            | Step::Memory(_)
            | Step::PartEnvironment(_) => self.detail(step, path, document, origin),
        }
    }

    /// The answer to a resource that no total needs.
    fn detail(&mut self, step: Step, path: ResourcePath, document: &Value, origin: &Origin) {
        let link = |link: &Link| link.id.as_deref().and_then(|id| origin.resolve(id));
        match step {
            Step::ThermalSubsystem(at) => {
                self.want(Step::ThermalMetrics(at), link(&read::<ThermalSubsystem>(document).metrics));
            }
            Step::ThermalMetrics(at) if read::<ThermalMetrics>(document).inlet_celsius().is_some() => {
                self.at(at, |chassis| chassis.inlet = Some((path, Inlet::Metrics)));
            }
            Step::Thermal(at) if read::<Thermal>(document).inlet_celsius().is_some() => {
                self.at(at, |chassis| chassis.inlet = Some((path, Inlet::Thermal)));
            }
            Step::SensorsPage(at) => self.page(document, origin, step, Step::Sensor(at), MAX_SENSORS),
            Step::Sensor(at) => self.at(at, |chassis| {
                if chassis.sensors.len() < MAX_SENSORS {
                    chassis.sensors.push((path, read(document)));
                }
            }),
            Step::ProcessorsPage(at) => self.page(document, origin, step, Step::Processor(at), MAX_PARTS),
            Step::MemoryPage(at) => self.page(document, origin, step, Step::Memory(at), MAX_PARTS),
            Step::Processor(system) => {
                let part: Part = read(document);
                let kind = match part.processor {
                    ProcessorKind::Gpu => PartKind::Gpu,
                    ProcessorKind::Cpu => PartKind::Cpu,
                    ProcessorKind::Other => PartKind::Accelerator,
                    ProcessorKind::Share => return,
                };
                self.part(system, kind, path, part, origin);
            }
            Step::Memory(system) => self.part(system, PartKind::Memory, path, read(document), origin),
            Step::PartEnvironment(nth) => {
                let environment: Environment = read(document);
                self.draft.cover_environment(&environment, origin);
                if let Some(part) = self.draft.parts.get_mut(nth) {
                    part.environment = environment.meters().then_some(path);
                }
            }
            Step::ThermalMetrics(_) | Step::Thermal(_) => {}
            Step::Root | Step::ChassisPage | Step::SystemsPage | Step::Chassis | Step::System => {}
            Step::Manager | Step::Environment(_) | Step::Power(_) | Step::Subsystem(_) => {}
            Step::SuppliesPage(_) | Step::Supply(_) | Step::SupplyMetrics(..) => {}
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
        self.want(Step::ThermalSubsystem(at), link(&chassis.thermal_subsystem));
        self.want(Step::Thermal(at), link(&chassis.thermal));
        // The sensors of a PDU are many, and all of them stand in its outlets and circuits. A server beside it has its own.
        if self.draft.root.power_equipment.id.is_none() || !chassis.links.systems.is_empty() {
            self.want(Step::SensorsPage(at), link(&chassis.sensors));
        }
        self.draft.chassis.push(ChassisDraft::new(path, chassis));
    }

    fn system(&mut self, path: ResourcePath, system: System, origin: &Origin) {
        let at = self.draft.systems.len();
        if at >= MAX_MEMBERS {
            return;
        }
        let link = |link: &Link| link.id.as_deref().and_then(|id| origin.resolve(id));
        self.want(Step::ProcessorsPage(at), link(&system.processors));
        self.want(Step::MemoryPage(at), link(&system.memory));
        self.draft.systems.push((path, system));
    }

    fn part(&mut self, system: usize, kind: PartKind, path: ResourcePath, part: Part, origin: &Origin) {
        let environment = part.environment.id.as_deref().and_then(|id| origin.resolve(id));
        if environment.is_some() && part.presence != Presence::Missing {
            self.want(Step::PartEnvironment(self.draft.parts.len()), environment);
            self.draft.parts.push(PartDraft { system, kind, id: part.id, path, environment: None });
        }
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

    /// Whether the answer would add nothing any more.
    fn is_needless(&self, step: Step) -> bool {
        let inlet_is_known = |at: usize| self.draft.chassis.get(at).is_some_and(|c| c.inlet.is_some());
        matches!(step, Step::Thermal(at) if inlet_is_known(at))
    }

    fn at(&mut self, at: usize, change: impl FnOnce(&mut ChassisDraft)) {
        if let Some(chassis) = self.draft.chassis.get_mut(at) {
            change(chassis);
        }
    }

    fn want(&mut self, step: Step, path: Option<ResourcePath>) {
        let Some(path) = path else { return };
        if self.seen.len() < MAX_STEPS && self.seen.insert(path.clone()) {
            let task = Task { step, path, tries: 0 };
            match step {
                // Before the older resource, which is asked for only if this one has no inlet.
                Step::ThermalMetrics(_) => self.later.push_front(task),
                step if step.is_detail() => self.later.push_back(task),
                _step_for_the_total => self.todo.push_back(task),
            }
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
            Self::Root | Self::ChassisPage | Self::SystemsPage | Self::Chassis | Self::System => true,
            Self::Manager | Self::Subsystem(_) | Self::SuppliesPage(_) | Self::Supply(_) => true,
            Self::ThermalSubsystem(_) | Self::SensorsPage(_) | Self::ProcessorsPage(_) => true,
            Self::MemoryPage(_) | Self::Processor(_) | Self::Memory(_) => true,
            Self::Environment(_) | Self::Power(_) | Self::SupplyMetrics(..) => false,
            Self::ThermalMetrics(_) | Self::Thermal(_) | Self::Sensor(_) | Self::PartEnvironment(_) => false,
        }
    }

    /// Whether no total needs it.
    const fn is_detail(self) -> bool {
        match self {
            Self::Root | Self::ChassisPage | Self::SystemsPage | Self::Chassis | Self::System => false,
            Self::Manager | Self::Environment(_) | Self::Power(_) | Self::Subsystem(_) => false,
            Self::SuppliesPage(_) | Self::Supply(_) | Self::SupplyMetrics(..) => false,
            Self::ThermalSubsystem(_) | Self::ThermalMetrics(_) | Self::Thermal(_) => true,
            Self::SensorsPage(_) | Self::Sensor(_) | Self::ProcessorsPage(_) | Self::MemoryPage(_) => true,
            Self::Processor(_) | Self::Memory(_) | Self::PartEnvironment(_) => true,
        }
    }
}
