//! A meter's `modbus` section, checked.

/// Energy meters over Modbus TCP and RTU.
#[derive(Debug, Clone)]
pub struct Modbus {}
