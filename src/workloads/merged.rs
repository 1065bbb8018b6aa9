//! Two sources of one host as one: virtual machines by libvirt, everything else by control groups.

use std::collections::HashSet;

use super::{Node, Source, Usage};
use crate::model::{BoxFuture, PollError};

/// libvirt and the control groups of the same machine.
pub struct Merged {
    machines: Box<dyn Source>,
    groups: Box<dyn Source>,
}

impl Merged {
    /// `machines` by libvirt, `groups` without the groups of machines.
    #[must_use]
    pub fn new(machines: Box<dyn Source>, groups: Box<dyn Source>) -> Self {
        Self { machines, groups }
    }

    /// Both at once. Without either nothing is told at all: what one of them lists would seem to have left, and counters go on.
    async fn both(&mut self) -> Result<Usage, PollError> {
        let (machines, groups) = tokio::join!(self.machines.sample(), self.groups.sample());
        let (mut all, groups) = (machines?, groups?);
        let told: HashSet<_> = all.workloads.iter().map(|workload| workload.info.id.clone()).collect();
        all.workloads
            .extend(groups.workloads.into_iter().filter(|workload| !told.contains(&workload.info.id)));
        all.node = node(groups.node, all.node);
        Ok(all)
    }
}

/// The node as the machine itself tells it, since only there its links are known; but for its disks, where libvirt knows those for
/// guests. Its CPU time is of one of the two for ever, since they count it differently.
fn node(own: Option<Node>, libvirts: Option<Node>) -> Option<Node> {
    let (Some(own), Some(libvirts)) = (own.clone(), libvirts.clone()) else {
        return own.or_else(|| libvirts.map(|node| Node { busy: None, ..node }));
    };
    Some(Node { mhz: own.mhz.or(libvirts.mhz), disk: libvirts.disk.or(own.disk), ..own })
}

impl Source for Merged {
    fn sample(&mut self) -> BoxFuture<'_, Result<Usage, PollError>> {
        Box::pin(self.both())
    }

    fn close(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            tokio::join!(self.machines.close(), self.groups.close());
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::{ErrorKind, Moment, WorkloadId};
    use crate::workloads::{CpuNanos, Details, State, Workload, WorkloadInfo, WorkloadKind};

    /// Says the same each time.
    struct Says(Result<Usage, PollError>);

    impl Source for Says {
        fn sample(&mut self) -> BoxFuture<'_, Result<Usage, PollError>> {
            let said = self.0.clone();
            Box::pin(std::future::ready(said))
        }
    }

    fn usage(at: u64, ids: &[(&str, WorkloadKind)], busy: u64, mhz: Option<u32>) -> Usage {
        let workload = |(id, kind): &(&str, WorkloadKind)| Workload {
            info: Arc::new(WorkloadInfo::new(WorkloadId::new(id).unwrap(), *kind, id)),
            run: 1,
            state: Some(State::Running),
            cpu: None,
            vcpus: 0,
            memory_bytes: 0,
            cycles: None,
            details: Details::default(),
        };
        let node = Node { cpus: 4, mhz, busy: Some(CpuNanos(busy)), ..Node::default() };
        Usage { at: Moment::from_nanos(at), node: Some(node), workloads: ids.iter().map(workload).collect() }
    }

    #[tokio::test]
    async fn machines_come_from_libvirt_and_all_else_from_groups() {
        let machines = usage(7, &[("web", WorkloadKind::Vm)], 100, Some(2600));
        let groups =
            usage(8, &[("nginx.service", WorkloadKind::Service), ("web", WorkloadKind::Vm)], 90, None);
        let mut merged = Merged::new(Box::new(Says(Ok(machines))), Box::new(Says(Ok(groups))));
        let all = merged.sample().await.unwrap();
        let ids: Vec<_> = all.workloads.iter().map(|workload| workload.info.id.as_str()).collect();
        assert_eq!((all.at, ids), (Moment::from_nanos(7), vec!["web", "nginx.service"]));
        let node = all.node.unwrap();
        assert_eq!(
            (node.busy, node.mhz),
            (Some(CpuNanos(90)), Some(2600)),
            "CPU time as the machine counts it"
        );
    }

    #[tokio::test]
    async fn nobody_leaves_because_one_of_the_two_is_silent() {
        let silent = || Says(Err(PollError::new(ErrorKind::Timeout, "no answer", "wait")));
        let good = || Says(Ok(usage(1, &[("a", WorkloadKind::Vm)], 1, None)));
        assert!(Merged::new(Box::new(silent()), Box::new(good())).sample().await.is_err());
        assert!(Merged::new(Box::new(good()), Box::new(silent())).sample().await.is_err());
    }
}
