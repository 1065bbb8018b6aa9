//! `wattribute` measures what a private cloud draws from the wall and says whose it is.
//!
//! # One reading's way
//!
//! ```text
//! wire -> drivers -> poller -> store (latest value, energy) -> attribution (ledger) -> exposition -> /metrics
//!                                                                 ^
//!                                                      inventory + workloads
//! ```
//!
//! 1. [`poller`] asks a driver ([`drivers::Driver::poll`]) under a deadline; the driver's pure parser turns bytes into a
//!    [`model::Batch`].
//! 2. [`store::Store::apply`] keeps the latest value of each channel and integrates energy.
//! 3. Each tick the ledger gives every host's joules away by [`attribution::split`](mod@attribution::split), to the microjoule.
//! 4. A scrape only reads: it never polls and never waits for a device. A client that names a device at `/probe` has it read
//!    past all of this: [`app::probe`].
//!
//! # Who may import whom
//!
//! `model` imports nothing. `config`, `store`, `inventory`, `web`, `poller`, `checkpoint` and `sim` import `model` alone,
//! `drivers` and `workloads` also `web`, the HTTP client.
//! `attribution` imports `model`, `store`, `inventory`, `workloads`. `exposition` reads those, the poller's counts and the
//! checkpoint's; `http` serves `exposition`'s pages; `app` wires; `cli` calls `app`. `config` and `drivers` never meet, nor do
//! `sim` and `drivers`. `tests/architecture.rs` holds the table, `docs/architecture.md` explains it.
//!
//! # Invariants
//!
//! - The joules of a host are the joules of its workloads, its hypervisor and its unallocated rest: exactly.
//! - A counter never falls, nor over a restart where a checkpoint is kept.
//! - A value that is not there is absent, never 0; measured and estimated never share a series.

pub mod app;
pub mod attribution;
pub mod checkpoint;
pub mod cli;
pub mod config;
pub mod drivers;
pub mod exposition;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
pub mod http;
pub mod inventory;
pub mod model;
pub mod poller;
pub mod sim;
pub mod store;
mod web;
pub mod workloads;
