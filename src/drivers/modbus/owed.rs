//! What a line still owes us: questions that were given up but may yet be answered. Pure: moments come in from outside.
//!
//! On a serial line an answer does not say what it answers: unit, function and length are all there is. So a question is put only
//! while nothing is owed whose answer would look the same, and since a unit answers in the order it was asked, an answer that can be
//! told from all others proves that nothing asked before it will come any more.

use std::time::Duration;

use super::wire::Frame;
use super::wire::pdu::{Answer, Request};
use crate::model::Moment;

/// More questions than this are not remembered; the oldest goes.
const MAX_OWED: usize = 64;
/// What was not answered for so long never will be.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(60);

/// A question that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Question {
    /// Who was asked.
    pub unit: u8,
    /// What.
    pub request: Request,
    /// The number that comes back with the answer; none on a serial line.
    pub transaction: Option<u16>,
    /// When.
    pub sent: Moment,
}

/// Questions without an answer, oldest first.
#[derive(Debug, Default)]
pub struct Owed(Vec<Question>);

impl Owed {
    /// A question goes out. Before it does: a poll may be cut off at any point.
    pub fn add(&mut self, question: Question) {
        if self.0.len() >= MAX_OWED {
            self.0.remove(0);
        }
        self.0.push(question);
    }

    /// Whether all was answered.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Lets go of what is too old to be answered.
    pub fn forget(&mut self, now: Moment) {
        self.0.retain(|question| now.since(question.sent) < FORGOTTEN_AFTER);
    }

    /// Which question `frame` answers, and what it says. Nothing that this unit was asked before will be answered any more.
    pub fn settle(&mut self, frame: &Frame) -> Option<(Question, Answer)> {
        let place = self.0.iter().position(|question| {
            question.unit == frame.unit
                && question.transaction == frame.transaction
                && question.request.answer(&frame.pdu).is_some()
        })?;
        let question = self.0.remove(place);
        let answer = question.request.answer(&frame.pdu)?;
        if frame.transaction.is_none() {
            // An exception fits every question of its function; those before the first of them it ends all the same.
            let mut index = 0;
            self.0.retain(|other| {
                index += 1;
                other.unit != question.unit || index > place
            });
        }
        Some((question, answer))
    }

    /// Whether an answer to something else that `unit` owes could be taken for one to `request`.
    #[must_use]
    pub fn could_be_confused(&self, unit: u8, request: &Request) -> bool {
        self.0.iter().any(|question| {
            question.unit == unit && question.transaction.is_none() && question.request.looks_like(request)
        })
    }

    /// The request that cannot be taken for any that is owed, out of `candidates`.
    pub fn distinct(&self, unit: u8, mut candidates: impl Iterator<Item = Request>) -> Option<Request> {
        candidates.find(|request| !self.could_be_confused(unit, request))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drivers::modbus::wire::exception::Exception;
    use crate::drivers::modbus::wire::pdu::Table;

    fn read(start: u16, count: u16) -> Request {
        Request::Read { table: Table::Input, start, count }
    }

    fn owed(requests: &[Request]) -> Owed {
        let mut owed = Owed::default();
        for request in requests {
            owed.add(Question { unit: 1, request: *request, transaction: None, sent: Moment::ZERO });
        }
        owed
    }

    fn answer(unit: u8, pdu: &[u8]) -> Frame {
        Frame { transaction: None, unit, pdu: pdu.to_vec() }
    }

    #[test]
    fn an_answer_ends_all_that_was_asked_before_it() {
        let mut owed = owed(&[read(0, 2), Request::Echo(7)]);
        assert!(owed.could_be_confused(1, &read(72, 2)));
        let (question, answered) = owed.settle(&answer(1, &[8, 0, 0, 0, 7])).unwrap();
        assert_eq!((question.request, answered), (Request::Echo(7), Answer::Echoed));
        assert!(!owed.could_be_confused(1, &read(72, 2)));
    }

    #[test]
    fn an_exception_ends_the_oldest_of_its_function_only() {
        let mut owed = owed(&[read(0, 2), read(0, 4)]);
        let (question, answered) = owed.settle(&answer(1, &[0x84, 2])).unwrap();
        assert_eq!((question.request, answered), (read(0, 2), Answer::Exception(Exception::ILLEGAL_ADDRESS)));
        assert!(owed.could_be_confused(1, &read(9, 4)));
    }

    #[test]
    fn another_units_answer_is_nobodys() {
        let mut owed = owed(&[read(0, 1)]);
        assert_eq!(owed.settle(&answer(2, &[4, 2, 0, 0])), None);
        assert!(!owed.could_be_confused(2, &read(0, 1)));
    }

    #[test]
    fn with_numbers_every_answer_finds_its_question() {
        let mut owed = Owed::default();
        for transaction in [1, 2] {
            let (request, transaction) = (read(0, 1), Some(transaction));
            owed.add(Question { unit: 1, request, transaction, sent: Moment::ZERO });
        }
        let late = Frame { transaction: Some(1), unit: 1, pdu: vec![4, 2, 0, 0] };
        assert_eq!(owed.settle(&late).unwrap().0.transaction, Some(1));
        assert_eq!(owed.settle(&late), None, "twice is once too often");
        assert!(!owed.could_be_confused(1, &read(0, 1)));
    }

    #[test]
    fn what_is_never_answered_is_forgotten_and_takes_no_room() {
        let mut owed = owed(&[read(0, 1); 100]);
        assert_eq!(owed.0.len(), MAX_OWED);
        owed.forget(Moment::ZERO + FORGOTTEN_AFTER);
        assert!(owed.0.is_empty());
    }
}
