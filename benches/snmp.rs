//! What one poll of a PDU costs beyond the network: the plan made, the variables asked for, the answer read. Run:
//! `cargo bench --bench snmp`.
//!
//! The PDU has 118 values: two units with an inlet, three phases and 24 metered outlets each, by a profile of Eaton's shape.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

use std::hint::black_box;
use std::sync::Arc;

use divan::counter::ItemsCount;
use divan::{AllocProfiler, Bencher};
use wattribute::drivers::Profiles;
use wattribute::drivers::snmp::found::Found;
use wattribute::drivers::snmp::oid::Oid;
use wattribute::drivers::snmp::plan::{self, Plan};
use wattribute::drivers::snmp::profile::Profile;
use wattribute::drivers::snmp::read;
use wattribute::drivers::snmp::session::{Row, Value};

#[global_allocator]
static ALLOC: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

fn profile() -> Arc<Profile> {
    Arc::clone(Profiles::built_in().snmp.named("eaton-epdu").expect("it is in the binary"))
}

/// Every row of the PDU: the end of its object identifier below the MIB's root, and its number.
fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    let mut row = |end: String, number: i64| {
        let oid = Oid::parse(&format!("1.3.6.1.4.1.534.6.6.7.{end}")).unwrap();
        rows.push((oid, Value::Number(number)));
    };
    for unit in 0..2 {
        for column in [3, 4, 5, 7] {
            row(format!("3.5.1.{column}.{unit}.1"), 980);
        }
        for line in 1..=3 {
            row(format!("3.4.1.2.{unit}.1.{line}"), line);
            row(format!("3.4.1.4.{unit}.1.{line}"), 300);
        }
        for outlet in 1..=24 {
            row(format!("6.5.1.3.{unit}.{outlet}"), 40);
            row(format!("6.4.1.3.{unit}.{outlet}"), 170);
        }
        for outlet in 1..=4 {
            row(format!("6.5.1.4.{unit}.{outlet}"), 12_345);
        }
    }
    rows
}

fn found(profile: &Profile, rows: &[Row]) -> Found {
    let mut found = Found::default();
    for column in plan::columns(profile) {
        let of_column = rows.iter().filter(|(oid, _)| oid.after(&column).is_some()).cloned();
        found.column(&column, of_column.collect());
    }
    found
}

fn planned() -> (Plan, Vec<Value>) {
    let (profile, rows) = (profile(), rows());
    let plan = plan::plan(&profile, &found(&profile, &rows), None);
    let value =
        |asked: &Oid| rows.iter().find(|(oid, _)| oid == asked).map_or(Value::Absent, |(_, v)| v.clone());
    let answer = plan.asked.iter().map(value).collect();
    (plan, answer)
}

/// Once in ten minutes.
#[divan::bench]
fn plan_made(bencher: Bencher<'_, '_>) {
    let profile = profile();
    let found = found(&profile, &rows());
    bencher
        .counter(ItemsCount::new(planned().0.points.len()))
        .bench_local(|| plan::plan(&profile, black_box(&found), None));
}

/// With each poll.
#[divan::bench]
fn answer_read(bencher: Bencher<'_, '_>) {
    let (plan, answer) = planned();
    assert_eq!(read::read(&plan, &answer).readings.len(), 118);
    bencher.counter(ItemsCount::new(plan.points.len())).bench_local(|| read::read(&plan, black_box(&answer)));
}
