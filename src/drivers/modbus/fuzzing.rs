//! Fuzz target of frames and answers: bytes that come off a line, in pieces, in both framings.
//!
//! The first byte says how the rest is cut into pieces and what was asked; the rest is what comes.

#![allow(clippy::panic, reason = "that is how a run fails")]

use super::owed::{Owed, Question};
pub use super::profile::fuzzing::modbus_profile;
use super::wire::pdu::{Answer, Request, Table};
use super::wire::{Frame, rtu, tcp};
use crate::model::Moment;

/// Runs one input.
pub fn modbus(input: &[u8]) {
    let Some((&how, bytes)) = input.split_first() else { return };
    let piece = usize::from(how & 0x1F) + 1;
    let count = u16::from(how >> 5) + 1;
    let mut inbox = rtu::Inbox::default();
    let mut frames = Vec::new();
    for part in bytes.chunks(piece) {
        inbox.push(part);
        while let Some(frame) = inbox.next_frame() {
            let wire = rtu::encode(frame.unit, &frame.pdu);
            assert!(wire.len() <= rtu::MAX_FRAME);
            assert!(bytes.windows(wire.len()).any(|window| window == wire), "a frame that did not come");
            frames.push(frame);
        }
    }
    let mut stream = Vec::new();
    for part in bytes.chunks(piece) {
        stream.extend(part);
        while let Ok(Some(frame)) = tcp::next_frame(&mut stream) {
            frames.push(frame);
        }
    }
    for frame in &frames {
        settle(frame, count);
    }
}

/// An answer settles one question at most, and has the size that was asked for.
fn settle(frame: &Frame, count: u16) {
    let requests = [
        Request::Read { table: Table::Input, start: 0, count },
        Request::Echo(0x0102),
        Request::Identify { code: 1, object: 0 },
        Request::Read { table: Table::Holding, start: 9, count },
    ];
    let mut owed = Owed::default();
    for request in requests {
        owed.add(Question { unit: frame.unit, request, transaction: frame.transaction, sent: Moment::ZERO });
    }
    match owed.settle(frame) {
        Some((_, Answer::Registers(words))) => assert_eq!(words.len(), usize::from(count)),
        Some((question, Answer::Echoed)) => assert_eq!(question.request, Request::Echo(0x0102)),
        Some((_, Answer::Objects(objects))) => assert!(objects.len() <= 128),
        Some((_, Answer::Exception(_))) => assert_eq!(frame.pdu.len(), 2),
        None => {}
    }
    assert!(
        owed.settle(frame).is_none()
            || matches!(frame.pdu.first(), Some(function) if function & 0x80 != 0 || *function == 0x2B)
    );
}
