//! Tenants: one entry for each project, and no pattern that two of them claim.

use std::collections::{BTreeMap, HashMap};

use super::{Check, entries};
use crate::config::leaf::{Glob, Label, Name};
use crate::config::load::Documents;
use crate::config::problem::Mark;
use crate::config::types::Tenant;
use crate::model::ProjectId;

impl Check<'_> {
    /// Checks the tenants of all files.
    pub(super) fn all_tenants(&self, documents: &Documents) -> Vec<Tenant> {
        let mut projects: BTreeMap<ProjectId, Mark> = BTreeMap::new();
        let mut patterns: HashMap<glob::Pattern, Mark> = HashMap::new();
        let mut tenants = Vec::new();
        for (raw, at, _) in entries(documents, |part| &part.tenants) {
            self.need(&raw.project_id, at, "project_id", "write the id of the project");
            let mut domains = Vec::new();
            for (Glob(pattern), at) in raw.domains.items() {
                if let Some(first) = patterns.insert(pattern.clone(), at) {
                    let place = self.problems.borrow().describe(first, at);
                    self.error(
                        at,
                        format!("`{pattern}` is claimed already, {place}"),
                        "let one tenant claim it",
                    );
                }
                domains.push(pattern.clone());
            }
            let Some((Name(id), at)) = raw.project_id.located() else { continue };
            let Ok(project_id) = ProjectId::new(id) else { continue };
            if let Some(first) = projects.insert(project_id.clone(), at) {
                self.twice(at, id, first);
            }
            let name = raw.name.get().map_or_else(|| id.clone(), |Label(name)| name.clone());
            tenants.push(Tenant { project_id, name, domains });
        }
        tenants
    }
}
