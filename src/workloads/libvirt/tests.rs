//! Table tests of the wire: bytes written by hand from the protocol's definition, and bytes without sense.

use proptest::prelude::*;

use super::node;
use super::protocol::{self, Domain, Kind, Procedure, Uuid};
use super::stats::{self, Memory, Record, Told};
use super::xdr::{Writer, XdrError};
use crate::workloads::{CpuNanos, DiskIo, Space, State, Traffic};

fn hex(text: &str) -> Vec<u8> {
    hex::decode(text.replace([' ', '\n'], "")).unwrap()
}

fn domain() -> Domain {
    Domain { name: "web-1".into(), uuid: Uuid([0x11; 16]), id: 7 }
}

/// `web-1`, its UUID and id 7 on the wire.
const DOMAIN: &str = "00000005 7765622d31000000 11111111111111111111111111111111 00000007";

#[test]
fn a_call_is_header_and_arguments() {
    // Length 28 + 16, program, version, procedure 1, call, serial 3, ok; a name, `a:b`, read-only.
    assert_eq!(
        protocol::call(Procedure::Open, 3, &protocol::open_args("a:b")),
        hex("0000002c 20008086 00000001 00000001 00000000 00000003 00000000
             00000001 00000003 613a6200 00000001"),
    );
    assert_eq!(
        protocol::stats_args(&[domain()], stats::STATE_AND_CPU, stats::NOWAIT),
        hex(&format!("00000001 {DOMAIN} 00000003 20000000")),
    );
    assert_eq!(protocol::xml_args(&domain()), hex(&format!("{DOMAIN} 00000000")));
    assert_eq!(protocol::cpu_args(), hex("ffffffff 00000004 00000000"));
    assert_eq!(protocol::pong(), hex("0000001c 6b656570 00000001 00000002 00000002 00000000 00000000"));
}

#[test]
fn a_frame_says_how_long_it_is_within_limits() {
    for (word, expected) in [
        ("0000001c", Ok(24)),
        ("02000004", Ok(32 * 1024 * 1024)),
        ("0000001b", Err(XdrError::Truncated)),
        ("00000000", Err(XdrError::Truncated)),
        ("02000005", Err(XdrError::TooLong { length: 0x0200_0005, limit: protocol::FRAME_MAX })),
        ("ffffffff", Err(XdrError::TooLong { length: u32::MAX, limit: protocol::FRAME_MAX })),
    ] {
        assert_eq!(protocol::body_length(hex(word).try_into().unwrap()), expected, "{word}");
    }
}

#[test]
fn a_header_tells_replies_from_messages() {
    let frame = hex("20008086 00000001 00000158 00000001 00000009 00000000 abcd");
    let (header, body) = protocol::split(&frame).unwrap();
    assert_eq!((header.kind, header.serial, header.ok, header.procedure), (Kind::Reply, 9, true, 344));
    assert_eq!(body, [0xab, 0xcd]);
    let frame = hex("6b656570 00000001 00000001 00000002 00000000 00000000");
    assert!(protocol::split(&frame).unwrap().0.is_ping());
    let frame = hex("20008086 00000001 00000158 00000003 00000009 00000000");
    assert_eq!(protocol::split(&frame).unwrap().0.kind, Kind::Foreign);
    assert_eq!(protocol::split(&frame[..23]), Err(XdrError::Truncated));
}

#[test]
fn every_type_of_parameter_is_read_or_skipped() {
    let body = hex(&format!(
        "00000001 {DOMAIN} 00000009
         0000000b 73746174652e737461746500 00000001 00000001
         00000001 61000000 00000002 00000001
         00000001 61000000 00000003 ffffffffffffffff
         00000008 6370752e74696d65 00000004 0000000122334455
         00000001 61000000 00000005 3ff0000000000000
         00000001 61000000 00000006 00000001
         00000001 61000000 00000007 00000002 68690000
         00000008 6370752e74696d65 00000003 0000000000000009
         00000000 00000001 00000000"
    ));
    // The `cpu.time` of another type than the protocol's is not taken for it.
    let told = Told { cpu: Some(CpuNanos(0x1_2233_4455)), ..Told::default() };
    let record = Record { domain: domain(), state: Some(State::Running), told };
    assert_eq!(stats::records(&body), Ok(vec![record]));
}

/// The statistics of one domain that is shut off, with these parameters.
fn told(parameters: &[(&str, u64)]) -> Told {
    told_of(-1, parameters)
}

fn told_of(run: i32, parameters: &[(&str, u64)]) -> Told {
    let mut body = Writer::default().u32(1).string("").opaque(&[0; 16]).i32(run);
    body = body.u32(u32::try_from(parameters.len()).unwrap());
    for (name, value) in parameters {
        body = match *name {
            "net.count" | "block.count" => body.string(name).u32(2).u32(u32::try_from(*value).unwrap()),
            _ => body.string(name).u32(4).opaque(&value.to_be_bytes()),
        };
    }
    stats::records(&body.done()).unwrap()[0].told
}

#[test]
fn links_and_disks_are_added_up_and_memory_is_taken_as_told() {
    let of_all = told(&[
        ("balloon.current", 16384),
        ("balloon.rss", 34600),
        ("balloon.available", 158_076),
        ("balloon.usable", 124_312),
        ("balloon.unused", 119_972),
        ("balloon.last-update", 1_795_301_734),
        ("perf.cpu_cycles", 77),
        ("net.count", 2),
        ("net.0.rx.bytes", 1076),
        ("net.0.rx.pkts", 14),
        ("net.0.rx.errs", 9),
        ("net.0.tx.bytes", 55970),
        ("net.0.tx.pkts", 1321),
        ("net.11.rx.bytes", 1000),
        ("net.11.tx.pkts", 79),
        ("block.count", 2),
        ("block.0.rd.reqs", 7796),
        ("block.0.rd.bytes", 1000),
        ("block.0.wr.reqs", 866),
        ("block.0.wr.bytes", 500),
        ("block.0.fl.reqs", 3),
        ("block.0.allocation", 262_144),
        ("block.0.capacity", 67_108_864),
        ("block.0.physical", 266_240),
        ("block.1.rd.bytes", 24),
        ("block.1.capacity", 8),
        ("block.1.physical", 4096),
    ]);
    let wanted = Told {
        cpu: None,
        cycles: Some(77),
        memory: Memory {
            resident: Some(34600),
            available: Some(158_076),
            usable: Some(124_312),
            unused: Some(119_972),
            last_update: Some(1_795_301_734),
        },
        network: Some(Traffic {
            received_bytes: 2076,
            sent_bytes: 55970,
            received_packets: 14,
            sent_packets: 1400,
        }),
        disk: Some(Space { capacity: 67_108_872, taken: 262_144 }),
        io: Some(DiskIo { read_bytes: 1024, written_bytes: 500, reads: 7796, writes: 866 }),
    };
    assert_eq!(of_all, wanted);
}

#[test]
fn what_is_not_told_is_unknown_and_what_is_not_there_is_zero() {
    // A guest that is shut off has sizes of its disks, and nothing that they did.
    let off = told(&[("block.count", 1), ("block.0.capacity", 64), ("block.0.physical", 32)]);
    assert_eq!((off.disk, off.io, off.network), (Some(Space { capacity: 64, taken: 32 }), None, None));
    // A passed-through link tells its name only.
    assert_eq!(told(&[("net.count", 1)]).network, None);
    let none = told(&[("net.count", 0), ("block.count", 0)]);
    assert_eq!((none.network, none.io), (Some(Traffic::default()), Some(DiskIo::default())));
    assert_eq!(none.disk, Some(Space::default()));
    // Recorded of one guest: while it ran it had written up to 256 KiB, in 260 KiB of a file of 64 MiB.
    let sizes = |allocation, physical| {
        [("block.0.capacity", 67_108_864), ("block.0.allocation", allocation), ("block.0.physical", physical)]
    };
    assert_eq!(told_of(104, &sizes(262_144, 266_240)).disk.unwrap().taken, 266_240);
    assert_eq!(told(&sizes(262_144, 67_108_864)).disk.unwrap().taken, 262_144);
    let most = told(&[("net.0.rx.bytes", u64::MAX), ("net.1.rx.bytes", 5)]);
    assert_eq!(most.network.unwrap().received_bytes, u64::MAX);
    for odd in ["net", "net.", "net..", "net.0", "block.0.rd", "balloon.", "", ".", "net.0.rx.bytes.x"] {
        assert_eq!(told(&[(odd, 7)]), Told::default(), "{odd}");
    }
}

#[test]
fn every_state_has_its_number_and_others_are_unknown() {
    for (number, state) in [
        (0, Some(State::NoState)),
        (1, Some(State::Running)),
        (2, Some(State::Blocked)),
        (3, Some(State::Paused)),
        (4, Some(State::ShuttingDown)),
        (5, Some(State::ShutOff)),
        (6, Some(State::Crashed)),
        (7, Some(State::Suspended)),
        (8, None),
        (-1, None),
    ] {
        let body = Writer::default().u32(1).string("").opaque(&[0; 16]).i32(-1);
        let body = body.u32(1).string("state.state").u32(1).i32(number).done();
        assert_eq!(stats::records(&body).unwrap()[0].state, state, "{number}");
    }
}

#[test]
fn a_lying_length_is_refused() {
    for (body, expected) in [
        ("", XdrError::Truncated),
        ("00004001", XdrError::TooLong { length: 16_385, limit: 16_384 }),
        ("00004000", XdrError::Truncated),
        (
            "00000001 ffffffff 0000000000000000000000000000000000000000000000000000",
            XdrError::TooLong { length: u32::MAX, limit: protocol::STRING_MAX },
        ),
        ("00000000 00", XdrError::Trailing(1)),
    ] {
        assert_eq!(stats::records(&hex(body)), Err(expected), "{body}");
    }
    let parameter =
        |kind: &str| hex(&format!("00000001 {DOMAIN} 00000001 00000001 61000000 {kind} 00000000"));
    assert_eq!(stats::records(&parameter("00000008")), Err(XdrError::Discriminant(8)));
    assert_eq!(stats::records(&parameter("00000004")), Err(XdrError::Truncated));
}

#[test]
fn an_error_gives_number_and_words() {
    let body = Writer::default().i32(42).i32(10).u32(1).string("no domain").i32(2).u32(0).done();
    let error = protocol::error(&body).unwrap();
    assert_eq!((error.code, error.message.as_str()), (42, "no domain"));
    let error = protocol::error(&Writer::default().i32(1).i32(0).u32(0).i32(2).done()).unwrap();
    assert_eq!(error.message, "");
}

#[test]
fn small_replies_are_read_whole_or_not_at_all() {
    assert_eq!(protocol::auth_list(&hex("00000002 00000000 00000002")), Ok(vec![0, 2]));
    assert_eq!(protocol::auth_list(&hex("00000015")), Err(XdrError::TooLong { length: 21, limit: 20 }));
    assert_eq!(protocol::double_word(&hex("0000000000000001 00")), Err(XdrError::Trailing(1)));
    assert_eq!(protocol::double_word(&hex("0000000000895440")), Ok(9_000_000));
    assert_eq!(protocol::text(&hex("00000003 3c612f00")), Ok("<a/".into()));
    assert_eq!(protocol::event(&hex(&format!("00000003 {DOMAIN} 00000002 00000000"))), Ok(Uuid([0x11; 16])));
}

#[test]
fn a_uuid_is_written_as_people_write_it() {
    let bytes: [u8; 16] = std::array::from_fn(|i| u8::try_from(i).unwrap() * 17);
    assert_eq!(Uuid(bytes).to_string(), "00112233-4455-6677-8899-aabbccddeeff");
}

fn read_everything(bytes: &[u8]) {
    let _ = protocol::split(bytes);
    let _ = protocol::error(bytes);
    let _ = protocol::auth_list(bytes);
    let _ = protocol::double_word(bytes);
    let _ = protocol::text(bytes);
    let _ = (node::node_info(bytes), node::node_busy(bytes), node::pools(bytes), node::pool_info(bytes));
    let _ = protocol::event(bytes);
    let _ = stats::records(bytes);
    let _ = super::xml::Described::read(&domain(), &String::from_utf8_lossy(bytes));
}

proptest! {
    #[test]
    fn no_bytes_make_a_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        read_everything(&bytes);
    }

    #[test]
    fn no_damage_to_a_good_reply_makes_a_reader_panic(
        cut in 0_usize..400, at in 0_usize..400, byte in any::<u8>(), count in 1_usize..6,
    ) {
        let mut body = Writer::default().u32(u32::try_from(count).unwrap());
        for n in 0..count {
            body = body.string("vm").opaque(&[u8::try_from(n).unwrap(); 16]).i32(1).u32(2);
            body = body.string("state.state").u32(1).i32(1).string("cpu.time").u32(4).opaque(&[1; 8]);
        }
        let mut body = body.done();
        prop_assert_eq!(stats::records(&body).unwrap().len(), count);
        if let Some(b) = body.get_mut(at) {
            *b = byte;
        }
        body.truncate(cut);
        read_everything(&body);
    }
}
