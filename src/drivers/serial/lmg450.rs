//! ZES ZIMMER LMG450 and LMG95: laboratory power meters, spoken to in their SHORT dialect, which send a line of values every
//! cycle. Parsing is pure; [`begin`] and [`end`] are the conversation around it.

use std::time::Duration;

use super::link::Link;
use super::telegram::{Pending, Readings, Signed, Telegram, channel, find, printable};
use crate::model::{ChannelId, Identity, PollError, Quantity};

/// A number beyond this stands for none: SCPI writes 9.91E37 for "not a number", 9.9E37 for infinity.
const NO_NUMBER: f64 = 9.0e37;
/// Longest line of values.
const MAX_LINE: usize = 1024;
/// For an answer to a question.
const ANSWER: Duration = Duration::from_secs(2);

/// What is asked of the meter.
#[derive(Debug, Clone, PartialEq)]
pub struct Measuring {
    /// Its channels, from 1; 0 stands for the only one of an LMG95, whose names bear no number.
    pub channels: Vec<u8>,
    /// What of each.
    pub quantities: Vec<Quantity>,
    /// Time from one line to the next: 50 ms to 60 s.
    pub cycle: Duration,
}

/// The value's name in the SHORT dialect; none for what the meter does not measure.
const fn command(quantity: Quantity) -> Option<&'static str> {
    match quantity {
        Quantity::Power => Some("P"),
        Quantity::ApparentPower => Some("S"),
        Quantity::Voltage => Some("UTRMS"),
        Quantity::Current => Some("ITRMS"),
        Quantity::PowerFactor => Some("PF"),
        Quantity::Frequency => Some("FREQ"),
        Quantity::Temperature | Quantity::Humidity | Quantity::Flow | Quantity::Energy => None,
    }
}

/// One value of a line.
#[derive(Debug)]
struct Value {
    drawn: ChannelId,
    given: ChannelId,
    quantity: Quantity,
    name: String,
}

/// From bytes to telegrams.
#[derive(Debug)]
pub(super) struct Framer {
    pub(super) pending: Pending,
    values: Vec<Value>,
    cycle: Duration,
    signed: Signed,
    identity: Option<Identity>,
    /// Whether the line that comes next is whole.
    begun: bool,
}

impl Framer {
    /// Nothing heard yet.
    ///
    /// # Errors
    /// Never.
    pub(super) fn new(measuring: &Measuring) -> Result<Self, PollError> {
        let mut values = Vec::new();
        for number in &measuring.channels {
            let (drawn, given, suffix) = match number {
                0 => ("input".to_owned(), "export".to_owned(), String::new()),
                n => (format!("channel/{n}"), format!("export/{n}"), n.to_string()),
            };
            for quantity in &measuring.quantities {
                let Some(command) = command(*quantity) else { continue };
                values.push(Value {
                    drawn: channel(&drawn)?,
                    given: channel(&given)?,
                    quantity: *quantity,
                    name: format!("{command}{suffix}"),
                });
            }
        }
        let (pending, signed) = (Pending::default(), Signed::default());
        Ok(Self { pending, values, cycle: measuring.cycle, signed, identity: None, begun: false })
    }

    /// Forgets a torn line.
    pub(super) fn reset(&mut self) {
        self.pending.clear();
        self.begun = false;
    }

    /// Time from one line to the next.
    pub(super) const fn cycle(&self) -> Duration {
        self.cycle
    }

    /// Takes what has arrived; gives the lines that are complete with it.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Vec<Telegram> {
        self.pending.push(bytes);
        let mut telegrams = Vec::new();
        while let Some(end) = find(self.pending.bytes(), b"\n") {
            let line =
                String::from_utf8_lossy(self.pending.bytes().get(..end).unwrap_or_default()).into_owned();
            self.pending.skip(end + 1);
            // The end of a line of which we did not see the beginning may look like a shorter number.
            let whole = std::mem::replace(&mut self.begun, true);
            if whole {
                telegrams.extend(self.line(&line));
            }
        }
        let torn = self.pending.bytes().len().saturating_sub(MAX_LINE);
        self.pending.skip(torn);
        if torn > 0 {
            self.begun = false;
        }
        telegrams
    }

    /// Values divided by `;`, as many as were asked for: anything else is none of ours.
    fn line(&mut self, line: &str) -> Option<Telegram> {
        if line.len() > MAX_LINE {
            return None;
        }
        let texts: Vec<&str> = line.trim().split(';').collect();
        if texts.len() != self.values.len() {
            return None;
        }
        let numbers: Option<Vec<f64>> = texts.iter().map(|text| number(text)).collect();
        let mut readings = Readings::default();
        for (value, number) in self.values.iter().zip(numbers?) {
            if number.abs() >= NO_NUMBER {
                continue;
            }
            match value.quantity {
                Quantity::Power => self.signed.add(&mut readings, &value.drawn, &value.given, number),
                Quantity::PowerFactor => readings.measured(&value.drawn, value.quantity, number.abs()),
                Quantity::ApparentPower
                | Quantity::Voltage
                | Quantity::Current
                | Quantity::Frequency
                | Quantity::Temperature
                | Quantity::Humidity
                | Quantity::Flow
                | Quantity::Energy => readings.measured(&value.drawn, value.quantity, number),
            }
        }
        let readings = readings.finish();
        let identity = self.identity.take();
        (!readings.is_empty()).then_some(Telegram { readings, identity })
    }
}

/// A decimal number, perhaps with exponent; not `inf`, not `nan`.
fn number(text: &str) -> Option<f64> {
    let text = text.trim();
    let plain = |b: u8| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.' | b'e' | b'E');
    let number: f64 = (text.len() <= 24 && text.bytes().all(plain)).then(|| text.parse().ok())??;
    number.is_finite().then_some(number)
}

/// Brings the meter to send: ends what a reader before us began, asks who it is, says what to send and how often.
///
/// # Errors
/// `Timeout` if it does not say who it is, `Unreachable` if the line is gone.
pub(super) async fn begin(link: &mut Link, framer: &mut Framer) -> Result<(), PollError> {
    framer.reset();
    link.send(b"\r\nCONT OFF\r\n").await?;
    link.send(b":SYSTem:LANGuage SHORT\r\n").await?;
    link.settle_for(framer.cycle.min(Duration::from_millis(500)).max(Duration::from_millis(150))).await?;
    link.send(b"*idn?\r\n").await?;
    let mut heard = Pending::default();
    let identity = loop {
        if !link.read(&mut heard, ANSWER).await? || heard.bytes().len() > MAX_LINE {
            return Err(link.silence("an answer to *idn?"));
        }
        if let Some(identity) = identity(heard.bytes()) {
            break identity;
        }
    };
    framer.identity = Some(identity);
    let names: Vec<String> = framer.values.iter().map(|value| format!("{}?", value.name)).collect();
    link.send(b"FRMT ASCII\r\n").await?;
    link.send(format!("CYCL {}\r\n", framer.cycle.as_secs_f64()).as_bytes()).await?;
    link.send(format!("ACTN;{}\r\n", names.join(";")).as_bytes()).await?;
    link.send(b"CONT ON\r\n").await?;
    // The answer began with a whole line, and so does what follows.
    framer.begun = true;
    Ok(())
}

/// Gives the meter back to whoever stands before it.
pub(super) async fn end(link: &mut Link) {
    // Best effort: the line may be gone.
    let _ = link.send(b"CONT OFF\r\nGTL\r\n").await;
}

/// `ZES ZIMMER Electronic Systems GmbH, LMG450, 12345678, 3.110`: a line of four.
fn identity(heard: &[u8]) -> Option<Identity> {
    let lines = heard.split_inclusive(|b| *b == b'\n').filter(|line| line.ends_with(b"\n"));
    lines.into_iter().find_map(|line| {
        let mut parts = line.split(|b| *b == b',').map(printable);
        let (vendor, model, serial, firmware) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        Some(Identity { vendor, model, serial, firmware, ..Identity::default() })
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn framer(channels: &[u8]) -> Framer {
        let quantities = vec![Quantity::Power, Quantity::Voltage];
        let cycle = Duration::from_millis(50);
        let mut framer = Framer::new(&Measuring { channels: channels.to_vec(), quantities, cycle }).unwrap();
        framer.begun = true;
        framer
    }

    fn lines(framer: &mut Framer, bytes: &str) -> Vec<String> {
        let readings = framer.push(bytes.as_bytes()).into_iter().flat_map(|t| t.readings);
        readings.map(|r| format!("{} {}", r.channel, r.measure.value())).collect()
    }

    #[test]
    fn a_line_has_the_values_that_were_asked_for() {
        let mut framer = framer(&[1, 2]);
        let names: Vec<&str> = framer.values.iter().map(|v| v.name.as_str()).collect();
        assert_eq!(names, ["P1", "UTRMS1", "P2", "UTRMS2"]);
        let got = lines(&mut framer, "100.5;230.1;1.2345E3;2.2990E+02\r\n");
        assert_eq!(got, ["channel/1 100.5", "channel/1 230.1", "channel/2 1234.5", "channel/2 229.9"]);
    }

    #[test]
    fn what_is_no_number_is_no_reading_and_a_wrong_line_is_nothing() {
        let mut framer = framer(&[0]);
        assert_eq!(lines(&mut framer, "9.91E+37;230\n"), ["input 230"]);
        for broken in ["100\n", "1;2;3\n", "1;inf\n", "1;0x10\n", "1;nan\n", ";\n", "\r\n", "\u{fffd};1\n"] {
            assert_eq!(lines(&mut framer, broken), [] as [&str; 0], "{broken}");
        }
        assert_eq!(lines(&mut framer, "-5;230\n"), ["input 0", "export 5", "input 230"]);
    }

    #[test]
    fn the_end_of_a_line_is_not_taken_for_a_line() {
        let mut framer = framer(&[0]);
        framer.reset();
        assert_eq!(lines(&mut framer, "00;230\n100;230\n"), ["input 100", "input 230"]);
        // Far too long: the rest of it is no line either.
        assert_eq!(lines(&mut framer, &"1".repeat(MAX_LINE + 5)), [] as [&str; 0]);
        assert_eq!(lines(&mut framer, "7;7\n8;8\n"), ["input 8", "input 8"]);
        // Nor is it if all of it comes at once.
        assert_eq!(lines(&mut framer, &format!("7;{}7\n", " ".repeat(MAX_LINE))), [] as [&str; 0]);
    }

    #[test]
    fn an_identity_is_a_line_of_four() {
        let who =
            identity(b"1;2\r\nZES ZIMMER Electronic Systems GmbH, LMG450, 12345678, 3.110\r\n").unwrap();
        assert_eq!(
            (who.model.as_str(), who.serial.as_str(), who.firmware.as_str()),
            ("LMG450", "12345678", "3.110")
        );
        assert_eq!(identity(b"ZES, LMG450, 1, 3.1"), None);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..3000)) {
            let mut framer = framer(&[1, 2, 3, 4]);
            let _ = (framer.push(&bytes), identity(&bytes));
            prop_assert!(framer.pending.bytes().len() <= MAX_LINE);
        }
    }
}
