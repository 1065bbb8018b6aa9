//! Who a group is: its lasting identity and its names, out of its class and path.

use sha2::{Digest as _, Sha256};

use super::class::{Class, is_of_the_system};
use super::cut::Group;
use super::qemu::Guest;
use crate::model::WorkloadId;
use crate::model::ids::MAX_ID_BYTES;
use crate::workloads::WorkloadKind;
use crate::workloads::procfs::file::plain;

/// The longest name of a group that is shown whole.
const MAX_NAME: usize = 400;
/// How much of a container's id people are shown.
const SHORT_ID: usize = 12;

/// Somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Who {
    pub(super) id: WorkloadId,
    pub(super) kind: WorkloadKind,
    pub(super) name: String,
    /// What rules of the configuration match: a unit, a domain, or a path.
    pub(super) domain: String,
    pub(super) user: String,
    /// What a container or pod is called by Kubernetes.
    pub(super) pod: Option<PodPart>,
    pub(super) tags: Vec<(String, String)>,
    pub(super) guest: Option<Guest>,
}

/// A pod, or one of its containers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PodPart {
    pub(super) uid: String,
    /// None for the whole pod.
    pub(super) container: Option<String>,
}

/// Who `group` is; of a virtual machine with what its process says. None if it has no name that may stand in a label.
pub(super) fn who(group: &Group, guest: Option<Guest>) -> Option<Who> {
    let Group { path, class } = group;
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    let last = plain(parts.last()?, MAX_NAME);
    let of_path = || plain(path, MAX_NAME);
    let mut who = Who {
        id: lasting(path)?,
        kind: WorkloadKind::Cgroup,
        name: of_path(),
        domain: of_path(),
        user: String::new(),
        pod: None,
        tags: Vec::new(),
        guest: None,
    };
    match class {
        Class::Inner | Class::Overhead | Class::Other => {}
        Class::Unit => {
            who.kind = WorkloadKind::Service;
            if is_of_the_system(&parts) {
                who.id = lasting(&last)?;
            }
            (who.name, who.domain) = (last.clone(), last);
        }
        Class::User { uid } => {
            who.id = lasting(&last)?;
            (who.name, who.domain) = (last.clone(), last);
            who.user.clone_from(uid);
        }
        Class::Vm { domain, run: _ } => {
            who.kind = WorkloadKind::Vm;
            let guest = guest.unwrap_or_default();
            let name = if guest.name.is_empty() { domain } else { &guest.name };
            (who.name, who.domain) = (plain(name, MAX_NAME), plain(name, MAX_NAME));
            who.id = lasting(if guest.uuid.is_empty() { name } else { &guest.uuid })?;
            who.guest = Some(guest);
        }
        Class::Job { id, uid } => {
            who.kind = WorkloadKind::Job;
            who.id = lasting(id)?;
            who.name.clone_from(id);
            who.user = uid.clone().unwrap_or_default();
        }
        Class::Container { runtime, id, pod } => {
            who.kind = WorkloadKind::Container;
            let (id, short) = (plain(id, MAX_NAME), plain(id, SHORT_ID));
            let is_hash = id.len() == 64;
            if is_hash {
                who.id = lasting(&id)?;
            }
            who.name = match pod {
                Some(pod) => format!("{}/{}", pod.uid, short),
                None if is_hash && runtime.is_empty() => short,
                None if is_hash => format!("{}/{short}", plain(runtime, SHORT_ID)),
                None => id.clone(),
            };
            who.tag("runtime", runtime);
            if let Some(pod) = pod {
                who.tag("pod_uid", &pod.uid);
                who.tag("qos", pod.qos.name());
                who.pod = Some(PodPart { uid: pod.uid.clone(), container: Some(id) });
            }
        }
        Class::Pod(pod) => {
            who.kind = WorkloadKind::Container;
            who.id = lasting(&pod.uid)?;
            who.name.clone_from(&pod.uid);
            who.tag("pod_uid", &pod.uid);
            who.tag("qos", pod.qos.name());
            who.pod = Some(PodPart { uid: pod.uid.clone(), container: None });
        }
    }
    Some(who)
}

impl Who {
    fn tag(&mut self, key: &str, value: &str) {
        if !value.is_empty() {
            self.tags.push((key.to_owned(), plain(value, MAX_ID_BYTES)));
        }
    }
}

/// Text as an identity. What is too long or holds what no label may is told from its like by a digest.
fn lasting(text: &str) -> Option<WorkloadId> {
    const DIGEST: usize = 16;
    if let Ok(id) = WorkloadId::new(text) {
        return Some(id);
    }
    let digest = hex::encode(Sha256::digest(text.as_bytes()));
    // A character takes up to four bytes.
    let end = plain(text, (MAX_ID_BYTES - DIGEST - 1) / 4);
    WorkloadId::new(&format!("{end}~{}", digest.get(..DIGEST)?)).ok()
}

#[cfg(test)]
mod tests {
    use super::super::class::class;
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    fn of(path: &str, guest: Option<Guest>) -> Who {
        let class = class(&path.split('/').skip(1).collect::<Vec<_>>());
        who(&Group { path: path.to_owned(), class }, guest).unwrap()
    }

    fn names(who: &Who) -> (&'static str, &str, &str, &str) {
        (who.kind.name(), who.id.as_str(), &who.name, &who.domain)
    }

    #[test]
    fn names_are_those_that_their_managers_use() {
        let unit = of("/system.slice/nginx.service", None);
        assert_eq!(names(&unit), ("service", "nginx.service", "nginx.service", "nginx.service"));
        let inside = of("/box/system.slice/nginx.service", None);
        assert_eq!(names(&inside).1, "/box/system.slice/nginx.service", "another manager's unit is another");
        let path = format!("/system.slice/docker-{ID}.scope");
        assert_eq!(names(&of(&path, None)), ("container", ID, "docker/0123456789ab", path.as_str()));
        assert_eq!(
            names(&of("/lxc.payload.web", None)),
            ("container", "/lxc.payload.web", "web", "/lxc.payload.web")
        );
        let job = of("/slurm/uid_1000/job_47", None);
        assert_eq!((names(&job), job.user.as_str()), (("job", "47", "47", "/slurm/uid_1000/job_47"), "1000"));
        let user = of("/user.slice/user-1000.slice", None);
        assert_eq!((user.id.as_str(), user.user.as_str()), ("user-1000.slice", "1000"));
        assert_eq!(names(&of("/build/a", None)), ("cgroup", "/build/a", "/build/a", "/build/a"));
    }

    #[test]
    fn a_pods_container_knows_its_pod() {
        let path = format!("/kubepods/burstable/pod11111111-2222/{ID}");
        let found = of(&path, None);
        assert_eq!(names(&found), ("container", ID, "11111111-2222/0123456789ab", path.as_str()));
        assert_eq!(found.pod, Some(PodPart { uid: "11111111-2222".into(), container: Some(ID.into()) }));
        assert!(found.tags.contains(&("qos".into(), "burstable".into())));
    }

    #[test]
    fn a_machine_is_its_uuid_or_else_its_name() {
        let scope = r"/machine.slice/machine-qemu\x2d1\x2dweb.scope";
        assert_eq!(names(&of(scope, None)), ("vm", "web", "web", "web"));
        let guest = Guest { uuid: "u".repeat(36), name: "web-long".into(), vcpus: 2, memory_bytes: 1 };
        assert_eq!(names(&of(scope, Some(guest))), ("vm", "u".repeat(36).as_str(), "web-long", "web-long"));
    }

    #[test]
    fn hostile_names_become_labels_and_stay_apart() {
        let long = |end: char| format!("/{}{end}", "ü".repeat(300));
        let (one, other) = (of(&long('a'), None), of(&long('b'), None));
        assert!(one.id != other.id && one.id.as_str().len() <= MAX_ID_BYTES);
        let broken = of("/a\tb", None);
        assert!(!broken.id.as_str().contains('\t') && !broken.name.contains('\t'), "{broken:?}");
        assert!(broken.id != of("/a\nb", None).id);
    }
}
