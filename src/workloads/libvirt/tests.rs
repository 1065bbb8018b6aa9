//! Table tests of the wire: bytes written by hand from the protocol's definition, and bytes without sense.

use proptest::prelude::*;

use super::protocol::{self, Domain, Kind, Procedure, Uuid};
use super::stats::{self, Record};
use super::xdr::{Writer, XdrError};
use crate::workloads::{CpuNanos, State};

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
    let record = Record { domain: domain(), state: Some(State::Running), cpu: Some(CpuNanos(0x1_2233_4455)) };
    assert_eq!(stats::records(&body), Ok(vec![record]));
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
fn the_node_is_read() {
    // Model: 32 words. Memory 0x9d68d4 KiB, 2 CPUs, 2596 MHz, 1 NUMA node, 1 socket, 2 cores, 1 thread.
    let body = hex(&format!(
        "{} 00000000009d68d4 00000002 00000a24 00000001 00000001 00000002 00000001",
        "00000078".repeat(32)
    ));
    let info = protocol::node_info(&body).unwrap();
    assert_eq!((info.memory_kib, info.cpus, info.mhz), (0x9d_68d4, 2, 2596));
    // kernel 3 s, user 5 s, idle 7 s: 8 s busy.
    let stat = |name: &str, seconds: u64| {
        Writer::default().string(name).opaque(&(seconds * 1_000_000_000).to_be_bytes()).done()
    };
    let all = [stat("kernel", 3), stat("user", 5), stat("idle", 7)].concat();
    let body = Writer::default().u32(3).opaque(&all).i32(0).done();
    assert_eq!(protocol::node_busy(&body), Ok(Some(8_000_000_000)));
    let body = Writer::default().u32(1).opaque(&stat("user", 5)).i32(0).done();
    assert_eq!(protocol::node_busy(&body), Ok(None), "half of it is not the whole");
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
    assert_eq!(protocol::xml(&hex("00000003 3c612f00")), Ok("<a/".into()));
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
    let _ = protocol::xml(bytes);
    let _ = protocol::node_info(bytes);
    let _ = protocol::node_busy(bytes);
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
