//! Dell's own power commands, network function 30h. Sources: FreeIPMI's `ipmi-oem dell` and ipmitool's `delloem`, which
//! agree on both commands and their units, for the 11th and 12th generation of PowerEdge. Later ones were not seen.

use super::{No, data};
use crate::drivers::ipmi::wire::bytes::Bytes;
use crate::drivers::ipmi::wire::message::{Reply, Request};
use crate::model::{EnergyCounter, Joules, UnitError};

const DELL: u8 = 0x30;
/// A watt-hour, J: the step of the energy counter.
const WATT_HOUR: f64 = 3600.0;

/// Get Instantaneous Power Consumption, of all supplies.
#[must_use]
pub fn get_power() -> Request {
    Request::new(DELL, 0xb3, [0x0a, 0x00])
}

/// Get Power Management Info: the cumulative reading.
#[must_use]
pub fn get_energy() -> Request {
    Request::new(DELL, 0x9c, [0x07, 0x01])
}

/// Power of the machine, W; the current behind it is in steps of 0.1 A.
///
/// # Errors
/// As [`data`]; `Malformed` if it is too short.
pub fn power(reply: &Reply) -> Result<u16, No> {
    let mut bytes = Bytes(data(reply)?);
    let mut read = || {
        let (watts, _amperes) = (bytes.u16()?, bytes.u16()?);
        Some(watts)
    };
    read().ok_or(No::Malformed)
}

/// Energy since the counter was last reset, in whole watt-hours. Its wrap at 32 bits is centuries away.
///
/// # Errors
/// As [`data`]; `Malformed` if it is too short; `NotMeasuring` at 0, which a counter of a machine that runs is not.
pub fn energy(reply: &Reply) -> Result<EnergyCounter, No> {
    let mut bytes = Bytes(data(reply)?);
    let mut read = || {
        let (_since, watt_hours) = (bytes.u32()?, bytes.u32()?);
        // Peaks and their times: without them it is another command's answer.
        bytes.take(16).map(|_peaks| watt_hours)
    };
    match read().ok_or(No::Malformed)? {
        0 => Err(No::NotMeasuring),
        watt_hours => counter(watt_hours).map_err(|_| No::Malformed),
    }
}

fn counter(watt_hours: u32) -> Result<EnergyCounter, UnitError> {
    let total = Joules::new(f64::from(watt_hours) * WATT_HOUR)?;
    Ok(EnergyCounter { total, quantum: Joules::new(WATT_HOUR)?, modulus: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(data: &str) -> Reply {
        Reply { net_fn: 0x31, seq: 1, command: 0xb3, code: 0, data: hex::decode(data).unwrap() }
    }

    #[test]
    fn power_is_the_first_number_in_watts() {
        // 0x00f5 is 245 W, 0x000b is 1.1 A; three bytes are reserved.
        assert_eq!(power(&reply("f5000b00000000")), Ok(245));
        assert_eq!(power(&reply("f5000b")), Err(No::Malformed));
        let refused = Reply { code: 0x6f, ..reply("") };
        assert_eq!(power(&refused), Err(No::Code(super::super::Code(0x6f))), "no licence");
    }

    #[test]
    fn energy_is_in_watt_hours() {
        // Since 0x60000000; 0x0001e240 is 123,456 Wh, that is 444,441,600 J; peaks of 2.3 A and 512 W.
        let whole = "0000006040e2010000000060000000601700000000600002";
        let counter = energy(&reply(whole)).unwrap();
        assert_eq!(
            (counter.total.get(), counter.quantum.get(), counter.modulus),
            (444_441_600.0, 3600.0, None)
        );
        for cut in 0..24 {
            let cut = Reply { data: reply(whole).data[..cut].to_vec(), ..reply("") };
            assert_eq!(energy(&cut), Err(No::Malformed), "{cut:?}");
        }
        let nothing = whole.replace("40e20100", "00000000");
        assert_eq!(energy(&reply(&nothing)), Err(No::NotMeasuring));
    }
}
