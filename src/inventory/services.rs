//! Services: which workloads the configuration counts to one.

use crate::model::ProjectId;

/// Workloads of a service, and their weight in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Glob on a workload's name or id.
    pub matches: glob::Pattern,
    /// Only workloads of this project; of any, if none.
    pub project_id: Option<ProjectId>,
    /// Against the workload's other services; not 0.
    pub weight: u32,
}

/// A service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Its name: the `service` label.
    pub name: String,
    /// Its workloads: the first that matches one gives its weight.
    pub members: Vec<Member>,
}

/// All services.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Services {
    list: Vec<Service>,
}

impl Services {
    /// Services, in configuration order.
    #[must_use]
    pub const fn new(list: Vec<Service>) -> Self {
        Self { list }
    }

    /// The name of one.
    #[must_use]
    pub fn name(&self, index: usize) -> Option<&str> {
        self.list.get(index).map(|service| service.name.as_str())
    }

    /// The services that a workload is part of, and its weight in each.
    #[must_use]
    pub fn of(&self, id: &str, name: &str, project: &ProjectId) -> Vec<(usize, u32)> {
        let is_in = |member: &&Member| {
            member.project_id.as_ref().is_none_or(|of| of == project)
                && (member.matches.matches(name) || member.matches.matches(id))
        };
        let services = self.list.iter().enumerate();
        services.filter_map(|(i, s)| Some((i, s.members.iter().find(is_in)?.weight))).collect()
    }
}
