//! How a host's energy is divided: each part metered once, each device given once.

use std::collections::HashMap;

use super::Check;
use super::hosts::ratio;
use crate::config::leaf::{Channel, Pci};
use crate::config::problem::Mark;
use crate::config::schema;
use crate::config::types::{ChannelRef, Division};
use crate::model::{DatacenterId, PciAddress};

/// Which part of which host a channel meters already.
pub(super) type Metered = HashMap<ChannelRef, Mark>;

impl Check<'_> {
    /// Checks the keys that say how a host's energy is divided.
    pub(super) fn division(
        &self,
        raw: &schema::Host,
        ours: Option<&DatacenterId>,
        metered: &mut Metered,
    ) -> Division {
        let rapl = raw.rapl.located();
        if let Some((rapl, at)) = rapl {
            self.need(&rapl.packages, at, "packages", "name the channels, such as `[node/rapl/package-0]`");
        }
        let mut parts = |list: Option<&crate::config::field::List<Channel>>| {
            let channels = list.into_iter().flat_map(|l| l.items());
            channels.filter_map(|(c, at)| self.part(c, at, ours, metered)).collect::<Vec<_>>()
        };
        let packages = parts(rapl.map(|(r, _)| &r.packages));
        let memory = parts(rapl.map(|(r, _)| &r.memory));
        Division {
            model: raw.model.get().copied(),
            pool: raw.pool.get().copied(),
            packages,
            memory,
            gpus: self.gpus(raw, ours, metered),
            weighting: raw.weighting.get().copied().unwrap_or_default(),
            smt_factor: ratio(&raw.smt_factor),
        }
    }

    fn gpus(
        &self,
        raw: &schema::Host,
        ours: Option<&DatacenterId>,
        metered: &mut Metered,
    ) -> Vec<(ChannelRef, PciAddress)> {
        let mut seen: HashMap<PciAddress, Mark> = HashMap::new();
        let mut gpus = Vec::new();
        for (gpu, at) in raw.gpus.items() {
            let channel = self.need(&gpu.channel, at, "channel", "name its channel, such as `bmc-1/gpu/1`");
            let pci = self.need(&gpu.pci, at, "pci", "write where it sits, such as `0000:3b:00.0`");
            let channel =
                channel.zip(gpu.channel.located()).and_then(|(c, (_, at))| self.part(c, at, ours, metered));
            if let Some((Pci(pci), at)) = gpu.pci.located()
                && let Some(first) = seen.insert(*pci, at)
            {
                let what = format!("a second GPU at {pci}, after the one on {}", first.line());
                self.error(at, what, "give each GPU its own address, as `lspci -D` shows it");
                continue;
            }
            gpus.extend(channel.zip(pci.map(|Pci(pci)| *pci)));
        }
        gpus
    }

    /// A channel that meters one part of one host.
    fn part(
        &self,
        Channel(channel): &Channel,
        at: Mark,
        ours: Option<&DatacenterId>,
        metered: &mut Metered,
    ) -> Option<ChannelRef> {
        if let Some(first) = metered.get(channel) {
            let place = self.problems.borrow().describe(*first, at);
            let what = format!("`{channel}` meters another part already, {place}");
            self.error(at, what, "let each channel meter one part of one host");
            return None;
        }
        metered.insert(channel.clone(), at);
        self.channel(channel, at, ours).then(|| channel.clone())
    }
}
