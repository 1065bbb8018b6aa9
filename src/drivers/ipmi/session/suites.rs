//! The list of cipher suites that a BMC offers, in records spread over several replies. IPMI v2.0 section 22.15.

/// Most replies of a list; the specification's own limit.
const MAX_INDEX: u8 = 0x3f;
/// A full reply holds this much of the list; a shorter one is the last.
const CHUNK: usize = 16;

/// The list so far.
#[derive(Debug, Clone, Default)]
pub struct Offer {
    records: Vec<u8>,
    replies: u8,
}

impl Offer {
    /// Which part to ask for next.
    #[must_use]
    pub const fn next_index(&self) -> u8 {
        self.replies
    }

    /// Takes a reply's data (channel number, then records); true if there is more.
    pub fn append(&mut self, data: &[u8]) -> bool {
        let part = data.get(1..).unwrap_or_default();
        self.records.extend_from_slice(part.get(..CHUNK).unwrap_or(part));
        self.replies = self.replies.saturating_add(1);
        part.len() >= CHUNK && self.replies < MAX_INDEX
    }

    /// Numbers of the suites; OEM's own left out.
    #[must_use]
    pub fn ids(&self) -> Vec<u8> {
        let mut ids = Vec::new();
        let mut bytes = self.records.iter().copied();
        while let Some(byte) = bytes.next() {
            match byte {
                // A standard record: its number, then algorithms, whose bytes never look like a start.
                0xc0 => ids.extend(bytes.next()),
                // An OEM's: a number and three bytes of who.
                0xc1 => drop(bytes.by_ref().take(4).count()),
                _ => {}
            }
        }
        ids
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_put_together_from_its_parts() {
        let mut offer = Offer::default();
        let list = hex::decode("c00301418 1c01103448 1c1c0570100c0000000c0084203".replace(' ', "")).unwrap();
        let (first, second) = list.split_at(16);
        assert!(offer.append(&[&[1], first].concat()));
        assert_eq!(offer.next_index(), 1);
        assert!(!offer.append(&[&[1], second].concat()));
        assert_eq!(offer.ids(), [3, 17, 0, 8]);
    }

    #[test]
    fn a_list_without_end_ends() {
        let mut offer = Offer::default();
        let replies = (0..1000).take_while(|_| offer.append(&[0xc0; 17])).count();
        assert!(replies < 64);
    }
}
