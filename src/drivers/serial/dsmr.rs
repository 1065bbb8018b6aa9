//! Telegrams that a meter sends by itself: DSMR P1, and IEC 62056-21 mode D, which is the same without a checksum. Pure.

use super::obis::Fold;
use super::telegram::{Pending, Telegram, find};
use super::text;
use crate::model::PollError;

/// From bytes to telegrams.
#[derive(Debug)]
pub(super) struct Framer {
    pub(super) pending: Pending,
    fold: Fold,
    /// Whether this meter signs its telegrams: then one without a checksum is a torn one.
    signs: bool,
}

impl Framer {
    /// Nothing heard yet.
    ///
    /// # Errors
    /// Never.
    pub(super) fn new() -> Result<Self, PollError> {
        Ok(Self { pending: Pending::default(), fold: Fold::new()?, signs: false })
    }

    /// Forgets a torn telegram.
    pub(super) fn reset(&mut self) {
        self.pending.clear();
    }

    /// Takes what has arrived; gives the telegrams that are complete with it.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Vec<Telegram> {
        self.pending.push(bytes);
        let mut telegrams = Vec::new();
        while let Some(end) = end(self.pending.bytes()) {
            let heard = self.pending.bytes().get(..end).unwrap_or_default().to_vec();
            self.pending.skip(end);
            telegrams.extend(self.telegram(&heard));
        }
        telegrams
    }

    /// The telegram at the end of `heard`, which ends behind its last line. A torn one may stand before it.
    fn telegram(&mut self, heard: &[u8]) -> Option<Telegram> {
        let bang = find_bang(heard)?;
        let checksum = heard.get(bang + 1..)?.trim_ascii();
        let body = heard.get(..bang)?;
        let mut starts = body.windows(4).enumerate().filter(|(_, window)| is_start(window)).map(|(at, _)| at);
        let from = if checksum.is_empty() {
            if self.signs {
                return None;
            }
            starts.next_back()?
        } else {
            let wanted = parse_checksum(checksum)?;
            let good = |at: &usize| heard.get(*at..=bang).is_some_and(|signed| crc16(signed) == wanted);
            let from = starts.take(8).find(good)?;
            self.signs = true;
            from
        };
        let body = heard.get(from..bang)?;
        let header = body.get(..find(body, b"\n")?)?;
        let data = text::data(body);
        let readings = self.fold.fold(&data.items);
        let identity = Some(text::identity(header, data.serial));
        (!readings.is_empty()).then_some(Telegram { readings, identity })
    }
}

/// `/XXX` and a figure for the rate.
fn is_start(window: &[u8]) -> bool {
    matches!(window, [b'/', maker @ ..] if maker.iter().all(u8::is_ascii_alphabetic))
}

/// A telegram's `!` stands at the beginning of a line.
fn find_bang(bytes: &[u8]) -> Option<usize> {
    find(bytes, b"\n!").map(|at| at + 1)
}

/// Where the first telegram ends, with the line of its `!`.
fn end(bytes: &[u8]) -> Option<usize> {
    let bang = find_bang(bytes)?;
    let line = find(bytes.get(bang..)?, b"\n")?;
    Some(bang + line + 1)
}

fn parse_checksum(text: &[u8]) -> Option<u16> {
    let digits = (text.len() == 4 && text.iter().all(u8::is_ascii_hexdigit)).then_some(text)?;
    u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// CRC-16/ARC: polynomial 8005h reflected, from 0. Source: DSMR P1 Companion Standard 5.0.2, 6.2.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8)
            .fold(crc ^ u16::from(*byte), |crc, _| if crc & 1 == 1 { (crc >> 1) ^ 0xa001 } else { crc >> 1 })
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::Quantity;

    const BODY: &str = "/ISK5\\2M550T-1012\r\n\r\n1-3:0.2.8(50)\r\n0-0:1.0.0(261122084000W)\r\n\
        0-0:96.1.1(4530303434303037)\r\n1-0:1.8.1(001581.123*kWh)\r\n1-0:1.8.2(001435.706*kWh)\r\n\
        1-0:2.8.1(000000.000*kWh)\r\n1-0:2.8.2(000000.000*kWh)\r\n1-0:1.7.0(01.193*kW)\r\n1-0:2.7.0(00.000*kW)\r\n\
        1-0:32.7.0(230.1*V)\r\n0-1:24.2.1(261122083500W)(00024.123*m3)\r\n!";

    fn signed(body: &str) -> String {
        format!("{body}{:04X}\r\n", crc16(body.as_bytes()))
    }

    fn power(telegram: &Telegram) -> f64 {
        let power = |r: &&crate::model::Reading| r.measure.quantity() == Quantity::Power;
        telegram.readings.iter().find(power).unwrap().measure.value()
    }

    #[test]
    fn the_checksum_is_that_of_the_standard() {
        // The check value of CRC-16/ARC.
        assert_eq!(crc16(b"123456789"), 0xbb3d);
    }

    #[test]
    fn a_telegram_is_read_however_it_is_cut() {
        let bytes = signed(BODY);
        let whole = Framer::new().unwrap().push(bytes.as_bytes());
        assert_eq!(whole.len(), 1);
        assert_eq!(power(&whole[0]), 1193.0);
        // 1581.123 kWh + 1435.706 kWh = 3016.829 kWh = 10,860,584,400 J.
        let energy = whole[0].readings.iter().find(|r| r.measure.quantity() == Quantity::Energy).unwrap();
        assert_eq!(energy.measure.value(), 10_860_584_400.0);
        assert_eq!(whole[0].identity.as_ref().unwrap().serial, "E0044007");
        let mut framer = Framer::new().unwrap();
        let one_by_one: Vec<_> = bytes.bytes().flat_map(|b| framer.push(&[b])).collect();
        assert_eq!(one_by_one, whole);
    }

    #[test]
    fn a_torn_or_garbled_telegram_leaves_nothing_and_spoils_not_the_next() {
        let good = signed(BODY);
        let garbled = good.replace("01.193", "91.193");
        let later = signed(&BODY.replace("01.193", "02.000"));
        let torn = good.get(..good.len() / 2).unwrap();
        for before in [garbled.as_str(), torn, "!\r\n", "/ISK5\r\n!0000\r\n", "\r\n!XYZ!\r\n", "\u{0}\u{7f}!"]
        {
            let mut framer = Framer::new().unwrap();
            let got = framer.push(format!("{before}{later}").as_bytes());
            assert_eq!(got.iter().map(power).collect::<Vec<_>>(), [2000.0], "{before}");
        }
    }

    #[test]
    fn a_meter_that_signs_is_not_believed_without_signature() {
        let unsigned = format!("{BODY}\r\n");
        let mut framer = Framer::new().unwrap();
        assert_eq!(framer.push(unsigned.as_bytes()).len(), 1, "DSMR 2 and 3 have none");
        assert_eq!(framer.push(signed(BODY).as_bytes()).len(), 1);
        assert_eq!(framer.push(unsigned.as_bytes()).len(), 0);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..600), cut in 0..600usize) {
            let mut framer = Framer::new().unwrap();
            let _ = framer.push(&bytes);
            let mut mixed = signed(BODY).into_bytes();
            mixed.truncate(cut);
            mixed.extend(bytes);
            let _ = framer.push(&mixed);
        }
    }
}
