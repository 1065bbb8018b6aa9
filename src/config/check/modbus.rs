//! `modbus` of a meter.

use std::path::Path;
use std::time::Duration;

use super::Check;
use crate::config::problem::Mark;
use crate::config::schema;
use crate::config::types::Modbus;

impl Check<'_> {
    /// Checks the section; `timeout` is the poll's.
    pub(super) fn modbus(
        &mut self,
        _raw: &schema::Modbus,
        _at: Mark,
        _folder: &Path,
        _timeout: Duration,
    ) -> Option<Modbus> {
        let _ = &self.problems;
        Some(Modbus {})
    }
}
