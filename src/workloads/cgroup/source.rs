//! The [`Source`]: one sample is a look at the tree, with the names of pods where somebody knows them.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::Settings;
use super::tree::{Look, Seen, Tree};
use super::who::Who;
use crate::model::{BoxFuture, Clock, PollError, ProjectId, WorkloadId};
use crate::workloads::kubernetes::{Named, Names};
use crate::workloads::thread::Looker;
use crate::workloads::{Details, Source, State, Usage, Workload, WorkloadInfo, WorkloadKind};

/// This machine.
pub(super) struct Cgroups {
    looker: Looker<Tree, Result<Look, PollError>>,
    clock: Arc<dyn Clock>,
    names: Option<Names>,
    infos: HashMap<WorkloadId, Info>,
}

/// A workload's info, and out of what it was made.
struct Info {
    who: Arc<Who>,
    named: Option<Arc<Named>>,
    info: Arc<WorkloadInfo>,
}

impl Cgroups {
    pub(super) fn new(settings: Settings, clock: Arc<dyn Clock>) -> Result<Self, PollError> {
        let Settings { root, machine, filter, kubernetes } = settings;
        let proc = machine.proc.clone();
        Ok(Self {
            looker: Looker::new(Tree::new(root, machine, filter)),
            clock,
            names: kubernetes.map(|settings| Names::new(settings, proc)).transpose()?,
            infos: HashMap::new(),
        })
    }

    async fn once(&mut self) -> Result<Usage, PollError> {
        let clock = Arc::clone(&self.clock);
        let Look { at, node, groups } = self.looker.look(move |tree| tree.look(clock.as_ref())).await??;
        if let Some(names) = &mut self.names {
            let pods = groups.iter().filter_map(|seen| seen.who.pod.as_ref());
            let wanted = pods.map(|pod| (pod.uid.as_str(), pod.container.as_deref())).collect();
            names.learn(wanted, self.clock.now()).await;
        }
        let mut before = std::mem::take(&mut self.infos);
        let mut told = HashSet::new();
        let cpus = node.as_ref().map_or(u32::MAX, |node| node.cpus);
        let mut workloads = Vec::with_capacity(groups.len());
        for seen in groups {
            if !told.insert(seen.who.id.clone()) {
                continue;
            }
            let info = self.info(&seen.who, before.remove(&seen.who.id));
            workloads.push(workload(&seen, &info, cpus));
            self.infos.insert(seen.who.id.clone(), info);
        }
        Ok(Usage { at, node, workloads })
    }

    /// The info of before, if it still holds.
    fn info(&self, who: &Arc<Who>, before: Option<Info>) -> Info {
        let pod = who.pod.as_ref().zip(self.names.as_ref());
        let named = pod.and_then(|(pod, names)| names.get(&pod.uid, pod.container.as_deref()));
        match before {
            Some(info) if Arc::ptr_eq(&info.who, who) && info.named == named => info,
            Some(_) | None => {
                let info = Arc::new(describe(who, named.as_deref()));
                Info { who: Arc::clone(who), named, info }
            }
        }
    }
}

impl Source for Cgroups {
    fn sample(&mut self) -> BoxFuture<'_, Result<Usage, PollError>> {
        Box::pin(self.once())
    }
}

fn describe(who: &Who, named: Option<&Named>) -> WorkloadInfo {
    let mut info = WorkloadInfo::new(who.id.clone(), who.kind, &who.name);
    info.domain.clone_from(&who.domain);
    info.user.clone_from(&who.user);
    info.tags.clone_from(&who.tags);
    if let Some(named) = named {
        info.name = named.full();
        info.project_id = ProjectId::new(&named.namespace).ok();
        info.project_name.clone_from(&named.namespace);
    }
    info
}

fn workload(seen: &Seen, Info { info, named, .. }: &Info, cpus: u32) -> Workload {
    let (vcpus, memory_bytes) = held(seen, named.as_deref(), cpus);
    let requested = named.as_ref().and_then(|named| named.cpu_millis);
    #[expect(clippy::cast_precision_loss, reason = "53 bits hold any number of CPUs to the thousandth")]
    let requested = requested.map(|millis| millis as f64 / 1000.0);
    Workload {
        info: Arc::clone(info),
        run: seen.run,
        state: Some(State::Running),
        cpu: Some(seen.cpu),
        vcpus,
        memory_bytes,
        cycles: None,
        details: Details {
            cpu_allocated: seen.limits.quota.map(super::files::Quota::cpus).or(requested),
            resident_memory_bytes: seen.memory.map(|memory| memory.all),
            ..Details::default()
        },
    }
}

/// The vCPUs and the memory that a workload holds, which its share of the idle power goes by: what it reserved where somebody says
/// so, else no CPU, and the memory that it uses now.
fn held(seen: &Seen, named: Option<&Named>, cpus: u32) -> (u32, u64) {
    let used = seen.memory.map_or(0, |memory| memory.working_set);
    let quota = seen.limits.quota.map_or(0, |quota| quota.whole_cpus().min(cpus));
    match seen.who.kind {
        WorkloadKind::Vm => {
            let guest = seen.who.guest.as_ref();
            let told = |value: u64, other: u64| if value > 0 { value } else { other };
            let vcpus = guest.map_or(0, |guest| guest.vcpus);
            (if vcpus > 0 { vcpus } else { quota }, told(guest.map_or(0, |guest| guest.memory_bytes), used))
        }
        WorkloadKind::Job => {
            let bound = seen.limits.cpus.map(|cores| cores.min(cpus));
            (bound.unwrap_or(quota), seen.limits.memory.unwrap_or(used))
        }
        WorkloadKind::Container => match named {
            // Requests are what the scheduler sets aside, to the nearest whole CPU; limits are not.
            Some(named) => {
                let vcpus = named.cpu_millis.map_or(0, |millis| millis.saturating_add(500) / 1000);
                (u32::try_from(vcpus).unwrap_or(u32::MAX).min(cpus), named.memory_bytes.unwrap_or(used))
            }
            None => (quota, used),
        },
        WorkloadKind::Service | WorkloadKind::Process | WorkloadKind::Cgroup => (quota, used),
    }
}
