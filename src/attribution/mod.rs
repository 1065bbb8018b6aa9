//! Attribution: whose joules. [`split`] holds the pure models, [`ledger`] the exact account that applies them to every
//! host and interval.

mod books;
mod capacity;
pub mod estimate;
mod guests;
pub mod host;
pub mod idle;
pub mod ledger;
pub mod models;
mod pool;
pub mod pricing;
pub mod services;
pub mod smt;
pub mod split;
pub mod tenants;
pub mod totals;
mod tracks;
pub mod workload;

pub use ledger::Ledger;

#[cfg(test)]
mod boundary_tests;
#[cfg(test)]
mod estimate_tests;
#[cfg(test)]
mod feeds_tests;
#[cfg(test)]
mod histories;
#[cfg(test)]
mod room;
#[cfg(test)]
mod state_tests;
