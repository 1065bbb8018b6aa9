//! Keys of `tenants`.

use garde::Validate;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::bounds::some;
use crate::config::field::{Field, List};
use crate::config::leaf::{Glob, Label, Name, WholeName};

/// A name for a project, and which VMs without metadata are its.
#[derive(Debug, Default, Deserialize, JsonSchema, Validate)]
#[serde(default, deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub(in crate::config) struct Tenant {
    /// The project: its OpenStack id, or any name for VMs without metadata. Left out only where `pattern` or `label` say it.
    pub(in crate::config) project_id: Field<Name>,
    /// Its name. Default: the project id.
    pub(in crate::config) name: Field<Label>,
    /// Patterns over the hypervisor's names of VMs that do not say whose they are, such as `web-*`.
    #[garde(custom(some))]
    pub(in crate::config) domains: List<Glob>,
    /// Regular expression over such names, which must match the whole name. Without `project_id` its group `project` says
    /// whose the VM is: `(?<project>[a-z]+)-[0-9]+`.
    pub(in crate::config) pattern: Field<WholeName>,
    /// Text in the metadata of such VMs.
    #[garde(dive)]
    pub(in crate::config) label: Field<TenantLabel>,
}

/// Text in a VM's metadata: `<app:tenant>web</app:tenant>` has the key `tenant` and the value `web`.
#[derive(Debug, Default, Deserialize, JsonSchema, Validate)]
#[serde(default, deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub(in crate::config) struct TenantLabel {
    /// Name of the element, without a prefix.
    #[schemars(required)]
    pub(in crate::config) key: Field<Name>,
    /// What it must say. Without it, and without `project_id`, what it says is the project's id.
    pub(in crate::config) value: Field<Name>,
}
