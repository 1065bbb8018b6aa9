//! Fuzz target of libvirt's protocol: frames, every reply's body, and domain XML. What is read is no more than what
//! arrived, and texts that become labels are short and on one line.

#![allow(clippy::panic, clippy::unwrap_used, reason = "that is how a run fails")]

use super::protocol::{self, Domain, Uuid};
use super::stats;
use super::xml::Described;

/// Runs one input: its first byte says what the rest is.
pub fn libvirt(input: &[u8]) {
    let Some((kind, body)) = input.split_first() else { return };
    if let Some((word, _)) = input.split_first_chunk::<4>() {
        let _ = protocol::body_length(*word);
    }
    match kind & 15 {
        0 => {
            if let Ok((header, rest)) = protocol::split(body) {
                assert!(rest.len() < body.len());
                let _ = (header.is_ping(), header.is_known_version());
            }
        }
        1..=3 => {
            if let Ok(records) = stats::records(body) {
                assert!(records.len() * Domain::MIN_BYTES <= body.len());
                records.iter().for_each(|record| domain(&record.domain));
            }
        }
        4 => drop(protocol::auth_list(body)),
        5 => drop(protocol::node_info(body)),
        6 => drop(protocol::node_busy(body)),
        7 => drop(protocol::error(body)),
        8 => drop(protocol::event(body)),
        9 => drop((protocol::double_word(body), protocol::xml(body))),
        _ => {
            let whose = Domain { name: "instance-1".into(), uuid: Uuid([0x11; 16]), id: 7 };
            if let Ok(described) = Described::read(&whose, &String::from_utf8_lossy(body)) {
                check(&described);
            }
        }
    }
}

/// A domain that the statistics name, before its description is known.
fn domain(domain: &Domain) {
    check(&Described::unknown(domain).unwrap());
}

fn check(described: &Described) {
    let info = &described.info;
    for text in [&info.name, &info.domain, &info.project_name, &info.user, &info.flavor] {
        assert!(text.chars().count() <= 200 && !text.chars().any(char::is_control), "{text:?}");
    }
}
