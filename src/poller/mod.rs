//! The poller: a task for every device, its schedule, its deadline, and a supervisor that restarts what dies.
//!
//! It knows neither protocols nor the store: a [`Target`] polls and delivers by itself. Ticks skip, never burst.

use std::time::Duration;

use crate::model::{BoxFuture, PollError};

pub mod schedule;
pub mod stats;
pub mod task;

pub use stats::Stats;
pub use task::{Device, supervise};

/// Something that is polled: a meter or a hypervisor, with the place where its answers go.
pub trait Target: Send {
    /// Polls once and delivers. May be dropped at any await.
    ///
    /// # Errors
    /// As the driver's or source's own.
    fn poll(&mut self) -> BoxFuture<'_, Result<(), PollError>>;

    /// Gives back what the device holds for us.
    fn close(&mut self) -> BoxFuture<'_, ()>;
}

/// When and how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// From one poll's start to the next.
    pub interval: Duration,
    /// The longest a poll may take.
    pub deadline: Duration,
}
