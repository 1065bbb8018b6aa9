//! Questions, and which answers fit them.

use super::exception::Exception;

/// The most registers that one question may ask for.
pub const MAX_REGISTERS: u16 = 125;
/// The longest text of an object of Read Device Identification that counts, bytes.
const MAX_OBJECTS: usize = 128;

const DIAGNOSTICS: u8 = 0x08;
const ENCAPSULATED: u8 = 0x2B;
const DEVICE_IDENTIFICATION: u8 = 0x0E;
/// Set in the function code of an exception.
const EXCEPTION: u8 = 0x80;

/// Which of a unit's two tables of registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Table {
    /// Holding registers, function 3.
    Holding,
    /// Input registers, function 4.
    Input,
}

impl Table {
    /// The function that reads it.
    #[must_use]
    pub const fn function(self) -> u8 {
        match self {
            Self::Holding => 3,
            Self::Input => 4,
        }
    }
}

/// A question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Request {
    /// `count` registers from `start` on.
    Read {
        /// Of which table.
        table: Table,
        /// The first, as it stands on the wire: counted from 0.
        start: u16,
        /// How many, 1 to [`MAX_REGISTERS`].
        count: u16,
    },
    /// Gives these two bytes back (Diagnostics, Return Query Data): an answer that fits no other question.
    Echo(u16),
    /// The objects of Read Device Identification from `object` on; 1 asks for the basic ones, 2 for the regular ones.
    Identify {
        /// Which of the streams.
        code: u8,
        /// The first object.
        object: u8,
    },
}

/// What an answer says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The registers that were asked for.
    Registers(Vec<u16>),
    /// Our own bytes came back.
    Echoed,
    /// Objects of Read Device Identification.
    Objects(Vec<(u8, String)>),
    /// None of that.
    Exception(Exception),
}

impl Request {
    /// The function code.
    #[must_use]
    pub const fn function(&self) -> u8 {
        match self {
            Self::Read { table, .. } => table.function(),
            Self::Echo(_) => DIAGNOSTICS,
            Self::Identify { .. } => ENCAPSULATED,
        }
    }

    /// Its bytes, from the function code on.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut pdu = vec![self.function()];
        match self {
            Self::Read { start, count, .. } => {
                pdu.extend(start.to_be_bytes());
                pdu.extend(count.to_be_bytes());
            }
            Self::Echo(data) => {
                pdu.extend([0, 0]);
                pdu.extend(data.to_be_bytes());
            }
            Self::Identify { code, object } => pdu.extend([DEVICE_IDENTIFICATION, *code, *object]),
        }
        pdu
    }

    /// What `pdu` answers to it; none if it answers something else. An answer that is not whole answers nothing.
    #[must_use]
    pub fn answer(&self, pdu: &[u8]) -> Option<Answer> {
        let (&function, body) = pdu.split_first()?;
        if function == self.function() | EXCEPTION {
            let [code] = body else { return None };
            return Some(Answer::Exception(Exception(*code)));
        }
        if function != self.function() {
            return None;
        }
        match self {
            Self::Read { count, .. } => {
                let (&length, bytes) = body.split_first()?;
                let whole = usize::from(length) == bytes.len() && bytes.len() == usize::from(*count) * 2;
                let word = |pair: &[u8]| <[u8; 2]>::try_from(pair).ok().map(u16::from_be_bytes);
                whole.then(|| bytes.chunks(2).filter_map(word).collect()).map(Answer::Registers)
            }
            Self::Echo(data) => {
                let [0, 0, high, low] = body else { return None };
                (u16::from_be_bytes([*high, *low]) == *data).then_some(Answer::Echoed)
            }
            Self::Identify { code, .. } => {
                let [DEVICE_IDENTIFICATION, given, ..] = body else { return None };
                (given == code).then(|| objects(body)).flatten().map(Answer::Objects)
            }
        }
    }

    /// Whether an answer to one could be taken for an answer to the other, where nothing but the answer itself tells.
    #[must_use]
    pub fn looks_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Read { table, count, .. }, Self::Read { table: other_table, count: other_count, .. }) => {
                table == other_table && count == other_count
            }
            (Self::Echo(data), Self::Echo(other)) => data == other,
            (Self::Identify { code, .. }, Self::Identify { code: other, .. }) => code == other,
            (Self::Read { .. } | Self::Echo(_) | Self::Identify { .. }, _) => false,
        }
    }
}

/// The objects of an answer, which must fill it exactly.
fn objects(body: &[u8]) -> Option<Vec<(u8, String)>> {
    let [_, _, _, _, _, count, rest @ ..] = body else { return None };
    let mut rest = rest;
    let mut objects = Vec::new();
    for _ in 0..*count {
        let [id, length, tail @ ..] = rest else { return None };
        let (text, tail) = tail.split_at_checked(usize::from(*length))?;
        if objects.len() < MAX_OBJECTS {
            objects.push((*id, text_of(text)));
        }
        rest = tail;
    }
    rest.is_empty().then_some(objects)
}

/// Bytes as text for labels: up to the first zero, without what is no ASCII and without space around it.
#[must_use]
pub fn text_of(bytes: &[u8]) -> String {
    let text: String = bytes
        .iter()
        .take_while(|byte| **byte != 0)
        .map(|byte| char::from(*byte))
        .filter(|c| c.is_ascii_graphic() || *c == ' ')
        .collect();
    text.trim().to_owned()
}

/// How long the answer that begins `pdu` is, without what wraps it; none if its function is none we ask for, or the bytes
/// that say so are not there yet.
#[must_use]
pub fn length(pdu: &[u8]) -> Option<usize> {
    let &function = pdu.first()?;
    match function {
        3 | 4 => pdu.get(1).map(|bytes| 2 + usize::from(*bytes)),
        DIAGNOSTICS => Some(5),
        ENCAPSULATED => {
            let count = *pdu.get(6)?;
            let mut at: usize = 7;
            for _ in 0..count {
                at = at.saturating_add(2).saturating_add(usize::from(*pdu.get(at + 1)?));
            }
            Some(at)
        }
        _ if function & EXCEPTION != 0
            && matches!(function & !EXCEPTION, 3 | 4 | DIAGNOSTICS | ENCAPSULATED) =>
        {
            Some(2)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const READ: Request = Request::Read { table: Table::Input, start: 0x34, count: 2 };

    #[test]
    fn questions_are_as_the_standard_writes_them() {
        assert_eq!(READ.encode(), [4, 0, 0x34, 0, 2]);
        assert_eq!(Request::Echo(0xBEEF).encode(), [8, 0, 0, 0xBE, 0xEF]);
        assert_eq!(Request::Identify { code: 1, object: 0 }.encode(), [0x2B, 0x0E, 1, 0]);
    }

    #[test]
    fn only_a_whole_answer_of_the_right_size_fits() {
        let good = [4, 4, 0x44, 0x81, 0xA8, 0];
        assert_eq!(READ.answer(&good), Some(Answer::Registers(vec![0x4481, 0xA800])));
        for end in 0..good.len() {
            assert_eq!(READ.answer(&good[..end]), None, "{end}");
        }
        // Another function, another count, a count that lies, more than was asked for.
        for bad in
            [&[3, 4, 0, 0, 0, 0][..], &[4, 2, 0, 0], &[4, 2, 0, 0, 0, 0], &[4, 6, 0, 0, 0, 0, 0, 0], &[]]
        {
            assert_eq!(READ.answer(bad), None, "{bad:?}");
        }
        assert_eq!(READ.answer(&[0x84, 2]), Some(Answer::Exception(Exception::ILLEGAL_ADDRESS)));
        assert_eq!(READ.answer(&[0x83, 2]), None);
        assert_eq!(READ.answer(&[0x84, 2, 0]), None);
        assert_eq!(Request::Echo(7).answer(&[8, 0, 0, 0, 7]), Some(Answer::Echoed));
        assert_eq!(Request::Echo(7).answer(&[8, 0, 0, 0, 8]), None);
    }

    #[test]
    fn objects_that_do_not_fill_their_answer_are_none() {
        let request = Request::Identify { code: 1, object: 0 };
        let good = [0x2B, 0x0E, 1, 1, 0, 0, 2, 0, 4, b'A', b'c', b'm', b'e', 1, 2, b'M', 0];
        let objects = vec![(0, "Acme".to_owned()), (1, "M".to_owned())];
        assert_eq!(request.answer(&good), Some(Answer::Objects(objects)));
        assert_eq!(length(&good), Some(good.len()));
        for end in 0..good.len() {
            assert_eq!(request.answer(&good[..end]), None, "{end}");
        }
        assert_eq!(request.answer(&[&good[..], &[0]].concat()), None);
    }

    #[test]
    fn answers_that_could_be_mixed_up_look_alike() {
        let other = |start, count| Request::Read { table: Table::Input, start, count };
        assert!(READ.looks_like(&other(0x48, 2)));
        assert!(!READ.looks_like(&other(0x34, 4)));
        assert!(!READ.looks_like(&Request::Read { table: Table::Holding, start: 0x34, count: 2 }));
        assert!(!READ.looks_like(&Request::Echo(2)) && !Request::Echo(2).looks_like(&Request::Echo(3)));
    }

    #[test]
    fn text_ends_at_zero_and_holds_nothing_odd() {
        assert_eq!(text_of(b"  UMG\x01 604\0\0xx"), "UMG 604");
        assert_eq!(text_of(b"\xFF\xFF"), "");
    }
}
