//! Object identifiers: parsing, prefixes, display. Nothing of the wire.

use std::fmt;

/// The longest object identifier SNMP allows, arcs (RFC 3416, section 4.1).
const MAX_ARCS: usize = 128;

/// An object identifier; ordered as a walk goes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Oid(Box<[u32]>);

impl Oid {
    /// From numbers; none if there are more than 128 of them.
    #[must_use]
    pub fn from_arcs(arcs: &[u32]) -> Option<Self> {
        (arcs.len() <= MAX_ARCS).then(|| Self(arcs.into()))
    }

    /// Reads `1.3.6.1.2.1.1.2.0`, with or without a leading dot; none if it is anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.strip_prefix('.').unwrap_or(text);
        let arcs: Option<Vec<u32>> = text.split('.').map(|arc| arc.parse().ok()).collect();
        Self::from_arcs(&arcs.filter(|arcs| arcs.len() > 1)?)
    }

    /// The numbers.
    #[must_use]
    pub fn arcs(&self) -> &[u32] {
        &self.0
    }

    /// What follows `prefix`, if this starts with it: in a table, the row's index.
    #[must_use]
    pub fn after(&self, prefix: &Self) -> Option<&[u32]> {
        self.0.strip_prefix(&*prefix.0)
    }

    /// This column's instance for the row `index`; none if that were too long.
    #[must_use]
    pub fn row(&self, index: &[u32]) -> Option<Self> {
        Self::from_arcs(&[&*self.0, index].concat())
    }
}

impl fmt::Display for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, arc) in self.0.iter().enumerate() {
            if place > 0 {
                f.write_str(".")?;
            }
            write!(f, "{arc}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_dotted_numbers_are_object_identifiers() {
        assert_eq!(Oid::parse(".1.3.6").unwrap().to_string(), "1.3.6");
        for bad in ["", "1", "1.", "1..3", "1.x", "1.-3", "1.4294967296", &vec!["1"; 129].join(".")] {
            assert_eq!(Oid::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_prefix_ends_at_an_arc() {
        let column = Oid::parse("1.3.6.1").unwrap();
        assert_eq!(Oid::parse("1.3.6.1.0.7").unwrap().after(&column), Some([0, 7].as_slice()));
        assert_eq!(Oid::parse("1.3.6.12").unwrap().after(&column), None);
        assert_eq!(column.row(&[0, 7]), Oid::parse("1.3.6.1.0.7"));
    }
}
