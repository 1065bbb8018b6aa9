//! Which chassis is the server, and which computer systems are in it: on multi-node chassis, in blade enclosures, and with
//! a GPU baseboard inside. Pure.

use super::draft::{ChassisDraft, Draft};
use super::origin::{Origin, ResourcePath};
use super::quirks::Maker;
use super::resources::{Form, Link, System};

/// A BMC's chassis and systems.
#[derive(Clone, Copy)]
pub(super) struct Topology<'a> {
    pub(super) draft: &'a Draft,
    pub(super) origin: &'a Origin,
    pub(super) maker: Maker,
}

/// A computer system, by its place in the draft.
pub(super) type Node<'a> = (usize, &'a ResourcePath, &'a System);

impl<'a> Topology<'a> {
    /// The computer systems, without baseboards and what is none.
    pub(super) fn nodes(&self) -> Vec<Node<'a>> {
        let all = self.draft.systems.iter().enumerate();
        all.map(|(at, (path, system))| (at, path, system)).filter(|(_, path, _)| self.counts(path)).collect()
    }

    /// The systems whose innermost chassis this is: an enclosure may list those of its blades.
    pub(super) fn nodes_in(&self, chassis: &ChassisDraft) -> Vec<Node<'a>> {
        let own = self.systems_of(chassis);
        self.nodes().into_iter().filter(|(_, path, _)| own.iter().any(|o| o.same_resource(path))).collect()
    }

    /// Whether a computer system is in it, even one that could not be read.
    pub(super) fn is_server(&self, chassis: &ChassisDraft) -> bool {
        self.systems_of(chassis).iter().any(|path| self.counts(path))
    }

    /// Whether it gets its power from the chassis around it, so that supplies it lists are not its own.
    pub(super) fn shares_supplies(&self, chassis: &ChassisDraft) -> bool {
        if chassis.chassis.form == Form::Slotted || chassis.chassis.powered_by_parent == Some(true) {
            return true;
        }
        // A node of several, whose supplies say whom else they feed.
        let own = self.systems_of(chassis);
        let supplies = chassis.power.iter().flat_map(|(_, power)| &power.supplies);
        let fed: Vec<ResourcePath> =
            supplies.flat_map(|supply| &supply.related).filter_map(|link| self.resolve(link)).collect();
        let others = self.draft.systems.iter().filter(|(path, _)| self.counts(path));
        let mut others = others.filter(|(path, _)| !own.iter().any(|o| o.same_resource(path)));
        own.len() == 1 && others.any(|(path, _)| fed.iter().any(|f| f.same_resource(path)))
    }

    fn counts(&self, system: &ResourcePath) -> bool {
        let id = system.last_segment();
        !self.maker.is_baseboard(id) && !self.maker.is_no_system(id)
    }

    fn systems_of(&self, chassis: &ChassisDraft) -> Vec<ResourcePath> {
        let inner = self.draft.chassis.iter().filter(|other| {
            other.chassis.form == Form::Slotted
                && chassis.chassis.form != Form::Slotted
                && self.contains(chassis, other)
        });
        let inside: Vec<ResourcePath> = inner.flat_map(|other| self.linked(other)).collect();
        let mut own = self.linked(chassis);
        own.retain(|path| !inside.iter().any(|i| i.same_resource(path)));
        own
    }

    /// The systems linked with `chassis`: either side may hold the link.
    fn linked(&self, chassis: &ChassisDraft) -> Vec<ResourcePath> {
        let mut linked: Vec<ResourcePath> =
            chassis.chassis.links.systems.iter().filter_map(|link| self.resolve(link)).collect();
        for (path, system) in &self.draft.systems {
            if self.among(&system.links.chassis, &chassis.path)
                && !linked.iter().any(|l| l.same_resource(path))
            {
                linked.push(path.clone());
            }
        }
        linked
    }

    fn contains(&self, outer: &ChassisDraft, inner: &ChassisDraft) -> bool {
        let around = self.resolve(&inner.chassis.links.contained_by);
        around.is_some_and(|path| path.same_resource(&outer.path))
            || self.among(&outer.chassis.links.contains, &inner.path)
    }

    fn among(&self, links: &[Link], wanted: &ResourcePath) -> bool {
        links.iter().filter_map(|link| self.resolve(link)).any(|path| path.same_resource(wanted))
    }

    /// Where a link leads, if it stays on this BMC.
    pub(super) fn resolve(&self, link: &Link) -> Option<ResourcePath> {
        link.id.as_deref().and_then(|id| self.origin.resolve(id))
    }
}
