//! The totals of VMs over all hosts.

use super::method_label;
use crate::attribution::ledger::{Ledger, Method};
use crate::exposition::catalog;
use crate::exposition::encode::Encoder;

pub(super) fn write(page: &mut Encoder, ledger: &Ledger) {
    let mut family = page.family(&catalog::VM_ENERGY_JOULES_TOTAL);
    for total in ledger.vm_totals() {
        for method in Method::ALL.into_iter().filter(|method| *total.methods.get(*method)) {
            family.sample_with(total.labels, method_label(method), *total.energy.get(method));
        }
    }
}
