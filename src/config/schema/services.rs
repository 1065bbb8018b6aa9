//! Keys of `services`.

use garde::Validate;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::bounds::some;
use crate::config::field::{Field, List};
use crate::config::leaf::{Glob, Name};

/// Workloads whose energy is added up to one service, wherever they run.
#[derive(Debug, Default, Deserialize, JsonSchema, Validate)]
#[serde(default, deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub(in crate::config) struct Service {
    /// Its name: the `service` label.
    #[schemars(required)]
    pub(in crate::config) name: Field<Name>,
    /// Its workloads. Where several entries match one, the first says its weight.
    #[schemars(required, length(min = 1))]
    #[garde(custom(some), dive)]
    pub(in crate::config) workloads: List<Member>,
}

/// Workloads of a service.
#[derive(Debug, Default, Deserialize, JsonSchema, Validate)]
#[serde(default, deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub(in crate::config) struct Member {
    /// Pattern over workloads' names and ids, such as `web-*`.
    #[schemars(required)]
    #[serde(rename = "match")]
    pub(in crate::config) matches: Field<Glob>,
    /// Only workloads of this project. Default: of any.
    pub(in crate::config) project_id: Field<Name>,
    /// How much of such a workload is this service's, against its other services, 1 to 1000000. Default 1: equal parts.
    #[garde(range(min = 1, max = 1_000_000))]
    pub(in crate::config) weight: Field<u32>,
}
