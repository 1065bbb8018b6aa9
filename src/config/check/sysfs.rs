//! `sysfs` of a meter.

use std::path::Path;
use std::time::Duration;

use super::Check;
use crate::config::problem::Mark;
use crate::config::schema;
use crate::config::types::Sysfs;

impl Check<'_> {
    /// Checks the section; `timeout` is the poll's.
    pub(super) fn sysfs(
        &mut self,
        _raw: &schema::Sysfs,
        _at: Mark,
        _folder: &Path,
        _timeout: Duration,
    ) -> Option<Sysfs> {
        let _ = &self.problems;
        Some(Sysfs {})
    }
}
