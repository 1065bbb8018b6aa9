//! The application: [`plan()`] turns a checked configuration into what may run (pure, shared by `serve`, `check` and
//! `read`), [`run()`] runs it until it is told to stop.

pub mod calibrate;
mod control;
mod fleet;
pub mod keep;
mod pages;
pub mod plan;
pub mod probe;
pub mod reload;
pub mod run;
mod shown;
pub mod switches;
mod target;
mod web;
mod workers;

pub use plan::{Plan, plan};
pub use reload::{Load, Loaded, web_rules};
pub use run::{Setup, run};
pub use switches::Switches;
pub use target::{Shared, open};
pub use workers::workers;

pub use crate::poller::task::deadline_error;
