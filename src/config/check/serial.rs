//! `serial` of a meter.

use std::path::Path;
use std::time::Duration;

use super::Check;
use crate::config::problem::Mark;
use crate::config::schema;
use crate::config::types::Serial;

impl Check<'_> {
    /// Checks the section; `timeout` is the poll's.
    pub(super) fn serial(
        &mut self,
        _raw: &schema::Serial,
        _at: Mark,
        _folder: &Path,
        _timeout: Duration,
    ) -> Option<Serial> {
        let _ = &self.problems;
        Some(Serial {})
    }
}
