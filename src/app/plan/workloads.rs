//! Who says what runs on a host: from configuration to settings.

use std::time::Duration;

use super::http::trust;
use super::{CALLS_PER_SAMPLE, Reached, STALE_INTERVALS, SourcePlan};
use crate::config::{self, Hypervisor, KubernetesWhom, ProcessesBy};
use crate::poller::Timing;
use crate::workloads::procfs::Roots;
use crate::workloads::{SourceSettings, cgroup, kubernetes, libvirt, process};

/// Reading the kernel's files takes milliseconds; where it does not, the machine is so loaded that it may.
const READING: Duration = Duration::from_secs(5);

/// The source of a host.
pub(super) fn source(host: &config::Host, of: &Hypervisor) -> SourcePlan {
    let (driver, address, interval, longest, reached) = match of {
        Hypervisor::Libvirt(l) => {
            let (settings, shown) = libvirt(l);
            (libvirt::NAME, shown, l.interval, l.call_timeout * CALLS_PER_SAMPLE, Reached::Libvirt(settings))
        }
        Hypervisor::Cgroups(c) => {
            let settings = cgroups(c, false);
            (cgroup::NAME, c.root.display().to_string(), c.interval, longest(c), Reached::Cgroups(settings))
        }
        Hypervisor::Both(l, c) => {
            let (settings, shown) = libvirt(l);
            let longest = longest(c).max(l.call_timeout * CALLS_PER_SAMPLE);
            // Machines are what most ask for, and what may hang: the pace is theirs.
            let reached = Reached::Both(settings, cgroups(c, true));
            (libvirt::NAME, format!("{shown} and {}", c.root.display()), l.interval, longest, reached)
        }
        Hypervisor::Processes(p) => {
            let address = p.kernel.proc.display().to_string();
            (process::NAME, address, p.interval, READING, Reached::Processes(processes(p)))
        }
    };
    SourcePlan {
        defined: host.place.to_string(),
        settings: SourceSettings {
            host: host.id.clone(),
            datacenter: host.datacenter.clone(),
            driver,
            address,
            stale_after: interval * STALE_INTERVALS,
        },
        timing: Timing { interval, deadline: interval.max(longest) },
        reached,
    }
}

fn longest(of: &config::Cgroups) -> Duration {
    READING + of.kubernetes.as_ref().map_or(Duration::ZERO, |kubernetes| kubernetes.timeout)
}

fn libvirt(l: &config::Libvirt) -> (libvirt::Settings, String) {
    let (address, shown) = match &l.address {
        config::LibvirtAddress::Unix(path) => {
            (libvirt::Address::Unix(path.clone()), path.display().to_string())
        }
        config::LibvirtAddress::Tcp(endpoint) => (libvirt::Address::Tcp(endpoint.clone()), endpoint.clone()),
        config::LibvirtAddress::Tls { endpoint, ca_file, identity } => (
            libvirt::Address::Tls {
                endpoint: endpoint.clone(),
                ca_file: ca_file.clone(),
                identity: identity.clone(),
            },
            endpoint.clone(),
        ),
    };
    (libvirt::Settings { address, uri: l.uri.clone(), call_timeout: l.call_timeout }, shown)
}

fn cgroups(of: &config::Cgroups, without_machines: bool) -> cgroup::Settings {
    cgroup::Settings {
        root: of.root.clone(),
        machine: roots(&of.kernel),
        filter: cgroup::Filter {
            depth: of.depth,
            include: of.include.clone(),
            exclude: of.exclude.clone(),
            without_machines,
        },
        kubernetes: of.kubernetes.as_ref().map(|k| kubernetes::Settings {
            url: k.url.clone(),
            whom: match &k.whom {
                KubernetesWhom::Kubelet => kubernetes::Whom::Kubelet,
                KubernetesWhom::Api(node) => kubernetes::Whom::Api(node.clone()),
            },
            token_file: k.token_file.clone(),
            trust: trust(&k.trust),
            timeout: k.timeout,
        }),
    }
}

fn processes(of: &config::Processes) -> process::Settings {
    process::Settings {
        machine: roots(&of.kernel),
        by: match of.by {
            ProcessesBy::Name => process::By::Name,
            ProcessesBy::Unit => process::By::Unit,
        },
        include: of.include.clone(),
        exclude: of.exclude.clone(),
    }
}

fn roots(of: &config::Kernel) -> Roots {
    Roots { proc: of.proc.clone(), sys: of.sys.clone(), disk: of.disk.clone() }
}
