//! A meter's `serial` section, checked.

/// Wattmeters and electricity meters on a serial port.
#[derive(Debug, Clone)]
pub struct Serial {}
