//! Fuzz target of profiles: any text is a profile or an error that names the file, on one line; and what a profile makes of a
//! hostile device is a plan within its limits, that says no channel's quantity twice.

#![allow(clippy::panic, reason = "that is how a run fails")]

use std::collections::HashSet;

use super::Profile;
use crate::drivers::profiles::Profile as _;
use crate::drivers::snmp::found::Found;
use crate::drivers::snmp::session::{Figure, Row, Value};
use crate::drivers::snmp::{oid::Oid, plan, read};

/// Runs one input.
pub fn profile(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    match Profile::parse(text) {
        Ok(profile) => {
            assert!(!profile.name.is_empty() && !profile.groups.is_empty());
            planned(&profile, input.len());
        }
        Err(error) => assert!(!error.contains('\n'), "{error}"),
    }
}

/// Values that devices have and should not have.
fn value(number: usize) -> Value {
    match number % 11 {
        0 => Value::Number(1),
        1 => Value::Number(2),
        2 => Value::Number(-1),
        3 => Value::Number(i64::MAX),
        4 => Value::Number(i64::MIN),
        5 => Value::Text("Outlet 3/a".to_owned()),
        6 => Value::Text("-12.5 kW".to_owned()),
        7 => Figure::double(f64::MAX).map_or(Value::Unusable, Value::Real),
        8 => Value::Text(String::new()),
        9 => Value::Unusable,
        _ => Value::Absent,
    }
}

fn planned(profile: &Profile, seed: usize) {
    let indices: [&[u32]; 6] = [&[], &[0], &[1], &[1, 5], &[2, 1, 5], &[u32::MAX, u32::MAX]];
    let mut found = Found::default();
    for (number, column) in plan::columns(profile).iter().enumerate() {
        let row = |(place, index): (usize, &&[u32])| -> Option<Row> {
            Some((column.row(index)?, value(seed.wrapping_add(number.wrapping_mul(7)).wrapping_add(place))))
        };
        found.column(column, indices.iter().enumerate().filter_map(row).collect());
    }
    let scalars: Vec<Oid> = plan::scalars(profile);
    found.scalars(
        scalars.into_iter().enumerate().map(|(number, oid)| (oid, value(seed.wrapping_add(number)))),
    );
    let first = plan::plan(profile, &found, None);
    let again = plan::plan(profile, &found, Some(&first));
    for plan in [first, again] {
        let said: HashSet<_> = plan.points.iter().map(|point| (&point.channel, point.quantity)).collect();
        assert_eq!(said.len(), plan.points.len(), "a channel's quantity twice");
        let values: Vec<Value> = (0..plan.asked.len()).map(|place| value(seed.wrapping_add(place))).collect();
        for short in [values.len(), values.len() / 2, 0] {
            let outcome = read::read(&plan, values.get(..short).unwrap_or_default());
            assert!(outcome.readings.len() <= plan.points.len());
        }
    }
}
