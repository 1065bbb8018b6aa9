//! Fuzz target of libvirt's protocol: frames, every reply's body, and domain XML. What is read is no more than what
//! arrived, and texts that become labels are short and on one line.

#![allow(clippy::panic, clippy::unwrap_used, reason = "that is how a run fails")]

use super::details::details;
use super::node;
use super::protocol::{self, Domain, Uuid};
use super::stats;
use super::xml::Described;
use super::xml::cputune::{Claim, allocate};

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
                for record in &records {
                    domain(&record.domain);
                    let described = Described::unknown(&record.domain).unwrap();
                    let known = details(&record.told, &described, 1.0);
                    assert_eq!(known.used_memory_bytes, None, "its XML does not say that it tells");
                }
            }
        }
        4 => drop(protocol::auth_list(body)),
        5 => drop(node::node_info(body)),
        6 => drop((node::node_busy(body), node::pool_info(body))),
        7 => drop(protocol::error(body)),
        8 => drop(protocol::event(body)),
        9 => drop((protocol::double_word(body), protocol::text(body))),
        10 => {
            if let Ok(pools) = node::pools(body) {
                assert!(pools.len() * 20 <= body.len());
            }
        }
        11 => {
            if let Ok(read) = node::processors(&String::from_utf8_lossy(body)) {
                [&read.architecture, &read.model].into_iter().for_each(|text| short(text));
            }
        }
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
    for text in [&info.name, &info.domain, &info.project_name, &info.user, &info.flavor, &info.architecture] {
        short(text);
    }
    assert!(info.tags.len() <= 64 && info.addresses.len() <= 16 && info.devices.len() <= 64);
    info.tags.iter().flat_map(|(key, value)| [key, value]).for_each(|text| short(text));
    let claim = described.cputune.claim(described.vcpus);
    assert!(claim.limit >= 0.0 && claim.limit <= described.vcpus.into() && claim.weight > 0.0, "{claim:?}");
    let others = [claim, Claim { limit: 4.0, weight: 100.0 }, claim];
    let given = allocate(4.0, &others);
    assert!(given.iter().sum::<f64>() <= 4.0 * (1.0 + 1e-9), "{given:?}");
    assert!(
        given.iter().zip(&others).all(|(given, claim)| *given >= 0.0 && *given <= claim.limit),
        "{given:?}"
    );
}

fn short(text: &str) {
    assert!(text.chars().count() <= 200 && !text.chars().any(char::is_control), "{text:?}");
}
