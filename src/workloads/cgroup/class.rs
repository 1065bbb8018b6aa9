//! What a control group is, by its path alone: pure. The conventions are those of systemd (units, machines), the kubelet (both cgroup
//! drivers), container runtimes, Slurm (cgroup/v1 and v2 plugins), libvirt, LXC and Proxmox.

/// A container's id of any runtime.
const ID_DIGITS: usize = 64;

/// A pod's guarantee, which the kubelet's folders tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Qos {
    Guaranteed,
    Burstable,
    BestEffort,
}

impl Qos {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Guaranteed => "guaranteed",
            Self::Burstable => "burstable",
            Self::BestEffort => "besteffort",
        }
    }
}

/// A pod of Kubernetes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pod {
    /// As the API writes it: with dashes; of a static pod the hash of its configuration.
    pub(super) uid: String,
    pub(super) qos: Qos,
}

/// What a group is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Class {
    /// Holds others, and is nobody by itself: slices, the kubelet's folders.
    Inner,
    /// Nobody's: monitors of containers, mounts and sockets of systemd.
    Overhead,
    /// A service or scope of systemd.
    Unit,
    /// All that a user runs who is logged in, or whose services linger.
    User { uid: String },
    /// A virtual machine of QEMU; with libvirt's id of its run, where that is told.
    Vm { domain: String, run: Option<u32> },
    /// A container, by itself or of a pod.
    Container { runtime: String, id: String, pod: Option<Pod> },
    /// A whole pod.
    Pod(Pod),
    /// A job of a batch scheduler.
    Job { id: String, uid: Option<String> },
    /// Any other group.
    Other,
}

/// What the group at `path` is; the path's parts from the root on.
pub(super) fn class(path: &[&str]) -> Class {
    let Some((name, above)) = path.split_last() else { return Class::Inner };
    let stem = name.strip_suffix(".scope").unwrap_or(name);
    if let Some(pod) = above.iter().enumerate().rev().find_map(|(at, part)| pod(part, above.get(..at)?)) {
        return in_pod(stem, pod);
    }
    if let Some(pod) = pod(name, above) {
        return Class::Pod(pod);
    }
    if let Some(found) = job(name, above).or_else(|| machine(name, stem, above)).or_else(|| container(stem)) {
        return found;
    }
    let parent = above.last().copied().unwrap_or_default();
    if let Some(slice) = name.strip_suffix(".slice") {
        return match slice.strip_prefix("user-") {
            Some(uid) if parent == "user.slice" && digits(uid) => Class::User { uid: uid.to_owned() },
            Some(_) | None => Class::Inner,
        };
    }
    match name.rsplit_once('.').map(|(_, kind)| kind) {
        Some("service" | "scope") => Class::Unit,
        Some("mount" | "socket" | "swap" | "automount") => Class::Overhead,
        Some(_) | None if is_folder(name, parent) => Class::Inner,
        Some(_) | None => Class::Other,
    }
}

/// Whether a unit at this path is one of the machine's own manager, whose names are unique: only slices are above it.
pub(super) fn is_of_the_system(path: &[&str]) -> bool {
    path.split_last().is_some_and(|(_, above)| above.iter().all(|part| part.ends_with(".slice")))
}

/// Folders that others put their groups into.
fn is_folder(name: &str, parent: &str) -> bool {
    let kubelets = name == "kubepods" || name == "kubelet";
    kubelets
        || matches!(name, "docker" | "machine" | "lxc" | "libpod_parent")
        || (parent.starts_with("kubepods") && matches!(name, "burstable" | "besteffort"))
}

fn digits(text: &str) -> bool {
    !text.is_empty() && text.len() <= 20 && text.bytes().all(|b| b.is_ascii_digit())
}

fn is_id(text: &str) -> bool {
    text.len() == ID_DIGITS && text.bytes().all(|b| b.is_ascii_hexdigit())
}

/// `kubepods-burstable-pod1234_5678.slice` of the systemd driver, `burstable/pod1234-5678` of the cgroupfs driver.
fn pod(name: &str, above: &[&str]) -> Option<Pod> {
    let (uid, classes) = match name.strip_suffix(".slice").and_then(|name| name.split_once("kubepods-")) {
        Some((_, rest)) => {
            let (class, last) = rest.rsplit_once('-').unwrap_or(("", rest));
            (last.strip_prefix("pod")?, vec![class])
        }
        None => {
            let kubepods = above.iter().position(|part| part.starts_with("kubepods"))?;
            (name.strip_prefix("pod")?, above.get(kubepods..)?.to_vec())
        }
    };
    let uid = uid.replace('_', "-");
    let plausible = (8..=64).contains(&uid.len()) && uid.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    let qos = match classes.last().copied() {
        Some("burstable") => Qos::Burstable,
        Some("besteffort") => Qos::BestEffort,
        Some(_) | None => Qos::Guaranteed,
    };
    plausible.then_some(Pod { uid, qos })
}

/// Whatever stands in a pod's folder is a container, but for the runtime's own processes.
fn in_pod(stem: &str, pod: Pod) -> Class {
    match container(stem) {
        Some(Class::Container { runtime, id, pod: _ }) => Class::Container { runtime, id, pod: Some(pod) },
        Some(other) => other,
        None => Class::Container { runtime: String::new(), id: stem.to_owned(), pod: Some(pod) },
    }
}

/// `cri-containerd-ID`, `crio-ID`, `docker-ID`, `libpod-ID`, or the id by itself; the monitors beside them are nobody's.
fn container(stem: &str) -> Option<Class> {
    let (runtime, id) = stem.rsplit_once('-').unwrap_or(("", stem));
    if !is_id(id) {
        return None;
    }
    if runtime.ends_with("conmon") {
        return Some(Class::Overhead);
    }
    Some(Class::Container { runtime: runtime.to_owned(), id: id.to_owned(), pod: None })
}

/// `slurmstepd.scope/job_7` of Slurm's v2 plugin, `slurm/uid_1000/job_7` of that for v1; either may have the node's name in it.
fn job(name: &str, above: &[&str]) -> Option<Class> {
    let parent = above.last().copied().unwrap_or_default();
    let root = above.is_empty() && (name == "slurm" || name.starts_with("slurm_"));
    let slurm = |part: &&str| *part == "slurm" || part.starts_with("slurm_");
    if name.ends_with("slurmstepd.scope") || root {
        return Some(Class::Inner);
    }
    if above.first().is_some_and(slurm) && above.len() == 1 && name.strip_prefix("uid_").is_some_and(digits) {
        return Some(Class::Inner);
    }
    let id = name.strip_prefix("job_").filter(|id| digits(id))?;
    let uid = parent.strip_prefix("uid_").filter(|uid| digits(uid));
    (parent.ends_with("slurmstepd.scope") || (uid.is_some() && above.first().is_some_and(slurm)))
        .then(|| Class::Job { id: id.to_owned(), uid: uid.map(str::to_owned) })
}

/// `machine-qemu\x2d3\x2dweb.scope` of systemd's machined, `machine/qemu-3-web.libvirt-qemu` without it, and their containers.
fn machine(name: &str, stem: &str, above: &[&str]) -> Option<Class> {
    let parent = above.last().copied().unwrap_or_default();
    if let Some(id) = name.strip_prefix("lxc.payload.").or_else(|| (parent == "lxc").then_some(name)) {
        return Some(Class::Container { runtime: "lxc".to_owned(), id: id.to_owned(), pod: None });
    }
    if name.starts_with("lxc.monitor.") {
        return Some(Class::Overhead);
    }
    if parent == "qemu.slice" && stem != name {
        // Proxmox calls them by their number.
        return Some(Class::Vm { domain: stem.to_owned(), run: None });
    }
    let own = match name.strip_suffix(".libvirt-qemu") {
        Some(own) => own.to_owned(),
        None if stem != name => unescape(stem.strip_prefix("machine-")?)?,
        None => return None,
    };
    Some(match own.strip_prefix("qemu-") {
        Some(rest) => {
            let numbered = rest.split_once('-').and_then(|(run, domain)| Some((run.parse().ok()?, domain)));
            let (run, domain) = numbered.map_or((None, rest), |(run, domain)| (Some(run), domain));
            Class::Vm { domain: domain.to_owned(), run }
        }
        None => Class::Container { runtime: "machine".to_owned(), id: own, pod: None },
    })
}

/// Undoes systemd's escapes (`systemd-escape(1)`): `\x2d` is the byte 2d. None if what comes out is no text.
fn unescape(name: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name;
    while let Some((before, after)) = rest.split_once("\\x") {
        bytes.extend_from_slice(before.as_bytes());
        let (digits, next) = after.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = next;
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    fn of(path: &str) -> Class {
        class(&path.split('/').filter(|part| !part.is_empty()).collect::<Vec<_>>())
    }

    fn pod_of(uid: &str, qos: Qos) -> Pod {
        Pod { uid: uid.to_owned(), qos }
    }

    #[test]
    fn units_are_told_from_what_holds_them() {
        for inner in
            ["/", "/system.slice", "/system.slice/system-getty.slice", "/machine.slice", "/user.slice"]
        {
            assert_eq!(of(inner), Class::Inner, "{inner}");
        }
        for unit in [
            "/init.scope",
            "/system.slice/nginx.service",
            "/system.slice/system-getty.slice/getty@tty1.service",
        ] {
            assert_eq!(of(unit), Class::Unit, "{unit}");
        }
        for nobody in ["/system.slice/boot.mount", "/system.slice/dbus.socket", "/dev.swap"] {
            assert_eq!(of(nobody), Class::Overhead, "{nobody}");
        }
        assert_eq!(of("/user.slice/user-1000.slice"), Class::User { uid: "1000".into() });
        assert_eq!(of("/build/42"), Class::Other);
        assert!(
            is_of_the_system(&["a.slice", "b.service"]) && !is_of_the_system(&["lxc.payload.a", "b.service"])
        );
    }

    #[test]
    fn machines_of_qemu_are_called_by_their_domain() {
        let vm = |domain: &str, run| Class::Vm { domain: domain.to_owned(), run };
        let scope = r"/machine.slice/machine-qemu\x2d12\x2dinstance\x2d0000002a.scope";
        assert_eq!(of(scope), vm("instance-0000002a", Some(12)));
        assert_eq!(of(r"/machine.slice/machine-qemu\x2d3\x2d\xc3\xa4.scope"), vm("ä", Some(3)));
        assert_eq!(of("/machine/qemu-7-web.libvirt-qemu"), vm("web", Some(7)));
        assert_eq!(of("/qemu.slice/100.scope"), vm("100", None));
        // Names that are no text, and numbers that are none, are no machines' of ours.
        assert_eq!(of(r"/machine.slice/machine-qemu\x2d3\x2d\xff.scope"), Class::Unit);
        assert_eq!(of(r"/machine.slice/machine-qemu\x2.scope"), Class::Unit);
        assert_eq!(of(r"/machine.slice/machine-qemu\x2dx.scope"), vm("x", None));
    }

    #[test]
    fn containers_of_pods_are_found_with_both_drivers_of_the_kubelet() {
        let uid = "6d1d0b3c-52c6-4b5b-9f3c-0a1b2c3d4e5f";
        let slice = format!(
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{}.slice",
            uid.replace('-', "_")
        );
        assert_eq!(of(&slice), Class::Pod(pod_of(uid, Qos::Burstable)));
        let container = |runtime: &str, qos| Class::Container {
            runtime: runtime.to_owned(),
            id: ID.to_owned(),
            pod: Some(pod_of(uid, qos)),
        };
        assert_eq!(
            of(&format!("{slice}/cri-containerd-{ID}.scope")),
            container("cri-containerd", Qos::Burstable)
        );
        assert_eq!(of(&format!("{slice}/crio-{ID}.scope")), container("crio", Qos::Burstable));
        assert_eq!(of(&format!("{slice}/crio-conmon-{ID}.scope")), Class::Overhead);
        let guaranteed =
            format!("/kubepods.slice/kubepods-pod{}.slice/docker-{ID}.scope", uid.replace('-', "_"));
        assert_eq!(of(&guaranteed), container("docker", Qos::Guaranteed));
        assert_eq!(of(&format!("/kubepods/besteffort/pod{uid}/{ID}")), container("", Qos::BestEffort));
        assert_eq!(of(&format!("/kubepods/pod{uid}/{ID}")), container("", Qos::Guaranteed));
        // Static pods have a hash for a uid; kubelets in containers have folders above.
        let fixed = "0123456789abcdef0123456789abcdef";
        assert_eq!(of(&format!("/kubepods/burstable/pod{fixed}")), Class::Pod(pod_of(fixed, Qos::Burstable)));
        let nested = format!(
            "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-besteffort.slice/kubelet-kubepods-besteffort-pod{fixed}.slice"
        );
        assert_eq!(of(&nested), Class::Pod(pod_of(fixed, Qos::BestEffort)));
        for inner in ["/kubepods", "/kubepods/burstable", "/kubepods.slice/kubepods-besteffort.slice"] {
            assert_eq!(of(inner), Class::Inner, "{inner}");
        }
        assert_eq!(of("/pod1234567890"), Class::Other, "not below the kubelet's");
    }

    #[test]
    fn containers_without_pods_are_found_too() {
        let container =
            |runtime: &str, id: &str| Class::Container { runtime: runtime.into(), id: id.into(), pod: None };
        assert_eq!(of(&format!("/system.slice/docker-{ID}.scope")), container("docker", ID));
        assert_eq!(of(&format!("/docker/{ID}")), container("", ID));
        assert_eq!(of(&format!("/machine.slice/libpod-{ID}.scope")), container("libpod", ID));
        assert_eq!(of(&format!("/machine.slice/libpod-conmon-{ID}.scope")), Class::Overhead);
        assert_eq!(of("/lxc.payload.web"), container("lxc", "web"));
        assert_eq!(of("/lxc/101"), container("lxc", "101"));
        assert_eq!(of("/lxc.monitor.web"), Class::Overhead);
        assert_eq!(of(r"/machine.slice/machine-deb\x2dian.scope"), container("machine", "deb-ian"));
    }

    #[test]
    fn jobs_of_slurm_are_found_with_both_plugins() {
        let job = |uid: Option<&str>| Class::Job { id: "4711".into(), uid: uid.map(str::to_owned) };
        assert_eq!(of("/system.slice/slurmstepd.scope"), Class::Inner);
        assert_eq!(of("/system.slice/slurmstepd.scope/job_4711"), job(None));
        assert_eq!(of("/system.slice/node1_slurmstepd.scope/job_4711"), job(None));
        assert_eq!(of("/slurm/uid_1000/job_4711"), job(Some("1000")));
        assert_eq!(of("/slurm_node1/uid_1000/job_4711"), job(Some("1000")));
        assert_eq!(of("/slurm/uid_1000"), Class::Inner);
        assert_eq!(of("/job_4711"), Class::Other);
        assert_eq!(of("/system.slice/slurmstepd.scope/job_x"), Class::Other);
    }
}
