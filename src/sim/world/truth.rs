//! What an account of the joules should say, from the world's own knowledge.

use std::collections::BTreeMap;

use super::World;

/// True energy of one VM since the start, over all hosts it ran on.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct VmTruth {
    /// Its reserved share of the idle power of its hosts, J.
    pub idle_joules: f64,
    /// What its CPU time drew on top, J.
    pub dynamic_joules: f64,
}

impl VmTruth {
    /// Both parts, J.
    #[must_use]
    pub fn joules(&self) -> f64 {
        self.idle_joules + self.dynamic_joules
    }
}

/// True energy of one host since the start, and where it went.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct HostTruth {
    /// Drawn at the wall, J.
    pub joules: f64,
    /// Of its VMs, J.
    pub vm_joules: f64,
    /// Of its own CPU use, J.
    pub hypervisor_joules: f64,
    /// Of the idle power that no VM reserves, J.
    pub unallocated_joules: f64,
}

/// The whole account at one second.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Truth {
    /// Seconds since the start.
    pub at_seconds: f64,
    /// By host name.
    pub hosts: BTreeMap<String, HostTruth>,
    /// By VM UUID and host name; only hosts where the VM has run.
    pub vms: BTreeMap<(String, String), VmTruth>,
    /// By project id, J.
    pub tenants: BTreeMap<String, f64>,
}

impl World {
    /// The account at `t` seconds.
    #[must_use]
    pub fn truth(&self, t: f64) -> Truth {
        let mut truth = Truth { at_seconds: t, ..Truth::default() };
        for (index, host) in self.hosts.iter().enumerate() {
            let mut of_host = HostTruth { joules: self.host_joules(index, t), ..HostTruth::default() };
            of_host.hypervisor_joules = host.watts_per_cpu * host.own.cpu_seconds(t);
            // Idle power is free where nobody reserves it: all of the time, less what each VM held for its stay.
            of_host.unallocated_joules = host.idle_watts * t;
            for vm in &self.vms {
                let resident_seconds = vm.resident_seconds(index, t);
                if resident_seconds <= 0.0 {
                    continue;
                }
                let of_vm = VmTruth {
                    idle_joules: host.idle_watts * host.reserved(vm) * resident_seconds,
                    dynamic_joules: host.watts_per_cpu * vm.cpu_seconds(index, t),
                };
                of_host.vm_joules += of_vm.joules();
                of_host.unallocated_joules -= of_vm.idle_joules;
                if let Some(tenant) = self.tenant_of(vm) {
                    *truth.tenants.entry(tenant.project_id.clone()).or_default() += of_vm.joules();
                }
                truth.vms.insert((vm.uuid.clone(), host.name.clone()), of_vm);
            }
            truth.hosts.insert(host.name.clone(), of_host);
        }
        truth
    }
}
