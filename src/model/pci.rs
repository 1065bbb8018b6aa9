//! Where a device sits on a machine's PCI bus.

use std::fmt;
use std::str::FromStr;

/// `domain:bus:slot.function`, in hexadecimal: `0000:3b:00.0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PciAddress {
    /// Domain.
    pub domain: u16,
    /// Bus.
    pub bus: u8,
    /// Slot, 0 to 31.
    pub slot: u8,
    /// Function, 0 to 7.
    pub function: u8,
}

/// The text is no PCI address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is no PCI address such as 0000:3b:00.0")]
pub struct PciError;

impl FromStr for PciAddress {
    type Err = PciError;

    /// Reads `3b:00.0` too, as `lspci` writes it where there is one domain.
    fn from_str(text: &str) -> Result<Self, PciError> {
        let (front, function) = text.rsplit_once('.').ok_or(PciError)?;
        let (front, slot) = front.rsplit_once(':').ok_or(PciError)?;
        let (domain, bus) = front.rsplit_once(':').unwrap_or(("0", front));
        let hex = |text: &str, most: u16| {
            let digits = (1..=4).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit());
            let value = u16::from_str_radix(text, 16).ok().filter(|value| digits && *value <= most);
            value.ok_or(PciError)
        };
        let small = |text: &str, most: u16| u8::try_from(hex(text, most)?).map_err(|_| PciError);
        Ok(Self {
            domain: hex(domain, u16::MAX)?,
            bus: small(bus, 0xff)?,
            slot: small(slot, 0x1f)?,
            function: small(function, 7)?,
        })
    }
}

impl fmt::Display for PciAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04x}:{:02x}:{:02x}.{:x}", self.domain, self.bus, self.slot, self.function)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_lspci_and_libvirt_write_them() {
        for (text, wanted) in [
            ("0000:3b:00.0", Some("0000:3b:00.0")),
            ("3b:1f.7", Some("0000:3b:1f.7")),
            ("10000:00:00.0", None),
            ("3b:20.0", None),
            ("3b:00.8", None),
            ("3b:00", None),
            ("+3b:00.0", None),
            (":3b:00.0", None),
            ("", None),
        ] {
            assert_eq!(text.parse::<PciAddress>().ok().map(|a| a.to_string()).as_deref(), wanted, "{text}");
        }
    }
}
