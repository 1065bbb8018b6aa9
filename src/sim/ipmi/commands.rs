//! The commands that a simulated BMC knows, and its answers. IPMI v2.0 sections 20 to 22, DCMI v1.5 section 6.

use super::crypto::Suite;

/// A command, its headers taken off.
pub(super) struct Command<'a> {
    net_fn: u8,
    lun: u8,
    console: u8,
    /// Request number and logical unit of who asks, as they came.
    pub seq: u8,
    command: u8,
    data: &'a [u8],
}

/// What the caller must do about a command, besides sending the reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    /// Nothing.
    None,
    /// Power was told.
    Power,
    /// The session ends.
    Close,
}

const INVALID_COMMAND: u8 = 0xc1;
const INVALID_DATA: u8 = 0xcc;

impl<'a> Command<'a> {
    /// Reads a message to address 20h with good checksums.
    pub fn parse(message: &'a [u8]) -> Option<Self> {
        let sum = |bytes: &[u8]| bytes.iter().fold(0u8, |sum, b| sum.wrapping_add(*b));
        let (head, body) = message.split_first_chunk::<3>()?;
        let [to, net_fn, _] = *head;
        if sum(head) != 0 || sum(body) != 0 || to != 0x20 {
            return None;
        }
        match body {
            [console, seq, command, data @ .., _] => Some(Self {
                net_fn: net_fn >> 2,
                lun: net_fn & 3,
                console: *console,
                seq: *seq,
                command: *command,
                data,
            }),
            _ => None,
        }
    }

    fn reply(&self, code: u8, data: &[u8]) -> Vec<u8> {
        let sum = |bytes: &[u8]| bytes.iter().fold(0u8, |sum, b| sum.wrapping_sub(*b));
        let mut out = vec![self.console, (self.net_fn | 1) << 2 | self.lun];
        out.push(sum(&out));
        let mut body = vec![0x20, self.seq, self.command, code];
        body.extend_from_slice(data);
        body.push(sum(&body));
        out.extend(body);
        out
    }

    /// The reply to what may be asked without a session.
    pub fn outside(&self, suites: &[Suite]) -> Vec<u8> {
        match (self.net_fn, self.command, self.data) {
            // Get Channel Authentication Capabilities: IPMI 2.0 only, named users.
            (0x06, 0x38, _) => self.reply(0, &[0x01, 0x80, 0x04, 0x02, 0, 0, 0, 0]),
            // Get Channel Cipher Suites; all fit in the first part.
            (0x06, 0x54, [_, _, list]) => {
                let records = suites.iter().flat_map(|suite| suite.record());
                let records = records.take(if list & 0x3f == 0 { 16 } else { 0 });
                self.reply(0, &std::iter::once(0x01).chain(records).collect::<Vec<_>>())
            }
            _ => self.reply(INVALID_COMMAND, &[]),
        }
    }

    /// The reply within session `id`, where the machine draws `watts`.
    pub fn within(&self, id: u32, watts: u16, second: u64) -> (Vec<u8>, Effect) {
        let good = |data: &[u8]| (self.reply(0, data), Effect::None);
        let bad = |code| (self.reply(code, &[]), Effect::None);
        match (self.net_fn, self.command, self.data) {
            // Get Device ID: firmware 1.05, IPMI 2.0, no repository, Intel's number as the maker.
            (0x06, 0x01, _) => {
                good(&[0x20, 0x01, 0x01, 0x05, 0x02, 0x80, 0x57, 0x01, 0, 0x01, 0x00, 0, 0, 0, 0])
            }
            (0x06, 0x38 | 0x54, _) => (self.outside(&Suite::ALL), Effect::None),
            // Set Session Privilege Level: up to administrator; 0 asks.
            (0x06, 0x3b, [level]) if *level <= 4 => good(&[(*level).max(2)]),
            (0x06, 0x3c, session) if session.starts_with(&id.to_le_bytes()) => {
                (self.reply(0, &[]), Effect::Close)
            }
            // Close Session with another id than its own.
            (0x06, 0x3c, _) => bad(0x87),
            // Get Chassis Status: on.
            (0x00, 0x01, _) => good(&[0x01, 0, 0, 0]),
            // DCMI capabilities: power management.
            (0x2c, 0x01, [0xdc, 0x01]) => good(&[0xdc, 0x01, 0x05, 0x02, 0x00, 0x01, 0x00]),
            // DCMI Get Power Reading: now, least, most and mean alike, over 1 s.
            (0x2c, 0x02, [0xdc, 0x01, ..]) => {
                let ([low, high], time) = (watts.to_le_bytes(), second.to_le_bytes());
                let mut data = vec![0xdc];
                data.extend([low, high].repeat(4));
                data.extend(time.iter().take(4));
                data.extend(1000u32.to_le_bytes());
                data.push(0x40);
                (self.reply(0, &data), Effect::Power)
            }
            (0x2c, 0x01 | 0x02, _) => bad(INVALID_DATA),
            _ => bad(INVALID_COMMAND),
        }
    }
}
