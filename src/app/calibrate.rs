//! Calibration: one host, which does nothing, is watched for some minutes, apart from whatever else runs.

mod bench;
mod mean;

use std::sync::Arc;
use std::time::Duration;

use super::{Plan, Shared};
use crate::drivers::Profiles;
use crate::inventory::{Feed, Host};
use crate::model::{ChannelId, Clock, MeterId, Ratio};
use bench::Bench;
pub use mean::Calibrated;

/// What to watch, and how.
#[derive(Debug)]
pub struct Calibration<'a> {
    /// Everything that is configured.
    pub plan: &'a Plan,
    /// The host's name.
    pub host: &'a str,
    /// For how long.
    pub time: Duration,
    /// The largest busy share of its CPUs.
    pub most_busy: Ratio,
}

impl Calibration<'_> {
    /// Watches the host, which `say` is told of, line by line.
    ///
    /// # Errors
    /// What is wrong and what to do, in one line: there is no such host, it has no meter, it is busy, or its devices do not
    /// answer.
    pub async fn run(
        &self,
        profiles: Profiles,
        clock: Arc<dyn Clock>,
        mut say: impl FnMut(&str),
    ) -> Result<Calibrated, String> {
        let hosts = &self.plan.inventory.hosts;
        let (n, host) =
            hosts.iter().enumerate().find(|(_, h)| h.id.as_str() == self.host).ok_or_else(|| {
                let known: Vec<_> = hosts.iter().map(|h| h.id.as_str()).collect();
                format!("there is no host {:?}; there are: {}", self.host, known.join(", "))
            })?;
        let feed =
            measured(host).ok_or("it has no measured feed; name a channel of a meter in its `feeds`")?;
        let source =
            self.plan.host_sources.get(n).copied().flatten().and_then(|s| self.plan.sources.get(s.0));
        if source.is_none() {
            say("no `hypervisor` says whether it is idle; see to it yourself");
        }
        let shared = Shared::new(profiles, &clock);
        let mut bench = Bench::open(host, feed, &self.plan.meters, source, &shared, &clock)?;
        let watched = bench.watch(self.time, self.most_busy, &mut say).await;
        bench.close(&mut say).await;
        let (means, running) = watched?;
        let result = means.result().ok_or("too few readings came; watch it longer with --idle-for")?;
        Ok(Calibrated { running, ..result })
    }
}

/// The first feed that is measured.
fn measured(host: &Host) -> Option<&[(MeterId, ChannelId)]> {
    host.feeds.iter().find_map(|feed| match feed {
        Feed::Channels(channels) => Some(channels.as_slice()),
        Feed::Rated(_) | Feed::Modelled(_) => None,
    })
}
