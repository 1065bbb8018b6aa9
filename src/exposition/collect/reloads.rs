//! How the configuration was read last, and what is switched off.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::Collector;
use crate::attribution::Ledger;
use crate::exposition::catalog;
use crate::exposition::encode::Encoder;

/// How the configuration was read last.
#[derive(Debug)]
pub struct Reloads {
    good: AtomicBool,
    /// When it was last read well, the bits of Unix time in seconds.
    at: AtomicU64,
}

impl Reloads {
    /// Read well at `unix_seconds`, the start.
    #[must_use]
    pub const fn new(unix_seconds: f64) -> Self {
        Self { good: AtomicBool::new(true), at: AtomicU64::new(unix_seconds.to_bits()) }
    }

    /// Read well again at `unix_seconds`.
    pub fn succeeded(&self, unix_seconds: f64) {
        self.at.store(unix_seconds.to_bits(), Ordering::Relaxed);
        self.good.store(true, Ordering::Relaxed);
    }

    /// Found to be wrong; what was read before is still followed.
    pub fn failed(&self) {
        self.good.store(false, Ordering::Relaxed);
    }

    pub(super) fn render(&self, page: &mut Encoder) {
        let mut good = page.family(&catalog::CONFIG_LAST_RELOAD_SUCCESSFUL);
        good.single(self.good.load(Ordering::Relaxed));
        let at = f64::from_bits(self.at.load(Ordering::Relaxed));
        let mut family = page.family(&catalog::CONFIG_LAST_RELOAD_SUCCESS_TIMESTAMP_SECONDS);
        family.single((at * 1000.0).round() / 1000.0);
    }
}

impl Collector {
    pub(super) fn switched(&self, page: &mut Encoder) {
        let mut enabled = page.family(&catalog::METER_ENABLED);
        self.store.each(|meter| enabled.sample(meter.labels(), meter.is_enabled()));
    }
}

/// Which hosts are monitored.
pub(super) fn hosts(page: &mut Encoder, ledger: &Ledger) {
    let mut enabled = page.family(&catalog::HOST_ENABLED);
    ledger.hosts().iter().for_each(|host| enabled.sample(host.place(), host.is_enabled()));
}
