//! A device over time, played from recordings that change between polls.

use super::*;
use crate::drivers::Profiles as AllProfiles;
use crate::drivers::snmp::oid::Oid;
use crate::drivers::snmp::recording::Recording;
use crate::drivers::snmp::session::{Following, Value};
use crate::model::{BoxFuture, ManualClock};

/// A maker's profile with two places for its total, one of its sum, and a standard that the device has too.
const MAKER: &str = "protocol: snmp\nname: maker\nabout: a PDU\nmatch: {sys_object_ids: [1.3.6.1.4.1.9999]}\nchannels:\n\
    - {channel: input, vars: {}, where: [{part: 0, is: [1]}], values: [{quantity: power, column: 1.3.6.1.4.1.9999.1}, \
       {quantity: energy, column: 1.3.6.1.4.1.9999.2, scale: 1}]}\n\
    - {channel: input, where: [{part: 0, is: [1]}], values: [{quantity: energy, column: 1.3.6.1.4.1.9999.3, scale: 1}]}\n\
    - {channel: 'outlet/{n}', vars: {n: {part: 0}}, values: [{quantity: power, column: 1.3.6.1.4.1.9999.4}]}\n";
const STANDARD: &str = "protocol: snmp\nname: standard\nabout: a standard\nmatch: {fallback: true, probes: [1.3.6.1.2.1.99]}\nchannels:\n\
    - {channel: 'sensor/{n}', vars: {n: {part: 0}}, values: [{quantity: power, column: 1.3.6.1.2.1.99.1}]}\n";

struct Rig {
    clock: Arc<ManualClock>,
    device: Device,
    /// Rows, and what stands there.
    rows: Vec<(String, i64)>,
    /// Hundredths of a second.
    up_time: i64,
}

impl Rig {
    fn new(rows: &[(&str, i64)]) -> Self {
        let mut profiles = AllProfiles::default();
        profiles.add("maker.yaml", MAKER).unwrap();
        profiles.add("standard.yaml", STANDARD).unwrap();
        let clock = Arc::new(ManualClock::at(Moment::ZERO + Duration::from_secs(1)));
        let device = Device::new(Arc::new(profiles.snmp), Arc::clone(&clock) as Arc<dyn Clock>, None);
        let mut rig = Self { clock, device, rows: Vec::new(), up_time: 3000 };
        rig.set(rows);
        rig
    }

    fn set(&mut self, rows: &[(&str, i64)]) {
        self.rows = rows.iter().map(|(row, n)| ((*row).to_owned(), *n)).collect();
    }

    fn recording(&self) -> Recording {
        let mut text =
            format!("1.3.6.1.2.1.1.2.0|6|1.3.6.1.4.1.9999\n1.3.6.1.2.1.1.3.0|67|{}\n", self.up_time);
        for (row, n) in &self.rows {
            text += &format!("1.3.6.1.{row}|2|{n}\n");
        }
        Recording::parse(&text)
    }

    async fn poll(&mut self) -> Vec<String> {
        shown(&self.device.poll(&self.recording()).await.unwrap())
    }

    fn pass(&mut self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
        self.up_time += i64::try_from(seconds * 100).unwrap();
    }

    /// The readings after a renewal, which takes several polls.
    async fn renewed(&mut self) -> Vec<String> {
        self.pass(601);
        for _ in 0..30 {
            self.poll().await;
        }
        self.poll().await
    }
}

fn shown(batch: &Batch) -> Vec<String> {
    let line = |r: &Reading| format!("{} {} {}", r.channel, r.measure.quantity().name(), r.measure.value());
    batch.readings.iter().map(line).collect()
}

#[tokio::test]
async fn a_device_that_has_just_started_is_not_read_by_a_standard_for_ever() {
    let mut rig = Rig::new(&[("4.1.9999.1.1", -1), ("4.1.9999.4.7", -1), ("2.1.99.1.1", 40)]);
    assert_eq!(rig.poll().await, ["sensor/1 power 40"]);
    // It has nothing of its own yet; the standard goes on.
    assert_eq!(rig.renewed().await, ["sensor/1 power 40"]);
    rig.set(&[("4.1.9999.1.1", 500), ("4.1.9999.4.7", 20), ("2.1.99.1.1", 41)]);
    assert_eq!(rig.renewed().await, ["input power 500", "outlet/7 power 20"]);
    assert_eq!(rig.device.profile.as_ref().unwrap().name, "maker");
    // From then on it is the device's own, whatever it shows at times.
    rig.set(&[("4.1.9999.1.1", 501), ("4.1.9999.4.7", -1), ("2.1.99.1.1", 41)]);
    assert_eq!(rig.renewed().await, ["input power 501"]);
}

#[tokio::test]
async fn a_column_without_a_value_at_one_renewal_is_still_read_and_left_out_after_two() {
    let mut rig = Rig::new(&[("4.1.9999.1.1", 500), ("4.1.9999.4.7", 20)]);
    assert_eq!(rig.poll().await.len(), 2);
    rig.set(&[("4.1.9999.1.1", 500), ("4.1.9999.4.7", -1)]);
    assert_eq!(rig.renewed().await, ["input power 500"]);
    rig.set(&[("4.1.9999.1.1", 500), ("4.1.9999.4.7", 21)]);
    assert_eq!(rig.poll().await, ["input power 500", "outlet/7 power 21"], "the meter was away for a moment");
    rig.renewed().await;
    rig.set(&[("4.1.9999.1.1", 500), ("4.1.9999.4.7", -1)]);
    for asked in [3, 2] {
        rig.renewed().await;
        assert_eq!(rig.device.plan().unwrap().asked.len(), asked);
    }
}

#[tokio::test]
async fn an_energy_counter_stays_the_same_one_over_a_restart() {
    let mut rig = Rig::new(&[("4.1.9999.2.1", -1), ("4.1.9999.3.1", 7000)]);
    assert_eq!(rig.poll().await, ["input energy 7000"]);
    rig.set(&[("4.1.9999.2.1", 9000), ("4.1.9999.3.1", 7001)]);
    assert_eq!(rig.renewed().await, ["input energy 7001"]);
    rig.up_time = 10;
    assert_eq!(rig.poll().await, ["input energy 7001"]);
}

#[tokio::test]
async fn a_restart_while_nobody_looked_is_one_although_the_agent_runs_for_longer_than_before() {
    let rows = [("4.1.9999.4.1", 20), ("4.1.9999.4.2", 30)];
    let mut rig = Rig::new(&rows);
    assert!(rig.device.poll(&rig.recording()).await.unwrap().identity.is_some());
    // Three hours without an answer; then it runs for two.
    rig.clock.advance(Duration::from_secs(3 * 3600));
    rig.up_time = 2 * 3600 * 100;
    rig.device.planned_at = rig.clock.now();
    assert!(rig.device.poll(&rig.recording()).await.unwrap().identity.is_some());
}

#[test]
fn agents_whose_clock_is_odd_do_not_restart_all_the_time() {
    let at = |seconds| Moment::ZERO + Duration::from_secs(seconds);
    let restarted =
        |seconds: u64, before: i64, now: i64| has_restarted((at(1000), before), (at(1000 + seconds), now));
    // Five seconds more, as it should be; a little off; one that counts seconds, one that stands still.
    assert!(!restarted(5, 100_000, 100_500) && !restarted(5, 100_000, 100_300));
    assert!(!restarted(600, 100_000, 157_000) && !restarted(5, 3000, 3005) && !restarted(600, 0, 0));
    assert!(!restarted(7200, 100_000_000, 100_007_200));
    // Back; after an hour for half an hour; 497 days.
    assert!(
        restarted(5, 100_000, 99_999)
            && restarted(3600, 100_000, 180_000)
            && restarted(5, 4_294_967_000, 200)
    );
}

/// Answers GET and never a walk.
struct Deaf(Recording);

impl Session for Deaf {
    fn width(&self) -> usize {
        self.0.width()
    }

    fn get<'a>(&'a self, oids: &'a [Oid]) -> BoxFuture<'a, Result<Vec<Value>, PollError>> {
        self.0.get(oids)
    }

    fn next<'a>(&'a self, _: &'a [Oid]) -> BoxFuture<'a, Result<Vec<Following>, PollError>> {
        Box::pin(std::future::pending())
    }
}

#[tokio::test(start_paused = true)]
async fn a_walk_that_is_not_answered_costs_no_reading() {
    let mut rig = Rig::new(&[("4.1.9999.1.1", 500)]);
    rig.poll().await;
    rig.pass(601);
    let deaf = Deaf(rig.recording());
    let deadline = Duration::from_secs(5);
    let poll = tokio::time::timeout(deadline, rig.device.poll(&deaf)).await;
    assert_eq!(shown(&poll.unwrap().unwrap()), ["input power 500"]);
    // Nor does it take its time again in each poll.
    let tokio_clock = crate::model::SystemClock::new();
    let begun = tokio_clock.now();
    rig.device.poll(&deaf).await.unwrap();
    assert_eq!(tokio_clock.now(), begun);
    // It is looked at again later, and found to walk well.
    assert_eq!(rig.renewed().await, ["input power 500"]);
    assert!(!rig.device.is_old());
}

#[test]
fn a_sum_that_lacks_a_part_is_none() {
    use crate::drivers::snmp::found::Found;
    use crate::drivers::snmp::plan;
    let text = "protocol: snmp\nname: sum\nabout: a PDU\nmatch: {}\nchannels:\n\
        - {channel: input, sum: true, values: [{quantity: power, column: 1.3.1, decimals: {column: 1.3.2}}]}\n\
        - {channel: output, sum: true, values: [{quantity: energy, column: 1.3.3, scale: 1, wraps_at_bits: 32}]}\n";
    let profile = <Profile as crate::drivers::profiles::Profile>::parse(text).unwrap();
    let column = |arcs: [u32; 3]| Oid::from_arcs(&arcs).unwrap();
    let found = |parts: u32, scales: u32, counters: u32| {
        let mut found = Found::default();
        for (arcs, rows) in [([1, 3, 1], parts), ([1, 3, 2], scales), ([1, 3, 3], counters)] {
            let row = |n: u32| (column(arcs).row(&[n]).unwrap(), Value::Number(1));
            found.column(&column(arcs), (1..=rows).map(row).collect());
        }
        found
    };
    let points = |found: &Found| {
        let plan = plan::plan(&profile, found, None);
        let terms: Vec<_> = plan.points.iter().map(|p| (p.quantity.name(), p.terms.len())).collect();
        terms
    };
    assert_eq!(points(&found(3, 3, 2)), [("power", 3), ("energy", 2)]);
    assert_eq!(points(&found(3, 2, 0)), [], "a part that does not say its scale");
    assert_eq!(points(&found(0, 0, 501)), [], "more parts than are kept");
    // A sum of counters does not begin again where one of them does.
    let modulus = |counters: u32| {
        let plan = plan::plan(&profile, &found(0, 0, counters), None);
        let values: Vec<Value> = plan.asked.iter().map(|_| Value::Number(1)).collect();
        match read::read(&plan, &values).readings[0].measure {
            crate::model::Measure::Energy(counter) => counter.modulus,
            _ => None,
        }
    };
    assert!(modulus(1).is_some() && modulus(2).is_none());
}
