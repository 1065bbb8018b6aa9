//! What the attribution models add to the page: how sure learned idle power is, and GPUs' parts.

use crate::attribution::host::HostAccount;
use crate::attribution::ledger::{Ledger, Method};
use crate::attribution::split::Share;
use crate::exposition::catalog;
use crate::exposition::encode::Encoder;
use crate::model::Microjoules;

/// Between which limits learned idle power lies.
pub(super) fn idle_limits(page: &mut Encoder, ledger: &Ledger) {
    let mut family = page.family(&catalog::HOST_IDLE_POWER_LIMIT_WATTS);
    for host in ledger.hosts().iter().filter(|h| h.settled().is_some()) {
        if let Some((lower, upper)) = host.idle_limits() {
            family.sample_with(host.labels(), "limit=\"lower\"", lower.get());
            family.sample_with(host.labels(), "limit=\"upper\"", upper.get());
        }
    }
}

/// The parts of a workload's energy on a host, with their labels. Of GPUs there is one where the host has any.
pub(super) fn parts(
    host: &HostAccount,
    method: Method,
    share: Share,
) -> impl Iterator<Item = (&'static str, Microjoules)> {
    let [idle, dynamic, gpu] = match method {
        Method::Measured => [
            "method=\"measured\",part=\"idle\"",
            "method=\"measured\",part=\"dynamic\"",
            "method=\"measured\",part=\"gpu\"",
        ],
        Method::Rated => [
            "method=\"rated\",part=\"idle\"",
            "method=\"rated\",part=\"dynamic\"",
            "method=\"rated\",part=\"gpu\"",
        ],
    };
    let has_gpus = !host.host().parts.gpus.is_empty() || share.gpu > Microjoules::ZERO;
    [Some((idle, share.idle)), Some((dynamic, share.dynamic)), has_gpus.then_some((gpu, share.gpu))]
        .into_iter()
        .flatten()
}
