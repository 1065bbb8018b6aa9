//! Eaton ePDUs (EATON-EPDU-MIB 1.3.6.1.4.1.534.6.6.7): watts and watt-hours, in and out; mV and mA. One is the rack PDU
//! of the B side; another, three-phase and without outlets, stands in for the building's utility meter.

use async_snmp::Value;

use super::super::endpoint::{counted, rounded};
use super::super::world::{Point, Side, World};
use super::Rows;

const EPDU: &[u32] = &[1, 3, 6, 1, 4, 1, 534, 6, 6, 7];
/// Joules in the watt-hour that this family counts.
const WATT_HOUR: f64 = 3600.0;
const OUTLETS: u32 = 24;
const PAST_WATT_HOURS: f64 = 8_185_493.0;
const VOLTS: f64 = 229.4;
const POWER_FACTOR: f64 = 0.946;

/// Everything the rack PDU on `side` shows at `t` seconds.
pub(super) fn rack_pdu(world: &World, side: Side, t: f64, into: &mut Rows) {
    identity("ePDU MA 0U (simulated) IN: 16A 1P OUT: 24xC13", "pdu-b", "SIM0PDU00B", t, into);
    input(world.pdu_watts(side, t), world.pdu_joules(side, t), &[1.0], into);
    for outlet in 1..=OUTLETS {
        let (name, watts, joules) = super::outlet(world, side, outlet, t);
        let past = if watts > 0.0 { PAST_WATT_HOURS / 16.0 } else { 0.0 };
        let cells: [(&[u32], Value); 8] = [
            (&[6, 1, 1, 2], outlet.to_string().into()),
            (&[6, 1, 1, 3], name.into()),
            (&[6, 1, 1, 6], format!("A{outlet}").into()),
            (&[6, 3, 1, 2], rounded(VOLTS * 1000.0).into()),
            (&[6, 4, 1, 3], rounded(watts / POWER_FACTOR / VOLTS * 1000.0).into()),
            (&[6, 5, 1, 2], rounded(watts / POWER_FACTOR).into()),
            (&[6, 5, 1, 3], rounded(watts).into()),
            (&[6, 5, 1, 4], gauge(past + joules / WATT_HOUR)),
        ];
        for (column, value) in cells {
            into.add(EPDU, &[column, &[0, outlet]].concat(), value);
        }
    }
}

/// Everything the utility meter shows at `t` seconds.
pub(super) fn utility(world: &World, t: f64, into: &mut Rows) {
    identity("ePDU (simulated) IN: 63A 3P, main distribution", "utility-meter", "SIM0MAIN01", t, into);
    let draw = world.building(Point::Utility, t);
    input(draw.watts, draw.joules, &[0.40, 0.33, 0.27], into);
}

fn identity(product: &str, name: &str, serial: &str, t: f64, into: &mut Rows) {
    into.system(product, &[534, 6, 6, 7], name, t);
    for (column, text) in [(2, product), (3, "EMA114-10"), (4, serial), (5, "05.01.0002"), (6, name)] {
        into.add(EPDU, &[1, 2, 1, column, 0], text);
    }
}

/// The input tables: voltage, current and power of each phase (`shares` of the whole), and the total.
fn input(watts: f64, joules: f64, shares: &[f64], into: &mut Rows) {
    let single = shares.len() == 1;
    into.add(EPDU, &[3, 1, 1, 2, 0, 1], if single { 1 } else { 3 });
    for (n, share) in (1u32..).zip(shares) {
        let part = watts * share;
        let kind = rounded(f64::from(n));
        let cells: [(&[u32], Value); 9] = [
            (&[3, 2, 1, 2], if single { 1 } else { kind + 1 }.into()),
            (&[3, 2, 1, 3], rounded(VOLTS * 1000.0).into()),
            (&[3, 3, 1, 2], if single { 1 } else { kind + 2 }.into()),
            (&[3, 3, 1, 4], rounded(part / POWER_FACTOR / VOLTS * 1000.0).into()),
            (&[3, 4, 1, 2], kind.into()),
            (&[3, 4, 1, 3], rounded(part / POWER_FACTOR).into()),
            (&[3, 4, 1, 4], rounded(part).into()),
            (&[3, 4, 1, 5], gauge(PAST_WATT_HOURS * share + joules * share / WATT_HOUR)),
            (&[3, 4, 1, 7], rounded(POWER_FACTOR * 1000.0).into()),
        ];
        for (column, value) in cells {
            into.add(EPDU, &[column, &[0, 1, n]].concat(), value);
        }
    }
    let total: [(u32, Value); 4] = [
        (3, rounded(watts / POWER_FACTOR).into()),
        (4, rounded(watts).into()),
        (5, gauge(PAST_WATT_HOURS + joules / WATT_HOUR)),
        (7, rounded(POWER_FACTOR * 1000.0).into()),
    ];
    for (column, value) in total {
        into.add(EPDU, &[3, 5, 1, column, 0, 1], value);
    }
}

/// A counter in an Unsigned32 column.
fn gauge(count: f64) -> Value {
    Value::Gauge32(u32::try_from(counted(count)).unwrap_or(u32::MAX))
}
