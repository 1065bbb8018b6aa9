//! Tenants of the configuration as rules of the inventory, in the order of the files.

use crate::config;
use crate::inventory::{Rule, Sign, Tenant, Tenants};

/// All tenants: names of those that have an id, and the rules of each in turn: globs, expression, label.
pub(super) fn tenants(list: &[config::Tenant]) -> Tenants {
    let named = list.iter().filter_map(|t| {
        Some(Tenant { project_id: t.project_id.clone()?, name: t.name.clone(), domains: t.domains.clone() })
    });
    Tenants::with_rules(named.collect(), list.iter().flat_map(rules).collect())
}

fn rules(tenant: &config::Tenant) -> impl Iterator<Item = Rule> {
    let domains = tenant.domains.iter().cloned().map(Sign::Domain);
    let pattern = tenant.pattern.clone().map(Sign::Name);
    let label = tenant.label.as_ref().map(|l| Sign::Tag { key: l.key.clone(), value: l.value.clone() });
    domains.chain(pattern).chain(label).map(|sign| Rule { sign, project: tenant.project_id.clone() })
}
