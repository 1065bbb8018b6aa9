//! What a unit, or the gateway before it, says instead of values.

use std::fmt;

/// An exception code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Exception(pub u8);

impl Exception {
    /// The unit does not know the function.
    pub const ILLEGAL_FUNCTION: Self = Self(1);
    /// One of the registers is not there.
    pub const ILLEGAL_ADDRESS: Self = Self(2);
    /// The count is more than the unit gives at once, or reaches past the last register.
    pub const ILLEGAL_VALUE: Self = Self(3);
    /// The unit is busy with something else.
    pub const BUSY: Self = Self(6);
    /// The gateway has no line for this unit.
    pub const GATEWAY_PATH: Self = Self(0x0A);
    /// Nobody behind the gateway answered.
    pub const GATEWAY_TARGET: Self = Self(0x0B);

    /// Its name in the standard.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self.0 {
            1 => "illegal function",
            2 => "illegal data address",
            3 => "illegal data value",
            4 => "server device failure",
            5 => "acknowledge",
            6 => "server device busy",
            7 => "negative acknowledge",
            8 => "memory parity error",
            0x0A => "gateway path unavailable",
            0x0B => "gateway target device failed to respond",
            _ => "not in the standard",
        }
    }

    /// Whether the question reached into registers that are not there, so that a smaller one may be answered.
    #[must_use]
    pub const fn is_about_registers(self) -> bool {
        matches!(self, Self::ILLEGAL_ADDRESS | Self::ILLEGAL_VALUE)
    }
}

impl fmt::Display for Exception {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "exception {:02X} ({})", self.0, self.name())
    }
}
