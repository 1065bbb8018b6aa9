//! What the bytes of one IPMI poll cost: request sealed, reply opened and read. Run: `cargo bench --bench ipmi`.
//!
//! The cryptography alone is measured beside it: what is above it is ours.

#![allow(missing_docs, clippy::unwrap_used)]

use divan::{Bencher, black_box};
use wattribute::drivers::ipmi::commands::dcmi;
use wattribute::drivers::ipmi::crypto::{Exchange, Keys, Suite};
use wattribute::drivers::ipmi::wire::message::{Integrity, Reply};
use wattribute::drivers::ipmi::wire::packet::{self, Datagram};

const SUITES: [Suite; 2] = [Suite::Sha1, Suite::Sha256];

fn main() {
    divan::main();
}

fn keys(suite: Suite) -> Keys {
    let exchange = Exchange {
        console: 0x0102_0304,
        managed: 0xA1A2_A3A4,
        console_random: [1; 16],
        managed_random: [2; 16],
        guid: [3; 16],
        role: 0x12,
        user: b"monitor".to_vec(),
    };
    exchange.keys(suite, b"secret")
}

/// A DCMI reply of 245 W, as a BMC seals it.
fn reply(keys: &Keys) -> Vec<u8> {
    let mut message = vec![0x81, 0xb4, 0xcb, 0x20, 0x04, 0x02, 0x00];
    message.extend([0xdc, 0xf5, 0, 0xc8, 0, 0x2c, 1, 0xf0, 0, 0, 0, 0, 0, 0x60, 0xea, 0, 0, 0x40, 0]);
    packet::seal(keys, 0x0102_0304, 1, &message, [4; 16])
}

#[divan::bench(args = SUITES)]
fn request(bencher: Bencher<'_, '_>, suite: Suite) {
    let keys = keys(suite);
    bencher.bench_local(|| {
        let message = dcmi::get_power_reading().encode(black_box(1));
        packet::seal(&keys, 0xA1A2_A3A4, 1, &message, [4; 16])
    });
}

#[divan::bench(args = SUITES)]
fn reading(bencher: Bencher<'_, '_>, suite: Suite) {
    let keys = keys(suite);
    let datagram = reply(&keys);
    bencher.bench_local(|| {
        let Some(Datagram::Sealed(sealed)) = Datagram::parse(black_box(&datagram)) else { return None };
        let reply = Reply::decode(&sealed.open(&keys)?, Integrity::Sealed)?;
        Some(dcmi::PowerReading::parse(&reply).unwrap().current)
    });
}

/// Two integrity codes and two times three blocks: what no implementation can leave out.
#[divan::bench(args = SUITES)]
fn cryptography_alone(bencher: Bencher<'_, '_>, suite: Suite) {
    let keys = keys(suite);
    let covered = [5; 60];
    let sealed = keys.encrypt(&[6; 26], [4; 16]);
    bencher.bench_local(|| {
        black_box(keys.code(black_box(&covered)));
        black_box(keys.code(black_box(&covered)));
        black_box(keys.encrypt(black_box(&[6; 10]), [4; 16]));
        keys.decrypt(black_box(&sealed))
    });
}
