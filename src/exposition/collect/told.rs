//! What the configuration tells and a page repeats: emission factors and prices.

use std::sync::PoisonError;

use super::Collector;
use crate::inventory::Inventory;
use crate::model::LabelSet;

/// Labels and values, rendered once.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) factors: Vec<(LabelSet, f64)>,
    pub(super) prices: Vec<(LabelSet, f64)>,
}

impl Collector {
    /// Shows the factors and prices of `inventory` from now on.
    pub fn follow(&self, inventory: &Inventory) {
        let factors = inventory.factors.iter().map(|f| {
            let labels = LabelSet::new(&[
                ("datacenter", f.datacenter.as_str()),
                ("basis", f.basis.name()),
                ("source", &f.source),
                ("tier", &f.tier),
            ]);
            (labels, f.value.get())
        });
        let prices = inventory.prices.iter().map(|p| {
            let labels = LabelSet::new(&[("datacenter", p.datacenter.as_str()), ("currency", &p.currency)]);
            (labels, p.per_kilowatt_hour)
        });
        let told = Told { factors: factors.collect(), prices: prices.collect() };
        *self.told.write().unwrap_or_else(PoisonError::into_inner) = told;
    }
}
