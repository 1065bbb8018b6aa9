//! `command` of a meter.

use std::path::Path;
use std::time::Duration;

use super::Check;
use crate::config::problem::Mark;
use crate::config::schema;
use crate::config::types::Command;

impl Check<'_> {
    /// Checks the section; `timeout` is the poll's.
    pub(super) fn command(
        &mut self,
        _raw: &schema::Command,
        _at: Mark,
        _folder: &Path,
        _timeout: Duration,
    ) -> Option<Command> {
        let _ = &self.problems;
        Some(Command {})
    }
}
