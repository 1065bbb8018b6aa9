//! Tenants: one entry for each project, and nothing that two of them claim.

use std::collections::{BTreeMap, HashMap};

use super::{Check, entries};
use crate::config::leaf::{Glob, Label, Name, WholeName};
use crate::config::load::Documents;
use crate::config::problem::Mark;
use crate::config::schema;
use crate::config::types::{Tenant, TenantLabel};
use crate::model::ProjectId;

/// What is claimed so far, by how it reads in a message, and where first.
#[derive(Default)]
struct Claimed(HashMap<String, Mark>);

impl Check<'_> {
    /// Checks the tenants of all files.
    pub(super) fn all_tenants(&self, documents: &Documents) -> Vec<Tenant> {
        let mut projects: BTreeMap<ProjectId, Mark> = BTreeMap::new();
        let mut claimed = Claimed::default();
        let mut tenants = Vec::new();
        for (raw, at, _) in entries(documents, |part| &part.tenants) {
            let domains = self.tenant_domains(raw, &mut claimed);
            let pattern = raw.pattern.located().map(|(WholeName(pattern), at)| {
                self.claim(&mut claimed, format!("`{}`", pattern.as_str()), at);
                pattern.clone()
            });
            let label = self.tenant_label(raw, &mut claimed);
            if raw.project_id.is_absent() {
                self.tenant_of_text(raw, at);
                let name = String::new();
                tenants.push(Tenant { project_id: None, name, domains, pattern, label });
                continue;
            }
            let Some((Name(id), at)) = raw.project_id.located() else { continue };
            let Ok(project_id) = ProjectId::new(id) else { continue };
            if let Some(first) = projects.insert(project_id.clone(), at) {
                self.twice(at, id, first);
            }
            if let Some((WholeName(pattern), at)) = raw.pattern.located()
                && pattern.names_project()
            {
                let fix = "leave out `project_id`, or make it a group without a name: `(?:...)`";
                self.error(at, "the group `project` of `pattern` names projects, and `project_id` one", fix);
            }
            let name = raw.name.get().map_or_else(|| id.clone(), |Label(name)| name.clone());
            tenants.push(Tenant { project_id: Some(project_id), name, domains, pattern, label });
        }
        tenants
    }

    fn tenant_domains(&self, raw: &schema::Tenant, claimed: &mut Claimed) -> Vec<glob::Pattern> {
        let claim = |(Glob(pattern), at): (&Glob, Mark)| {
            self.claim(claimed, format!("`{pattern}`"), at);
            pattern.clone()
        };
        raw.domains.items().map(claim).collect()
    }

    fn tenant_label(&self, raw: &schema::Tenant, claimed: &mut Claimed) -> Option<TenantLabel> {
        let (label, at) = raw.label.located()?;
        let key = self.need(&label.key, at, "key", "name the element of the metadata, such as `tenant`");
        let Name(key) = key?;
        let value = label.value.get().map(|Name(value)| value.clone());
        let shown = value.as_ref().map_or_else(|| format!("`{key}`"), |value| format!("`{key}: {value}`"));
        self.claim(claimed, format!("label {shown}"), at);
        Some(TenantLabel { key: key.clone(), value })
    }

    /// An entry without `project_id`: something else of it must say whose a VM is, and only that may stand there.
    fn tenant_of_text(&self, raw: &schema::Tenant, at: Mark) {
        let (pattern, label) = (raw.pattern.located(), raw.label.located());
        if raw.pattern.is_absent() && raw.label.is_absent() || !raw.domains.is_absent() {
            self.need(&raw.project_id, at, "project_id", "write the id of the project");
            return;
        }
        if let Some((_, at)) = raw.name.located() {
            self.error(at, "`name` names no project here", "write its `project_id` too, or leave it out");
        }
        if let Some((WholeName(pattern), at)) = pattern
            && !pattern.names_project()
        {
            let fix = "write `project_id`, or a group `(?<project>...)` around what names the project";
            self.error(at, "`pattern` does not say whose the VMs are", fix);
        }
        if let Some((label, at)) = label
            && !label.value.is_absent()
        {
            let fix =
                "write `project_id`, or leave out `value`: then what the metadata say is the project's id";
            self.error(at, "`label` does not say whose the VMs are", fix);
        }
    }

    /// Says if something was claimed before.
    fn claim(&self, claimed: &mut Claimed, what: String, at: Mark) {
        if let Some(first) = claimed.0.get(&what) {
            let place = self.problems.borrow().describe(*first, at);
            self.error(at, format!("{what} is claimed already, {place}"), "let one tenant claim it");
        }
        claimed.0.insert(what, at);
    }
}
