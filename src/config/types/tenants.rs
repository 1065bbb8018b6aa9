//! An entry of `tenants`, checked.

use crate::model::{NamePattern, ProjectId};

/// A name for a project, and which domains are its when they do not say so themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenant {
    /// The project; none where `pattern` or `label` say whose a domain is.
    pub project_id: Option<ProjectId>,
    /// Its name; the project id where none is given.
    pub name: String,
    /// Patterns over the hypervisor's name of a domain; none without `project_id`.
    pub domains: Vec<glob::Pattern>,
    /// Regular expression over that name; without `project_id` it has a group `project`.
    pub pattern: Option<NamePattern>,
    /// Text in the metadata; without `project_id` any value does.
    pub label: Option<TenantLabel>,
}

/// Text in a domain's metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantLabel {
    /// Name of the element, without a prefix.
    pub key: String,
    /// What it must say; anything where there is none.
    pub value: Option<String>,
}
