//! Services: each named once, and no more than can be matched with every workload.

use std::collections::BTreeMap;

use super::{Check, entries};
use crate::config::leaf::{Glob, Name};
use crate::config::load::Documents;
use crate::config::problem::Mark;
use crate::config::schema;
use crate::config::types::{Member, Service};
use crate::model::ProjectId;

/// Every workload that appears is matched with every entry.
const MAX_SERVICES: usize = 1000;

impl Check<'_> {
    /// Checks the services of all files.
    pub(super) fn all_services(&self, documents: &Documents) -> Vec<Service> {
        let mut names: BTreeMap<String, Mark> = BTreeMap::new();
        let mut services = Vec::new();
        for (raw, at, _) in entries(documents, |part| &part.services) {
            self.need(&raw.name, at, "name", "give the service a name");
            self.need(&raw.workloads, at, "workloads", "name its workloads, such as `- match: web-*`");
            let members: Vec<Member> =
                raw.workloads.items().filter_map(|(raw, at)| self.member(raw, at)).collect();
            let Some((Name(name), at)) = raw.name.located() else { continue };
            if let Some(first) = names.insert(name.clone(), at) {
                self.twice(at, name, first);
            }
            if names.len() == MAX_SERVICES + 1 {
                let what = format!("more than {MAX_SERVICES} services");
                self.error(at, what, "sum tenants' or workloads' series in a recording rule instead");
            }
            services.push(Service { name: name.clone(), members });
        }
        services
    }

    fn member(&self, raw: &schema::Member, at: Mark) -> Option<Member> {
        let Glob(matches) =
            self.need(&raw.matches, at, "match", "write a name, or a pattern such as `web-*`")?;
        let project_id = match raw.project_id.get() {
            Some(Name(id)) => Some(ProjectId::new(id).ok()?),
            None => None,
        };
        let weight = raw.weight.get().copied().unwrap_or(1);
        Some(Member { matches: matches.clone(), project_id, weight })
    }
}
