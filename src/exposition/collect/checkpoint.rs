//! How keeping the counters fares.

use std::sync::Arc;

use super::Collector;
use crate::checkpoint::Health;
use crate::exposition::catalog;
use crate::exposition::encode::Encoder;
use crate::model::{LabelSet, Moment};

impl Collector {
    /// Shows from now on how keeping the counters fares.
    pub fn show_checkpoint(&self, health: Arc<Health>) {
        // There is one folder for the life of the process.
        let _ = self.checkpoint.set(health);
    }
}

pub(super) fn render(page: &mut Encoder, health: Option<&Arc<Health>>, now: Moment) {
    let Some(health) = health else { return };
    page.family(&catalog::CHECKPOINT_AGE_SECONDS).single(now.since(health.kept()).as_secs_f64());
    if let Some(bytes) = health.bytes() {
        page.family(&catalog::CHECKPOINT_BYTES).single(bytes);
    }
    let mut writes = page.family(&catalog::CHECKPOINT_WRITES_TOTAL);
    for (result, count) in health.writes() {
        writes.sample(&LabelSet::new(&[("result", result)]), count);
    }
    page.family(&catalog::CHECKPOINT_REFUSED).single(health.refused());
}
