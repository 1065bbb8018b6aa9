//! `modbus` of a meter.

use std::path::Path;
use std::time::Duration;

use super::Check;
use super::meters::DEFAULT_RETRIES;
use crate::config::field::Field;
use crate::config::leaf::{Endpoint, FilePath, Label};
use crate::config::problem::Mark;
use crate::config::schema;
use crate::config::types::{Modbus, ModbusLine, ModbusPort};

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(1);
const DEFAULT_PORT: u16 = 502;
const DEFAULT_BAUD: u32 = 9600;
const WAYS: &str = "add one of `tcp`, `rtu`, `rtu_over_tcp`";

impl Check<'_> {
    /// Checks the section; `timeout` is the poll's.
    pub(super) fn modbus(
        &mut self,
        raw: &schema::Modbus,
        at: Mark,
        folder: &Path,
        timeout: Duration,
    ) -> Option<Modbus> {
        let line = self.modbus_line(raw, at, folder);
        let fix = "name the profile of this model, such as eastron-sdm630; docs/drivers/modbus.md lists them";
        let profile = self.need(&raw.profile, at, "profile", fix);
        let outer = ("the poll's `timeout`", timeout);
        let request_timeout = self.deadline(&raw.timeout, DEFAULT_TIMEOUT, outer);
        let pause = self.span(&raw.pause).map_or(Duration::ZERO, |(pause, _)| pause);
        let unit = raw.unit.get().copied().unwrap_or(1);
        if let (Some((0 | 248..=255, at)), true) =
            (raw.unit.located().map(|(unit, at)| (*unit, at)), raw.tcp.is_absent())
        {
            let what = format!("`unit` is {unit}, which no meter on a serial line has");
            self.error(
                at,
                what,
                "write the meter's own number, 1 to 247; 0 speaks to all at once, and none answers",
            );
        }
        let Label(profile) = profile?;
        Some(Modbus {
            line: line?,
            unit: u8::try_from(unit).unwrap_or(u8::MAX),
            profile: profile.clone(),
            request_timeout,
            retries: raw.retries.get().copied().unwrap_or(DEFAULT_RETRIES),
            pause,
            invert: raw.invert.get().copied().unwrap_or_default(),
            ratio: raw.ratio.get().copied().unwrap_or(1.0),
        })
    }

    fn modbus_line(&mut self, raw: &schema::Modbus, at: Mark, folder: &Path) -> Option<ModbusLine> {
        let ways = [
            ("tcp", raw.tcp.is_absent()),
            ("rtu", raw.rtu.is_absent()),
            ("rtu_over_tcp", raw.rtu_over_tcp.is_absent()),
        ];
        let given: Vec<&str> = ways.iter().filter(|(_, absent)| !absent).map(|(name, _)| *name).collect();
        match given.as_slice() {
            [] => {
                self.error(at, "no line is given", WAYS);
                None
            }
            [_] => self.modbus_way(raw, folder),
            [first, second, ..] => {
                self.error(
                    at,
                    format!("both `{first}` and `{second}` are given"),
                    "keep one: a meter is on one line",
                );
                None
            }
        }
    }

    fn modbus_way(&mut self, raw: &schema::Modbus, folder: &Path) -> Option<ModbusLine> {
        if let Some(Endpoint((host, port))) = raw.tcp.get() {
            return Some(ModbusLine::Tcp(format!("{host}:{}", port.unwrap_or(DEFAULT_PORT))));
        }
        if let Some((Endpoint((host, port)), at)) = raw.rtu_over_tcp.located() {
            if port.is_none() {
                let fix = "add the port of the device server, such as HOST:4001; there is no usual one";
                self.error(at, "`rtu_over_tcp` has no port", fix);
            }
            let server = format!("{host}:{}", (*port)?);
            self.lines.push((server.to_ascii_lowercase(), true, at));
            return Some(ModbusLine::RtuOverTcp(server));
        }
        let (rtu, at) = raw.rtu.located()?;
        let path = self.need(&rtu.port, at, "port", "name the serial port, such as /dev/serial/by-id/...");
        let FilePath(path) = path?;
        let port = ModbusPort {
            path: folder.join(path),
            baud: rtu.baud.get().copied().unwrap_or(DEFAULT_BAUD),
            parity: rtu.parity.get().copied().unwrap_or_default(),
            two_stop_bits: rtu.stop_bits.get() == Some(&2),
        };
        self.lines.push((port.path.display().to_string(), true, at));
        let broken = [&rtu.baud, &rtu.stop_bits].iter().any(|field| matches!(field, Field::Bad));
        if !broken && !matches!(rtu.parity, Field::Bad) {
            self.same_port(&port, at);
        }
        Some(ModbusLine::Rtu(port))
    }

    /// Checks that all meters on a port say the same of it.
    fn same_port(&mut self, port: &ModbusPort, at: Mark) {
        let Some((first, first_at)) = self.modbus_ports.iter().find(|(known, _)| known.path == port.path)
        else {
            self.modbus_ports.push((port.clone(), at));
            return;
        };
        if first != port {
            let place = self.problems.borrow().describe(*first_at, at);
            let what = format!("the port {} has other settings than {place}", port.path.display());
            let fix = "give all meters on a line the same `baud`, `parity` and `stop_bits`, and set them all to these";
            self.error(at, what, fix);
        }
    }
}
