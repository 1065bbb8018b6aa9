//! The energy of services.

use super::method_label;
use crate::attribution::ledger::{Ledger, Method};
use crate::exposition::catalog;
use crate::exposition::encode::Encoder;

pub(super) fn write(page: &mut Encoder, ledger: &Ledger) {
    let mut family = page.family(&catalog::SERVICE_ENERGY_JOULES_TOTAL);
    for service in ledger.services().values() {
        for method in Method::ALL.into_iter().filter(|method| service.energy.get(*method).0 > 0) {
            family.sample_with(&service.labels, method_label(method), *service.energy.get(method));
        }
    }
}
