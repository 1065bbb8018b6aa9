//! Fuzz targets of this driver: what one run feeds, and what must hold whatever it feeds. `fuzz/` calls them through
//! `crate::fuzzing`; the tests replay the seeds. Nothing of this is in the exporter.
//!
//! An input is a script: bytes that say step by step what the other side does. Each step takes at least one byte, so
//! that a run ends, and the peer can be an honest BMC up to the step in which it is not.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "that is how a run fails"
)]

use std::sync::atomic::{AtomicU8, Ordering};

use super::Random;
use super::link::Ask;
use super::session::{Fault, Step};
use super::wire::bytes::Bytes;
use super::wire::message::{Reply, Request};
use crate::model::BoxFuture;

mod bmc;
mod fru;
mod rakp;
mod rmcp;
mod sdr;
mod sensor;

pub use fru::fru;
pub use rakp::rakp;
pub use rmcp::rmcp;
pub use sdr::sdr;
pub use sensor::sensor;

/// Numbers that count up: the same in every run.
#[derive(Default)]
struct Counting(AtomicU8);

impl Random for Counting {
    fn fill(&self, bytes: &mut [u8]) -> bool {
        bytes.iter_mut().for_each(|byte| *byte = self.0.fetch_add(1, Ordering::Relaxed));
        true
    }
}

/// A length, and as many bytes as there are of it.
fn chunk<'a>(script: &mut Bytes<'a>) -> &'a [u8] {
    let wanted = usize::from(script.u8().unwrap_or(0));
    script.take(wanted.min(script.rest().len())).unwrap_or_default()
}

/// A number that may be missing.
fn number(script: &mut Bytes<'_>) -> usize {
    script.u8().map_or(0, usize::from)
}

/// One of `items`.
fn pick<'a, T>(items: &'a [T], script: &mut Bytes<'_>) -> Option<&'a T> {
    items.get(number(script).checked_rem(items.len())?)
}

/// A BMC that answers commands, each as the script says: truly up to 7Fh, in some wrong way above. At the end of the
/// script it is honest.
struct Scripted<'a, F> {
    script: Bytes<'a>,
    honest: F,
    asked: usize,
}

impl<F: FnMut(&Request) -> (u8, Vec<u8>)> Scripted<'_, F> {
    fn answer(&mut self, request: &Request) -> Option<(u8, Vec<u8>)> {
        self.asked += 1;
        let (mut code, mut data) = (self.honest)(request);
        let script = &mut self.script;
        match script.u8().unwrap_or(0) {
            0..=0x7f => {}
            lie => match lie & 7 {
                0 => code = script.u8().unwrap_or(0xff),
                1 => data = chunk(script).to_vec(),
                2 => data.truncate(number(script)),
                3 => data.extend(chunk(script)),
                4 | 5 => {
                    let (at, byte) = (number(script), script.u8().unwrap_or(0));
                    if let Some(at) = at.checked_rem(data.len()) {
                        data[at] = byte;
                    }
                }
                6 => data.clear(),
                _ => return None,
            },
        }
        Some((code, data))
    }
}

impl<F: FnMut(&Request) -> (u8, Vec<u8>) + Send> Ask for Scripted<'_, F> {
    fn ask(&mut self, request: Request) -> BoxFuture<'_, Result<Reply, Fault>> {
        let answer = self.answer(&request).ok_or(Fault::Silence(Step::Command));
        let reply = answer.map(|(code, data)| Reply {
            net_fn: request.net_fn | 1,
            seq: 0,
            command: request.command,
            code,
            data,
        });
        Box::pin(std::future::ready(reply))
    }
}

/// Text of a device as it may go on.
fn is_tame(text: &str, most: usize) -> bool {
    text.chars().count() <= most && !text.chars().any(char::is_control) && text.trim() == text
}
