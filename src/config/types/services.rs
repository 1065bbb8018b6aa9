//! `services`, checked.

use crate::model::ProjectId;

/// Workloads whose energy is added up to one service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// Its workloads.
    pub members: Vec<Member>,
}

/// Workloads of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Pattern over workloads' names and ids.
    pub matches: glob::Pattern,
    /// Only workloads of this project.
    pub project_id: Option<ProjectId>,
    /// How much of such a workload is this service's, against its other services.
    pub weight: u32,
}
