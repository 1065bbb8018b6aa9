//! Tenants that the configuration names, and the rules by which a workload that does not say whose it is finds one.

use std::collections::HashMap;

use crate::model::{NamePattern, ProjectId};

/// A tenant that the configuration names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenant {
    /// Project id.
    pub project_id: ProjectId,
    /// Name for people.
    pub name: String,
    /// Globs on the hypervisor's domain name, for workloads whose metadata names no project.
    pub domains: Vec<glob::Pattern>,
}

/// By what a workload is known to be somebody's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sign {
    /// The hypervisor's name for it.
    Domain(glob::Pattern),
    /// The same, by a regular expression.
    Name(NamePattern),
    /// A tag of its metadata.
    Tag {
        /// Its key.
        key: String,
        /// What it must say; anything where there is none.
        value: Option<String>,
    },
}

/// Whose a workload with a sign is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// The sign.
    pub sign: Sign,
    /// Whose; where there is none, the sign itself says it: group `project` of the expression, value of the tag.
    pub project: Option<ProjectId>,
}

impl Rule {
    /// Whose a workload is by this rule. A text that cannot be a project's id names nobody.
    fn owner(&self, domain: &str, tags: &[(String, String)]) -> Option<ProjectId> {
        let said = match &self.sign {
            Sign::Domain(pattern) => pattern.matches(domain).then_some(""),
            Sign::Name(pattern) if self.project.is_none() => pattern.project(domain),
            Sign::Name(pattern) => pattern.matches(domain).then_some(""),
            Sign::Tag { key, value } => {
                let wanted = |said: &str| value.as_ref().is_none_or(|value| value == said);
                let of_key = tags.iter().filter(|(name, _)| name == key).map(|(_, said)| said.as_str());
                of_key.into_iter().find(|said| wanted(said))
            }
        }?;
        self.project.clone().or_else(|| ProjectId::new(said).ok())
    }
}

/// Named tenants, and the rules for workloads without metadata.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tenants {
    list: Vec<Tenant>,
    by_id: HashMap<ProjectId, usize>,
    rules: Vec<Rule>,
}

impl Tenants {
    /// Tenants in order, with their globs as rules.
    #[must_use]
    pub fn new(list: Vec<Tenant>) -> Self {
        let of_tenant = |t: &Tenant| {
            let project = t.project_id.clone();
            t.domains
                .clone()
                .into_iter()
                .map(move |glob| Rule { sign: Sign::Domain(glob), project: Some(project.clone()) })
        };
        let rules = list.iter().flat_map(of_tenant).collect();
        Self::with_rules(list, rules)
    }

    /// Tenants, and all rules there are, in order: the first that holds takes the workload.
    #[must_use]
    pub fn with_rules(list: Vec<Tenant>, rules: Vec<Rule>) -> Self {
        let by_id = list.iter().enumerate().map(|(i, t)| (t.project_id.clone(), i)).collect();
        Self { list, by_id, rules }
    }

    /// The configured name of a project; none if it has none.
    #[must_use]
    pub fn name(&self, project: &ProjectId) -> Option<&str> {
        self.by_id
            .get(project)
            .and_then(|i| self.list.get(*i))
            .map(|t| t.name.as_str())
            .filter(|n| !n.is_empty())
    }

    /// Whose a workload without metadata is, by the hypervisor's name for it and the tags of its metadata.
    #[must_use]
    pub fn owner(&self, domain: &str, tags: &[(String, String)]) -> Option<ProjectId> {
        self.rules.iter().find_map(|rule| rule.owner(domain, tags))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(sign: Sign, project: Option<&str>) -> Rule {
        Rule { sign, project: project.map(|id| ProjectId::new(id).unwrap()) }
    }

    fn tag(key: &str, value: Option<&str>) -> Sign {
        Sign::Tag { key: key.into(), value: value.map(str::to_owned) }
    }

    #[test]
    fn the_first_rule_that_holds_says_whose_a_workload_is() {
        let name = |text| Sign::Name(NamePattern::parse(text).unwrap());
        let tenants = Tenants::with_rules(
            Vec::new(),
            vec![
                rule(Sign::Domain(glob::Pattern::new("dns-*").unwrap()), Some("infra")),
                rule(tag("tenant", Some("x")), Some("moonshot")),
                rule(name("(?<project>[a-z]+)-[0-9]+"), None),
                rule(name("[a-z]+"), Some("words")),
                rule(tag("tenant", None), None),
            ],
        );
        let tags = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect::<Vec<_>>()
        };
        for (domain, told, owner) in [
            ("dns-1", tags(&[("tenant", "x")]), Some("infra")),
            ("web-1", tags(&[("tenant", "y"), ("tenant", "x")]), Some("moonshot")),
            ("web-1", tags(&[("tenant", "y")]), Some("web")),
            ("web", tags(&[]), Some("words")),
            ("WEB", tags(&[("other", "x"), ("tenant", "y")]), Some("y")),
            ("WEB", tags(&[("other", "x")]), None),
            // What its owner wrote there is no id.
            ("WEB", tags(&[("tenant", "")]), None),
        ] {
            let found = tenants.owner(domain, &told);
            assert_eq!(found.as_ref().map(ProjectId::as_str), owner, "{domain} {told:?}");
        }
    }
}
