//! `prometheus` of a meter.

use std::path::Path;
use std::time::Duration;

use super::Check;
use crate::config::problem::Mark;
use crate::config::schema;
use crate::config::types::Prometheus;

impl Check<'_> {
    /// Checks the section; `timeout` is the poll's.
    pub(super) fn prometheus(
        &mut self,
        _raw: &schema::Prometheus,
        _at: Mark,
        _folder: &Path,
        _timeout: Duration,
    ) -> Option<Prometheus> {
        let _ = &self.problems;
        Some(Prometheus {})
    }
}
