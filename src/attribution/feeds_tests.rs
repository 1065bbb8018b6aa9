//! The claim that matters to who pays: over any pattern of lost polls, of two outlets that add up and a BMC that stands in
//! for them, with and without the devices' own counters, a host's energy plus its unmeasured time is what it really drew.

#![expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "minutes of a test")]

use std::time::Duration;

use proptest::prelude::*;

use super::ledger::{Ledger, Method};
use crate::inventory::{Feed, Host, Idle, Inventory};
use crate::model::{
    Batch, ChannelId, DatacenterId, EnergyCounter, HostId, Joules, Measure, MeterId, Moment, Reading, Watts,
};
use crate::store::{MeterSettings, Store};
use crate::workloads::UsageLog;

const METERS: [&str; 3] = ["pdu-a", "pdu-b", "bmc"];
/// Seconds from one poll to the next, and the longest gap that is bridged.
const INTERVAL: u64 = 10;
const MAX_GAP: u64 = 30;

/// The host's power, W, on straight lines between these points a minute apart: what trapezoids bridge exactly when sampled
/// at the corners, and nearly so elsewhere.
#[derive(Debug, Clone)]
struct Curve(Vec<f64>);

impl Curve {
    fn watts(&self, second: f64) -> f64 {
        let (minute, part) = ((second / 60.0) as usize, (second / 60.0).fract());
        let point = |i: usize| self.0[i % self.0.len()];
        point(minute) * (1.0 - part) + point(minute + 1) * part
    }

    fn joules(&self, until: f64) -> f64 {
        let mut sum = 0.0;
        let mut at = 0.0;
        while at < until {
            let step = (until - at).min(1.0);
            sum += (self.watts(at) + self.watts(at + step)) / 2.0 * step;
            at += step;
        }
        sum
    }

    fn least(&self) -> f64 {
        self.0.iter().copied().fold(f64::INFINITY, f64::min)
    }

    fn largest(&self) -> f64 {
        self.0.iter().copied().fold(0.0, f64::max)
    }
}

/// What one poll of one meter brings.
#[derive(Debug, Clone, Copy)]
struct Poll {
    late: f64,
    power: bool,
    counter: bool,
}

/// Mostly good polls; `lossy` ones now and then lose power, counter or both, for long stretches too.
fn polls() -> impl Strategy<Value = Vec<Poll>> {
    let poll = (0.0f64..4.0, prop::bool::weighted(0.8), prop::bool::weighted(0.8))
        .prop_map(|(late, power, counter)| Poll { late, power, counter });
    let silence = (0usize..12).prop_map(|n| vec![Poll { late: 0.0, power: false, counter: false }; n]);
    prop::collection::vec(prop_oneof![4 => prop::collection::vec(poll, 1..20), 1 => silence], 4..12)
        .prop_map(|stretches| stretches.into_iter().flatten().collect())
}

struct Room {
    store: Store,
    ledger: Ledger,
}

impl Room {
    fn new() -> Self {
        let dc = DatacenterId::new("dc1").unwrap();
        let channel = |m: &str| (MeterId::new(m).unwrap(), ChannelId::new("input").unwrap());
        let meter = |name: &&str| MeterSettings {
            id: MeterId::new(name).unwrap(),
            datacenter: dc.clone(),
            driver: "snmp",
            address: String::new(),
            accuracy: None,
            stale_after: Duration::from_secs(MAX_GAP),
            max_gap: Duration::from_secs(MAX_GAP),
        };
        let store = Store::new(METERS.iter().map(meter).collect());
        let host = Host {
            feeds: vec![
                Feed::Channels(vec![channel("pdu-a"), channel("pdu-b")]),
                Feed::Channels(vec![channel("bmc")]),
            ],
            idle: Idle::None,
            ..Host::new(HostId::new("h").unwrap(), dc.clone())
        };
        let inventory = Inventory { hosts: vec![host], ..Inventory::default() };
        let ledger = Ledger::new(&inventory, &[], &store, Moment::ZERO);
        Self { store, ledger }
    }

    fn poll(&self, meter: usize, second: f64, watts: Option<f64>, counted: Option<(f64, f64)>) {
        let input = || ChannelId::new("input").unwrap();
        let power = watts.map(|w| Reading::measured(input(), Measure::Power(Watts::new(w).unwrap())));
        let counter = counted.map(|(joules, quantum)| {
            let total = Joules::new((joules / quantum).floor() * quantum).unwrap();
            let quantum = Joules::new(quantum).unwrap();
            Reading::measured(input(), Measure::Energy(EnergyCounter { total, quantum, modulus: None }))
        });
        let readings: Vec<_> = power.into_iter().chain(counter).collect();
        if !readings.is_empty() {
            let index = self.store.find(&MeterId::new(METERS[meter]).unwrap()).unwrap();
            self.store.apply(index, &Batch { readings, ..Batch::default() }, at(second));
        }
    }

    fn settle(&mut self, second: f64) {
        self.ledger.settle(&self.store, &UsageLog::new(vec![]), at(second));
    }
}

fn at(seconds: f64) -> Moment {
    Moment::ZERO + Duration::from_secs_f64(seconds)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_host_is_charged_what_it_drew(
        swing in prop_oneof![Just(0.0), Just(1.0), Just(300.0)],
        corners in prop::collection::vec(0.0f64..1.0, 2..8),
        meters in prop::array::uniform3(polls()),
        quantum in prop_oneof![Just(None), Just(Some(1.0)), Just(Some(100.0)), Just(Some(3600.0))],
        share in 0.1f64..0.9,
    ) {
        let curve = Curve(corners.iter().map(|c| 200.0 + swing * c).collect());
        let mut r = Room::new();
        // All meters speak once at the start, so that the account opens there.
        let parts = [share, 1.0 - share, 1.0];
        let longest = meters.iter().map(Vec::len).max().unwrap();
        for n in 0..=longest {
            for (m, part) in parts.iter().enumerate() {
                let poll = if n == 0 { Some(&Poll { late: 0.0, power: true, counter: true }) } else { meters[m].get(n) };
                let Some(poll) = poll else { continue };
                let second = (n as u64 * INTERVAL) as f64 + poll.late;
                let counted = quantum.filter(|_| poll.counter).map(|q| (1e6 + part * curve.joules(second), q));
                r.poll(m, second, poll.power.then(|| part * curve.watts(second)), counted);
            }
            for second in 0..INTERVAL {
                let now = (n as u64 * INTERVAL + second) as f64 + 4.0;
                r.settle(now);
            }
        }
        let host = &r.ledger.hosts()[0];
        prop_assert_eq!(host.energy().get(Method::Rated).0, 0);
        let until = host.settled().unwrap();
        let drawn = curve.joules(until.since(Moment::ZERO).as_secs_f64());
        let counted = host.energy().get(Method::Measured).joules();
        let missing = host.unmeasured().as_secs_f64() * curve.largest();
        // Trapezoids cut the corners of the curve, one a minute, by a quarter of the gap times half the corner's height at the
        // most. A counter is within a step of the truth, and each outlet and the BMC has its own.
        let minutes = until.since(Moment::ZERO).as_secs_f64() / 60.0 + 1.0;
        let corners = minutes * MAX_GAP as f64 / 8.0 * (curve.largest() - curve.least());
        let steps = quantum.map_or(0.0, |q| 4.0 * q) + 0.01;
        prop_assert!(counted <= drawn + corners + steps, "{counted} J of {drawn} J: too much");
        prop_assert!(counted + missing >= drawn - corners - steps, "{counted} J + {missing} J of {drawn} J: too little");
    }
}
