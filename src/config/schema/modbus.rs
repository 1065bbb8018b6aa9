//! Keys of `modbus` in a meter.

use garde::Validate;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::bounds::between;
use crate::config::field::Field;
use crate::config::leaf::{Endpoint, FilePath, Label, Span};
use crate::config::types::ModbusParity;

/// Energy meters over Modbus: exactly one of `tcp`, `rtu` and `rtu_over_tcp`.
#[derive(Debug, Default, Clone, Deserialize, JsonSchema, Validate)]
#[serde(default, deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub(in crate::config) struct Modbus {
    /// Modbus TCP, a meter or a gateway: `HOST` or `HOST:PORT`; the port is 502 unless given.
    pub(in crate::config) tcp: Field<Endpoint>,
    /// A serial port of this machine.
    #[garde(dive)]
    pub(in crate::config) rtu: Field<ModbusRtu>,
    /// A device server that passes the frames of a serial line on as they are: `HOST:PORT`.
    pub(in crate::config) rtu_over_tcp: Field<Endpoint>,
    /// The meter's number on the line, 0 to 255. Default 1.
    #[garde(range(min = 0, max = 255))]
    pub(in crate::config) unit: Field<u32>,
    /// Profile that reads it, such as `eastron-sdm630`.
    #[schemars(required)]
    pub(in crate::config) profile: Field<Label>,
    /// Deadline of one try of a request, at most that of the poll. Default 1s, or that of the poll where it is shorter.
    #[garde(custom(between(10, 600_000)))]
    pub(in crate::config) timeout: Field<Span>,
    /// How often a request is sent again. Default 2.
    #[garde(range(min = 0, max = 10))]
    pub(in crate::config) retries: Field<u32>,
    /// Least time between an answer and the next request, for gateways that need it, up to 5 s. Default none.
    #[garde(custom(between(0, 5_000)))]
    pub(in crate::config) pause: Field<Span>,
    /// `true`: its current transformers are turned round: `input` and `export` change places. Default false.
    pub(in crate::config) invert: Field<bool>,
    /// Factor of its power, current and energy: the ratio of current transformers that the meter does not know of. Default 1.
    #[garde(range(min = 0.000_001, max = 1_000_000.0))]
    pub(in crate::config) ratio: Field<f64>,
}

/// A serial port. All meters on it must say the same.
#[derive(Debug, Default, Clone, Deserialize, JsonSchema, Validate)]
#[serde(default, deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub(in crate::config) struct ModbusRtu {
    /// The port, such as `/dev/serial/by-id/...` or `/dev/ttyUSB0`.
    #[schemars(required)]
    pub(in crate::config) port: Field<FilePath>,
    /// Rate, 300 to 921600 baud. Default 9600.
    #[garde(range(min = 300, max = 921_600))]
    pub(in crate::config) baud: Field<u32>,
    /// Parity: `none` (default), `even` or `odd`.
    pub(in crate::config) parity: Field<ModbusParity>,
    /// Stop bits, 1 or 2. Default 1.
    #[garde(range(min = 1, max = 2))]
    pub(in crate::config) stop_bits: Field<u32>,
}
