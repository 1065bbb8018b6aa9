//! What a poll makes of a BMC's answers, over time, without a network.

use std::collections::BTreeMap;
use std::time::Duration;

use super::*;
use crate::drivers::ipmi::session::{Fault, Step};
use crate::drivers::ipmi::wire::message::{Reply, Request};
use crate::drivers::ipmi::{KeepSession, Lookup, Privilege, Quirk, Suite};
use crate::model::{BoxFuture, ManualClock};

/// DCMI: `current` W with statistics 200 to 300, average 240, over 90 s.
fn dcmi(current: u16, state: u8) -> String {
    let [low, high] = current.to_le_bytes();
    format!("00dc{low:02x}{high:02x}c8002c01f00000000060905f0100{state:02x}")
}

const READ_DCMI: &str = "2c02 dc010000";
const PERIODS: &str = "2c01 dc05";
const DELL: &str = "00200102170200a202000001";
const SUPERMICRO: &str = "002001021702007c2a000001";

/// Answers by request; what it does not know it answers with C1h, and `None` is silence, after which nothing comes.
struct Bmc {
    answers: BTreeMap<String, Option<String>>,
    asked: Vec<String>,
    dead: bool,
}

impl Bmc {
    fn answer(&mut self, request: &Request) -> Result<Reply, Fault> {
        let via =
            request.via.map_or_else(String::new, |via| format!("{:x}@{:02x} ", via.channel, via.address));
        let name =
            format!("{via}{:02x}{:02x} {}", request.net_fn, request.command, hex::encode(&request.data));
        let name = name.trim_end().to_owned();
        let answer = self.answers.get(&name).cloned();
        self.asked.push(name);
        self.dead |= answer == Some(None);
        if self.dead {
            return Err(Fault::Silence(Step::Command));
        }
        let bytes = hex::decode(answer.flatten().unwrap_or_else(|| "c1".to_owned())).unwrap();
        let (code, data) = bytes.split_first().unwrap();
        let data = data.to_vec();
        Ok(Reply { net_fn: request.net_fn | 1, seq: 0, command: request.command, code: *code, data })
    }
}

impl Ask for Bmc {
    fn ask(&mut self, request: Request) -> BoxFuture<'_, Result<Reply, Fault>> {
        let answer = self.answer(&request);
        Box::pin(std::future::ready(answer))
    }
}

/// A BMC with its reader.
struct Rig {
    bmc: Bmc,
    reader: Reader,
    settings: Settings,
    clock: ManualClock,
}

impl Rig {
    fn new(readings: Readings) -> Self {
        let settings = Settings {
            address: "10.0.0.1:623".into(),
            user: "monitor".into(),
            password: "secret".to_owned().into(),
            bmc_key: None,
            lookup: Lookup::Name,
            legacy: Vec::new(),
            privilege: Privilege::User,
            suites: vec![Suite::Sha256],
            readings,
            quirks: Vec::new(),
            request_timeout: Duration::from_secs(1),
            retries: 2,
            learning: Duration::from_secs(5),
            keep_session: KeepSession::ByPolls,
        };
        let bmc = Bmc { answers: BTreeMap::new(), asked: Vec::new(), dead: false };
        let clock = ManualClock::at(Moment::ZERO + Duration::from_secs(1));
        // The chassis is on.
        Self { bmc, reader: Reader::default(), settings, clock }.says("0001", "00010000")
    }

    fn says(mut self, request: &str, answer: impl Into<String>) -> Self {
        self.bmc.answers.insert(request.to_owned(), Some(answer.into()));
        self
    }

    fn set(&mut self, request: &str, answer: impl Into<String>) {
        self.bmc.answers.insert(request.to_owned(), Some(answer.into()));
    }

    async fn poll(&mut self) -> Result<Batch, Trouble> {
        self.bmc.asked.clear();
        self.bmc.dead = false;
        let poll = Poll {
            settings: &self.settings,
            clock: &self.clock,
            begun: self.clock.now(),
            protection: "cipher suite 17",
        };
        self.reader.read(&mut self.bmc, poll).await
    }

    /// Every `channel quantity value`.
    async fn lines(&mut self) -> Vec<String> {
        let line =
            |r: &Reading| format!("{} {} {}", r.channel, r.measure.quantity().name(), r.measure.value());
        match self.poll().await {
            Ok(batch) => batch.readings.iter().map(line).collect(),
            Err(_) => Vec::new(),
        }
    }

    fn was_asked(&self, request: &str) -> bool {
        self.bmc.asked.iter().any(|asked| asked == request)
    }
}

/// The windows' names, averages and lengths in seconds.
fn windows(batch: &Batch) -> Vec<(&str, f64, u64)> {
    batch.windows.iter().map(|w| (w.name, w.average.unwrap().get(), w.length.as_secs())).collect()
}

#[tokio::test]
async fn the_reporting_window_comes_with_the_total_and_costs_no_request() {
    let mut rig = Rig::new(Readings::Dcmi).says(READ_DCMI, dcmi(245, 0x40)).says(PERIODS, "00dc0105020145");
    rig.poll().await.unwrap();
    let batch = rig.poll().await.unwrap();
    assert_eq!(windows(&batch), [("reporting", 240.0, 90)]);
    assert_eq!(rig.bmc.asked, [READ_DCMI], "one request a poll");
}

#[tokio::test]
async fn enhanced_windows_are_asked_for_once_a_minute_and_kept_in_between() {
    let mut rig = Rig::new(Readings::Auto)
        .says(READ_DCMI, dcmi(245, 0x40))
        .says(PERIODS, "00dc0105020245c7")
        .says("2c02 dc024500", dcmi(245, 0x40))
        .says("2c02 dc02c700", dcmi(245, 0x40));
    // Five minutes and seven days.
    let wanted = [("reporting", 240.0, 90), ("5m", 240.0, 300), ("7d", 240.0, 604_800)];
    let mut times = Vec::new();
    for second in 0..150 {
        assert_eq!(windows(&rig.poll().await.unwrap()), wanted);
        if rig.was_asked("2c02 dc024500") {
            times.push(second);
        }
        rig.clock.advance(Duration::from_secs(1));
    }
    assert_eq!(times, [0, 60, 120]);
    // When they stop coming they are gone, and what was said a minute ago is not said again.
    rig.set("2c02 dc024500", "c1");
    rig.set("2c02 dc02c700", dcmi(245, 0));
    rig.clock.advance(Duration::from_secs(60));
    assert_eq!(windows(&rig.poll().await.unwrap()), [wanted[0]]);
}

#[tokio::test]
async fn a_bmc_that_hangs_over_its_windows_or_maker_is_left_alone() {
    for hang in [PERIODS, "309c 0701", "0601", "2c10 dc01370001", "0a20"] {
        let mut rig = Rig::new(Readings::Auto).says(READ_DCMI, dcmi(245, 0x40)).says("0601", DELL);
        rig.bmc.answers.insert(hang.to_owned(), None);
        for _ in 0..5 {
            assert_eq!(rig.lines().await, ["input power 245"], "{hang}");
            rig.clock.advance(Duration::from_secs(1));
        }
        assert!(hang == "0a20" || !rig.was_asked(hang), "{hang}");
    }
}

#[tokio::test]
async fn without_dcmi_the_makers_command_is_the_total_before_any_sensor() {
    // 0x00e8 is 232 W at 1.1 A; 0x0001e240 is 123,456 Wh, that is 444,441,600 J.
    let mut rig = Rig::new(Readings::Auto)
        .says("0601", DELL)
        .says("30b3 0a00", "00e8000b00000000")
        .says("309c 0701", "000000006040e2010000000060000000601700000000600002");
    let batch = rig.poll().await.unwrap();
    assert_eq!(batch.identity.unwrap().profile, "dell (dcmi: invalid command), cipher suite 17");
    assert_eq!(rig.lines().await, ["input power 232", "input energy 444441600"]);
    // Once it has worked, nothing else stands in for it; a licence that ran out is a reason to say.
    rig.set("30b3 0a00", "6f");
    assert_eq!(rig.lines().await, ["input energy 444441600"]);
    // Where DCMI comes back, it is the total.
    rig.set(READ_DCMI, dcmi(245, 0x40));
    rig.clock.advance(Duration::from_secs(300));
    assert_eq!(rig.lines().await, ["input power 245", "input energy 444441600"]);
    assert!(!rig.was_asked("30b3 0a00"));
}

#[tokio::test]
async fn an_energy_counter_stands_beside_dcmi_and_other_makers_are_not_asked_for_it() {
    let energy = "000000006040e2010000000060000000601700000000600002";
    let mut rig = Rig::new(Readings::Auto).says(READ_DCMI, dcmi(245, 0x40)).says("309c 0701", energy);
    assert_eq!(rig.lines().await, ["input power 245"], "no maker, no counter");
    assert!(!rig.was_asked("309c 0701"));
    let mut rig = rig.says("0601", DELL);
    rig.reader = Reader::default();
    assert_eq!(rig.lines().await, ["input power 245", "input energy 444441600"]);
    // A counter at 0 on a machine that draws power is none, and is not asked for each second.
    let mut rig = rig.says("309c 0701", energy.replace("40e20100", "00000000"));
    rig.reader = Reader::default();
    assert_eq!(rig.lines().await, ["input power 245"]);
    rig.lines().await;
    assert!(!rig.was_asked("309c 0701"));
}

#[tokio::test]
async fn node_manager_gives_platform_processors_and_memory_through_the_bmc() {
    // 245 W, 120 W and 35 W; the domain stands in the last byte.
    let answer = |watts: u16, domain: u8| {
        format!("00570100{:02x}00c8002c01f0000000006058020000{:02x}", watts, 0x70 | domain)
    };
    let mut rig = Rig::new(Readings::Oem)
        .says("0601", "002001021702005701000001")
        .says("6@2c 2ec8 570100010000", answer(245, 0))
        .says("6@2c 2ec8 570100010100", answer(120, 1))
        .says("6@2c 2ec8 570100010200", answer(35, 2));
    assert_eq!(rig.lines().await, ["input power 245", "cpu power 120", "memory power 35"]);
    // Memory answers with the processors' domain: that is no reading.
    rig.set("6@2c 2ec8 570100010200", answer(120, 1));
    assert_eq!(rig.lines().await, ["input power 245", "cpu power 120"]);
    // On another maker's board it is not looked for, unless its repository says where it is.
    let mut rig = rig.says("0601", SUPERMICRO);
    rig.reader = Reader::default();
    assert!(rig.lines().await.is_empty());
    assert!(!rig.bmc.asked.iter().any(|asked| asked.contains('@')));
}

#[tokio::test]
async fn dcmi_of_another_controller_is_asked_through_the_bmc() {
    let mut rig = Rig::new(Readings::Dcmi)
        .says("2c01 dc03", "00dc0105022c61")
        .says("6@2c 2c02 dc010000", dcmi(245, 0x40));
    for _ in 0..3 {
        assert_eq!(rig.lines().await, ["input power 245"]);
    }
    assert_eq!(rig.bmc.asked, ["6@2c 2c02 dc010000"], "one request a poll");
}

#[tokio::test]
async fn supermicros_empty_answer_is_asked_again_and_others_is_not() {
    for (maker, asked_again) in [(SUPERMICRO, true), (DELL, false)] {
        let mut rig = Rig::new(Readings::Auto).says("0601", maker).says(READ_DCMI, "00");
        for _ in 0..2 {
            assert!(rig.lines().await.is_empty());
            rig.clock.advance(Duration::from_secs(3));
        }
        rig.set(READ_DCMI, dcmi(245, 0x40));
        assert_eq!(rig.lines().await.len(), usize::from(asked_again), "{maker}");
        // Three times in a row: then it rests like any other.
        rig.reader = Reader::default();
        rig.set(READ_DCMI, "00dc");
        for _ in 0..3 {
            rig.lines().await;
        }
        rig.lines().await;
        assert!(!rig.was_asked(READ_DCMI), "{maker}");
    }
}

#[tokio::test]
async fn inactive_watts_count_only_where_the_operator_says_so() {
    let mut rig = Rig::new(Readings::Dcmi).says(READ_DCMI, dcmi(245, 0));
    assert!(rig.lines().await.is_empty());
    rig.settings.quirks = vec![Quirk::InactiveDcmi];
    assert_eq!(rig.lines().await, ["input power 245"]);
    assert!(rig.poll().await.unwrap().windows.is_empty(), "its statistics do not");
    rig.set(READ_DCMI, dcmi(0, 0));
    assert!(rig.lines().await.is_empty(), "0 W never does");
}

#[tokio::test]
async fn a_bmc_without_sensors_may_still_have_its_inlet() {
    let mut rig = Rig::new(Readings::Auto)
        .says(READ_DCMI, dcmi(245, 0x40))
        .says("0a20", "0051000000000000000000000000")
        .says("2c10 dc01400001", "00dc020218018502");
    let wanted = ["input power 245", "inlet/1 temperature 24", "inlet/2 temperature -5"];
    assert_eq!(rig.lines().await, wanted);
    assert_eq!(rig.lines().await, wanted);
    assert!(!rig.was_asked("2c10 dc01370001"), "the entity that answered is asked from then on");
}
