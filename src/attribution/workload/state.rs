//! What of a workload's account outlives the process: its energy, its CPU time, and who it is, so that its series go on.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::observed::ObservedState;
use super::{CpuMark, Observed, WorkloadAccount};
use crate::attribution::books::Books;
use crate::attribution::ledger::ByMethod;
use crate::attribution::split::Share;
use crate::inventory::Host;
use crate::model::{Moment, Past, ProjectId, WorkloadId};
use crate::workloads::{CpuNanos, WorkloadInfo, WorkloadKind};

/// A [`WorkloadAccount`], kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WorkloadState {
    #[serde(serialize_with = "keep_info", deserialize_with = "read_info")]
    info: Arc<WorkloadInfo>,
    project: ProjectId,
    energy: ByMethod<Share>,
    /// Its CPU counter as last read, and the age of that.
    cpu: Option<(Duration, u32, CpuNanos)>,
    cpu_total: CpuNanos,
    observed: ObservedState,
    /// How long ago it was seen.
    seen: Option<Duration>,
}

/// As much of who it is as its series say; the next sample tells the rest.
#[derive(Serialize, Deserialize)]
struct Known<'a> {
    id: WorkloadId,
    kind: WorkloadKind,
    domain: Cow<'a, str>,
    name: Cow<'a, str>,
    project_id: Option<ProjectId>,
    project_name: Cow<'a, str>,
    user: Cow<'a, str>,
    flavor: Cow<'a, str>,
}

fn keep_info<S: Serializer>(info: &Arc<WorkloadInfo>, serializer: S) -> Result<S::Ok, S::Error> {
    let known = Known {
        id: info.id.clone(),
        kind: info.kind,
        domain: Cow::Borrowed(&info.domain),
        name: Cow::Borrowed(&info.name),
        project_id: info.project_id.clone(),
        project_name: Cow::Borrowed(&info.project_name),
        user: Cow::Borrowed(&info.user),
        flavor: Cow::Borrowed(&info.flavor),
    };
    known.serialize(serializer)
}

fn read_info<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<WorkloadInfo>, D::Error> {
    let known = Known::deserialize(deserializer)?;
    Ok(Arc::new(WorkloadInfo {
        domain: known.domain.into_owned(),
        project_id: known.project_id,
        project_name: known.project_name.into_owned(),
        user: known.user.into_owned(),
        flavor: known.flavor.into_owned(),
        ..WorkloadInfo::new(known.id, known.kind, &known.name)
    }))
}

impl WorkloadAccount {
    /// What is to be kept at `now`.
    pub(in crate::attribution) fn kept(&self, now: Moment) -> WorkloadState {
        WorkloadState {
            info: Arc::clone(&self.info),
            project: self.project.clone(),
            energy: self.energy,
            cpu: self.cpu.map(|mark| (now.since(mark.at), mark.run, mark.cpu)),
            cpu_total: self.cpu_total,
            observed: self.observed.kept(),
            seen: self.seen.map(|at| now.since(at)),
        }
    }

    /// An account on `host` that goes on from `state`. It holds nothing until it is seen again.
    pub(in crate::attribution) fn resumed(
        state: WorkloadState,
        host: &Host,
        books: &Books,
        past: &Past,
    ) -> Self {
        let WorkloadState { info, project, energy, cpu, cpu_total, observed, seen } = state;
        let observed = Observed::resumed(observed);
        let services = books.services.of(&info, &project);
        let name = books.tenants.names.name(&project).unwrap_or(&info.project_name).to_owned();
        let cpu = cpu.map(|(age, run, cpu)| CpuMark { at: past.moment(age), run, cpu });
        // One that was never seen would stay for ever.
        let seen = Some(past.moment(seen.unwrap_or_default()));
        Self {
            energy,
            cpu,
            cpu_total,
            seen,
            services,
            observed,
            ..Self::new(info, project, &name, &host.datacenter, &host.id)
        }
    }
}
