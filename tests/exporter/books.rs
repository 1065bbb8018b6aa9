//! The account of joules as the page shows it, in whole microjoules.

use std::collections::BTreeSet;

use crate::page::Page;

/// Claims that on this page every host's energy is its workloads' and its overhead, and every tenant's is its workloads',
/// by each method, to the microjoule. Gives how many hosts and tenants were compared.
pub fn balance(page: &Page) -> (usize, usize) {
    let (mut hosts, mut tenants) = (BTreeSet::new(), BTreeSet::new());
    for host in page.of("wattribute_host_energy_joules_total") {
        let of = [("host", host.label("host")), ("method", host.label("method"))];
        let workloads = page.sum("wattribute_workload_energy_joules_total", &of);
        let overhead = page.sum("wattribute_host_overhead_energy_joules_total", &of);
        assert_eq!(host.microjoules(), workloads + overhead, "{of:?}: {workloads} + {overhead}");
        hosts.insert(host.label("host"));
    }
    for tenant in page.of("wattribute_tenant_energy_joules_total") {
        let of = [("project_id", tenant.label("project_id")), ("method", tenant.label("method"))];
        let workloads = page.sum("wattribute_workload_energy_joules_total", &of);
        assert_eq!(tenant.microjoules(), workloads, "{of:?}");
        tenants.insert(tenant.label("project_id"));
    }
    let all = |name: &str| page.sum(name, &[]);
    assert_eq!(
        all("wattribute_tenant_energy_joules_total"),
        all("wattribute_workload_energy_joules_total"),
        "no workload is without a tenant"
    );
    (hosts.len(), tenants.len())
}
