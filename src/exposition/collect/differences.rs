//! Meters of one host, held against each other.

use super::Collector;
use crate::attribution::Ledger;
use crate::exposition::catalog;
use crate::exposition::encode::Encoder;
use crate::model::Moment;

impl Collector {
    pub(super) fn differences(&self, page: &mut Encoder, ledger: &Ledger, now: Moment) {
        let mut difference = page.family(&catalog::HOST_FEED_DIFFERENCE_WATTS);
        for (labels, watts) in ledger.hosts().iter().flat_map(|host| host.differences(&self.store, now)) {
            difference.sample(labels, watts);
        }
    }
}
