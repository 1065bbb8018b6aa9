//! A meter's `command` section, checked.

/// Any reader program that prints lines.
#[derive(Debug, Clone)]
pub struct Command {}
