//! `http` of a meter.

use std::path::Path;
use std::time::Duration;

use super::Check;
use crate::config::problem::Mark;
use crate::config::schema;
use crate::config::types::Http;

impl Check<'_> {
    /// Checks the section; `timeout` is the poll's.
    pub(super) fn http(
        &mut self,
        _raw: &schema::Http,
        _at: Mark,
        _folder: &Path,
        _timeout: Duration,
    ) -> Option<Http> {
        let _ = &self.problems;
        Some(Http {})
    }
}
