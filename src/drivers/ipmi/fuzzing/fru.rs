//! The FRU and Get Device ID: an inventory of any content, read from a BMC that answers truly, wrongly or not at all.
//! What comes of it is short text that can be shown.

use std::time::Duration;

use super::{Scripted, chunk, is_tame};
use crate::drivers::ipmi::commands::fru::{Header, Maker};
use crate::drivers::ipmi::identity::Who;
use crate::drivers::ipmi::wire::bytes::Bytes;
use crate::drivers::ipmi::wire::message::Request;

/// Two areas of 512 bytes, byte by byte, and what leads to them.
const MOST_ASKED: usize = 1_100;

/// Runs one script. What is left of it after the peer's part is the inventory.
pub fn fru(input: &[u8]) {
    let _ = Header::parse(input);
    let maker = Maker::product(input).or(Maker::board(input));
    assert!([&maker.vendor, &maker.model, &maker.serial].iter().all(|text| is_tame(text, 64)), "{maker:?}");

    let mut script = Bytes(input);
    let lies = chunk(&mut script);
    let area = script.rest().to_vec();
    let mut bmc =
        Scripted { script: Bytes(lies), honest: move |request: &Request| honest(&area, request), asked: 0 };
    // Never waits: the time is there because it is asked for.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let found = runtime.block_on(Who::default().identity(&mut bmc, Duration::from_secs(3600)));
    assert!(bmc.asked <= MOST_ASKED, "{} requests", bmc.asked);
    if let Ok(identity) = found {
        for text in [&identity.vendor, &identity.model, &identity.serial, &identity.firmware] {
            assert!(is_tame(text, 64), "{text:?}");
        }
    }
}

fn honest(area: &[u8], request: &Request) -> (u8, Vec<u8>) {
    match (request.command, request.data.as_slice()) {
        (0x01, _) => (0, vec![0x20, 0x81, 2, 0x17, 2, 0x9f, 0xa2, 2, 0, 0xf3, 0xff]),
        (0x10, _) => (0, vec![0, 8, 0]),
        (0x11, [_, low, high, count]) => {
            let offset = usize::from(u16::from_le_bytes([*low, *high]));
            let part: Vec<u8> = area.iter().skip(offset).take((*count).into()).copied().collect();
            (0, [&[u8::try_from(part.len()).unwrap_or(u8::MAX)], part.as_slice()].concat())
        }
        _ => (0xc1, Vec::new()),
    }
}
