//! `hypervisor` of a host: in which way its workloads are known, and the sections `cgroups` and `processes`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Check;
use super::meters::Defaults;
use crate::config::field::{Field, List};
use crate::config::leaf::{FilePath, Glob, Name};
use crate::config::problem::Mark;
use crate::config::schema;
use crate::config::types::{
    Cgroups, Hypervisor, Kernel, Kubernetes, KubernetesWhom, Libvirt, LibvirtAddress, Processes,
};

const DEFAULT_ROOT: &str = "/sys/fs/cgroup";
const DEFAULT_DEPTH: u32 = 10;
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(2);

impl Check<'_> {
    /// The way in which the workloads of a host are known.
    pub(super) fn hypervisor(
        &mut self,
        raw: &schema::Hypervisor,
        at: Mark,
        folder: &Path,
        defaults: &Defaults,
    ) -> Option<Hypervisor> {
        let schema::Hypervisor { libvirt, cgroups, processes } = raw;
        if libvirt.is_absent() && cgroups.is_absent() && processes.is_absent() {
            let meant = |key: &&str| self.problems.borrow().was_meant(at, key);
            if !["libvirt", "cgroups", "processes"].iter().any(meant) {
                let fix = "write `libvirt: {}` for the local daemon, or `cgroups: {}` for this machine's control groups";
                self.error(at, "`hypervisor` is empty", fix);
            }
            return None;
        }
        let by_libvirt = libvirt.located().map(|(raw, at)| (self.libvirt(raw, at, folder, defaults), at));
        let by_groups = cgroups.located().map(|(raw, _)| self.cgroups(raw, folder, defaults));
        let by_processes = processes.located().map(|(raw, at)| (self.processes(raw, folder, defaults), at));
        if let (Some((_, at)), false) = (&by_processes, libvirt.is_absent() && cgroups.is_absent()) {
            let fix = "keep one of them: what a unit, container or machine uses, its processes use";
            self.error(*at, "`processes` cannot stand beside another way: CPU time would count twice", fix);
            return None;
        }
        // A broken section has been reported: what is left would be another way than the file asks for.
        let broken = matches!(libvirt, Field::Bad) || matches!(cgroups, Field::Bad);
        match (by_libvirt, by_groups, by_processes) {
            (Some((libvirt, at)), Some(cgroups), None) => {
                let (libvirt, cgroups) = (libvirt?, cgroups?);
                self.is_here(&libvirt, at);
                Some(Hypervisor::Both(libvirt, cgroups))
            }
            (Some((libvirt, _)), None, None) if !broken => libvirt.map(Hypervisor::Libvirt),
            (None, Some(cgroups), None) if !broken => cgroups.map(Hypervisor::Cgroups),
            (None, None, Some((processes, _))) => processes.map(Hypervisor::Processes),
            _ => None,
        }
    }

    /// Control groups are this machine's, so a daemon elsewhere tells of other machines than they do.
    fn is_here(&self, libvirt: &Libvirt, at: Mark) {
        let endpoint = match &libvirt.address {
            LibvirtAddress::Unix(_) => return,
            LibvirtAddress::Tcp(endpoint) | LibvirtAddress::Tls { endpoint, .. } => endpoint,
        };
        let own = ["127.", "localhost", "[::1]"].iter().any(|host| endpoint.starts_with(host));
        if !own {
            let what = format!("`cgroups` are this machine's: is {endpoint} this machine, too?");
            let fix = "use its `socket`, or leave `cgroups` to an exporter that runs there";
            self.problems.borrow_mut().warn(at, what, fix);
        }
    }

    fn cgroups(&mut self, raw: &schema::Cgroups, folder: &Path, defaults: &Defaults) -> Option<Cgroups> {
        let root = self.place(&raw.root, "root", DEFAULT_ROOT, folder);
        let kernel = self.kernel((&raw.proc, &raw.sys, &raw.disk), folder);
        let interval = self.span(&raw.interval).map_or(defaults.interval, |(interval, _)| interval);
        let kubernetes = match raw.kubernetes.located() {
            Some((one, at)) => Some(self.kubernetes(one, at, folder, interval)?),
            None if raw.kubernetes.is_absent() => None,
            None => return None,
        };
        let depth = raw.depth.get().copied().unwrap_or(DEFAULT_DEPTH);
        Some(Cgroups {
            root: root?,
            kernel: kernel?,
            depth: usize::try_from(depth).unwrap_or(usize::MAX),
            include: globs(&raw.include)?,
            exclude: globs(&raw.exclude)?,
            kubernetes,
            interval,
        })
    }

    fn processes(&self, raw: &schema::Processes, folder: &Path, defaults: &Defaults) -> Option<Processes> {
        let kernel = self.kernel((&raw.proc, &raw.sys, &raw.disk), folder);
        if matches!(raw.by, Field::Bad) {
            return None;
        }
        Some(Processes {
            kernel: kernel?,
            by: raw.by.get().copied().unwrap_or_default(),
            include: globs(&raw.include)?,
            exclude: globs(&raw.exclude)?,
            interval: self.span(&raw.interval).map_or(defaults.interval, |(interval, _)| interval),
        })
    }

    fn kubernetes(
        &mut self,
        raw: &schema::Kubernetes,
        at: Mark,
        folder: &Path,
        interval: Duration,
    ) -> Option<Kubernetes> {
        let node = raw.node.get().map(|Name(name)| name.clone());
        let (field, whom) = match (&raw.kubelet, &raw.api) {
            (Field::Absent, Field::Absent) => {
                let fix = "add `kubelet: https://127.0.0.1:10250`, or `api: https://HOST`";
                self.error(at, "neither `kubelet` nor `api` is given", fix);
                return None;
            }
            (kubelet, Field::Absent) => (kubelet, KubernetesWhom::Kubelet),
            (Field::Absent, api) => (api, KubernetesWhom::Api(node)),
            (_, _) => {
                self.error(at, "both `kubelet` and `api` are given", "keep one: they know the same names");
                return None;
            }
        };
        if let (KubernetesWhom::Kubelet, Some((_, at))) = (&whom, raw.node.located()) {
            self.error(at, "`node` is for `api`", "remove it: a kubelet knows its own pods only");
        }
        let url = self.web_url(field, false);
        let trust = self.trust(&raw.ca_file, &raw.fingerprint, folder);
        let timeout = self.deadline(&raw.timeout, DEFAULT_TIMEOUT, ("`interval`", interval));
        let token_file = match &raw.token_file {
            Field::Absent => None,
            Field::Bad => return None,
            Field::Is(FilePath(path), at) => {
                let path = folder.join(path);
                self.file_result(*at, "token_file", |files| files.secret(&path))?;
                Some(path)
            }
        };
        if let (Some(url), Some((_, at))) = (&url, field.located()) {
            self.plain(url, at, token_file.is_some(), (&raw.ca_file, &raw.fingerprint));
        }
        Some(Kubernetes { url: url?, whom, token_file, trust: trust?, timeout })
    }

    fn kernel(
        &self,
        (proc, sys, disk): (&Field<FilePath>, &Field<FilePath>, &Field<FilePath>),
        folder: &Path,
    ) -> Option<Kernel> {
        let usual = Kernel::default();
        let or = |field, key, usual: &Path| self.place(field, key, &usual.to_string_lossy(), folder);
        let (proc, sys, disk) =
            (or(proc, "proc", &usual.proc), or(sys, "sys", &usual.sys), or(disk, "disk", &usual.disk));
        Some(Kernel { proc: proc?, sys: sys?, disk: disk? })
    }

    /// A folder, which may be mounted later.
    fn place(&self, field: &Field<FilePath>, key: &str, usual: &str, folder: &Path) -> Option<PathBuf> {
        let (path, at) = match field {
            Field::Absent => return Some(PathBuf::from(usual)),
            Field::Bad => return None,
            Field::Is(FilePath(path), at) => (folder.join(path), *at),
        };
        if path.is_file() {
            let what = format!("`{key}` is {}, which is a file", path.display());
            self.error(at, what, format!("name the folder that stands for {usual}, such as /host{usual}"));
            return None;
        }
        Some(path)
    }
}

/// The patterns of a list, if all of them are good: fewer would mean something else.
fn globs(list: &List<Glob>) -> Option<Vec<glob::Pattern>> {
    let Some(items) = list.get() else { return list.is_absent().then(Vec::new) };
    items.iter().map(|item| item.get().map(|Glob(pattern)| pattern.clone())).collect()
}
