//! An APC rack PDU (rPDU2, PowerNet-MIB 1.3.6.1.4.1.318.1.1.26): device power in 10 W, energy in 0.1 kWh, metered
//! outlets in whole watts.

use async_snmp::Value;

use super::super::endpoint::{counted, rounded};
use super::super::world::{Side, World};
use super::Rows;

const RPDU2: &[u32] = &[1, 3, 6, 1, 4, 1, 318, 1, 1, 26];
/// Joules in the 0.1 kWh that this family counts.
const TENTH_KWH: f64 = 360_000.0;
/// Outlets on the unit: eight servers, the rest spare.
const OUTLETS: u32 = 24;
/// What the counters showed before the simulation, 0.1 kWh.
const PAST_TENTHS: f64 = 19_677.0;
const VOLTS: f64 = 231.0;
const POWER_FACTOR: f64 = 0.95;

/// Everything the PDU on `side` shows at `t` seconds.
pub(super) fn rows(world: &World, side: Side, t: f64, into: &mut Rows) {
    into.system("APC Web/SNMP Management Card (simulated) MN:AP8959EU3", &[318, 1, 3, 4, 6], "pdu-a", t);
    for (column, text) in [(3, "pdu-a"), (8, "AP8959EU3"), (9, "SIM0PDU00A")] {
        into.add(RPDU2, &[2, 1, column, 1], text);
    }
    device(world, side, t, into);
    phase(world, side, t, into);
    for outlet in 1..=OUTLETS {
        metered_outlet(world, side, t, outlet, into);
    }
}

/// Device status .26.4.3.1 and its phase .26.6.3.1 share these columns' scales: 0.01 kW, 0.01 kVA, 0.01.
fn device(world: &World, side: Side, t: f64, into: &mut Rows) {
    let watts = world.pdu_watts(side, t);
    let columns: [(u32, Value); 8] = [
        (1, 1.into()),
        (2, 1.into()),
        (3, "pdu-a".into()),
        (4, 2.into()),
        (5, rounded(watts / 10.0).into()),
        (9, whole(PAST_TENTHS + world.pdu_joules(side, t) / TENTH_KWH)),
        (16, rounded(watts / POWER_FACTOR / 10.0).into()),
        (17, rounded(POWER_FACTOR * 100.0).into()),
    ];
    for (column, value) in columns {
        into.add(RPDU2, &[4, 3, 1, column, 1], value);
    }
}

fn phase(world: &World, side: Side, t: f64, into: &mut Rows) {
    let watts = world.pdu_watts(side, t);
    let columns: [(u32, i32); 9] = [
        (1, 1),
        (2, 1),
        (3, 1),
        (4, 2),
        (5, rounded(watts / POWER_FACTOR / VOLTS * 10.0)),
        (6, rounded(VOLTS)),
        (7, rounded(watts / 10.0)),
        (8, rounded(watts / POWER_FACTOR / 10.0)),
        (9, rounded(POWER_FACTOR * 100.0)),
    ];
    for (column, value) in columns {
        into.add(RPDU2, &[6, 3, 1, column, 1], value);
    }
}

/// One row of the metered outlets .26.9.4.3.1; a spare outlet shows true zeros.
fn metered_outlet(world: &World, side: Side, t: f64, outlet: u32, into: &mut Rows) {
    let (name, watts, joules) = super::outlet(world, side, outlet, t);
    let number = rounded(f64::from(outlet));
    let past = if watts > 0.0 { PAST_TENTHS / 10.0 } else { 0.0 };
    let columns: [(u32, Value); 8] = [
        (1, number.into()),
        (2, 1.into()),
        (3, name.into()),
        (4, number.into()),
        (5, 2.into()),
        (6, rounded(watts / POWER_FACTOR / VOLTS * 10.0).into()),
        (7, rounded(watts).into()),
        (11, whole(past + joules / TENTH_KWH)),
    ];
    for (column, value) in columns {
        into.add(RPDU2, &[9, 4, 3, 1, column, outlet], value);
    }
}

/// A counter in an INTEGER column.
fn whole(count: f64) -> Value {
    Value::Integer(i32::try_from(counted(count)).unwrap_or(i32::MAX))
}
