//! The application: [`plan()`] turns a checked configuration into what may run (pure, shared by `serve`, `check` and
//! `read`), [`run()`] runs it until it is told to stop.

pub mod keep;
mod pages;
pub mod plan;
pub mod probe;
pub mod run;
mod shown;
mod target;
mod workers;

pub use plan::{Plan, plan};
pub use run::run;
pub use target::{Shared, open};
pub use workers::workers;

pub use crate::poller::task::deadline_error;
