//! IEC 62056-21 by request: modes A, B and C. A meter is greeted at 300 baud, says in its answer how fast it can go on, and then
//! sends its table once. The parsing is pure; [`Reader::ask`] is the conversation.

use std::time::Duration;

use tokio::time::sleep;

use super::line::Line;
use super::link::Link;
use super::obis::Fold;
use super::telegram::{MAX_MESSAGE, Pending, Telegram, find};
use super::text;
use crate::model::{ErrorKind, PollError};

/// The longest a meter may think before it answers; the standard allows 1.5 s, some take more.
const ANSWER: Duration = Duration::from_secs(4);
/// Longer silence within an answer ends it.
const PAUSE: Duration = Duration::from_millis(2500);
/// The longest a whole table may take: 32 kB at 4800 baud; tables are short where the rate is lower.
const TABLE: Duration = Duration::from_secs(120);
/// Between our acknowledgement and the new rate.
const TURNAROUND: Duration = Duration::from_millis(250);
/// Longest answer to the greeting.
const MAX_IDENTITY: usize = 256;

const STX: u8 = 0x02;
const ETX: u8 = 0x03;
const ACK: u8 = 0x06;

/// How such a meter is asked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Asking {
    /// Its number, where several share a line; empty for the only one.
    pub address: String,
    /// Whether to stay at the first rate, as a device server must.
    pub keep_baud: bool,
}

/// How the conversation goes on after a meter has said who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// The table follows at once.
    A,
    /// The table follows at another rate.
    B { baud: u32 },
    /// The table follows at another rate, once we agree to it.
    C { figure: u8, baud: u32 },
}

/// What the character behind the maker's three letters says.
fn mode(figure: u8) -> Mode {
    const RATES: [u32; 7] = [300, 600, 1200, 2400, 4800, 9600, 19_200];
    let rate = |place: u8| RATES.get(usize::from(place)).copied();
    match figure {
        b'0'..=b'9' => rate(figure - b'0').map_or(Mode::A, |baud| Mode::C { figure, baud }),
        b'A'..=b'I' => rate(figure - b'A' + 1).map_or(Mode::A, |baud| Mode::B { baud }),
        _ => Mode::A,
    }
}

/// The first whole line that begins with `/` and three letters: an echo of our own greeting does not.
pub(super) fn header(bytes: &[u8]) -> Option<&[u8]> {
    let mut lines = bytes.split_inclusive(|b| *b == b'\n').filter(|line| line.ends_with(b"\n"));
    lines.find_map(|line| {
        let from = line
            .windows(5)
            .position(|w| matches!(w, [b'/', maker @ .., _] if maker.iter().all(u8::is_ascii_alphabetic)))?;
        line.get(from..).map(<[u8]>::trim_ascii_end)
    })
}

/// What there is of a data block.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Block<'a> {
    /// Not complete.
    Open,
    /// Complete, and its checksum is right.
    Good(&'a [u8]),
    /// Complete, but garbled.
    Garbled,
}

/// `STX data ! CR LF ETX BCC`; the checksum is the exclusive or of all behind STX up to ETX.
pub(super) fn block(bytes: &[u8]) -> Block<'_> {
    let Some(body) = bytes.iter().position(|b| *b == STX).and_then(|at| bytes.get(at + 1..)) else {
        return Block::Open;
    };
    let Some(end) = body.iter().position(|b| *b == ETX) else { return Block::Open };
    let (Some(checked), Some(checksum)) = (body.get(..=end), body.get(end + 1)) else { return Block::Open };
    if checked.iter().fold(0, |sum, b| sum ^ b) == *checksum {
        Block::Good(body.get(..end).unwrap_or_default())
    } else {
        Block::Garbled
    }
}

/// A meter that is asked, time and again.
#[derive(Debug)]
pub(super) struct Reader {
    asking: Asking,
    line: Line,
    fold: Fold,
}

impl Reader {
    /// Never asked yet.
    ///
    /// # Errors
    /// Never.
    pub(super) fn new(asking: Asking, line: Line) -> Result<Self, PollError> {
        Ok(Self { asking, line, fold: Fold::new()? })
    }

    /// Asks once.
    ///
    /// # Errors
    /// `Timeout` if nothing came, `Protocol` if it was no table, `Unreachable` if the line is gone.
    pub(super) async fn ask(&mut self, link: &mut Link) -> Result<Telegram, PollError> {
        link.set(self.line)?;
        link.settle().await?;
        link.send(format!("/?{}!\r\n", self.asking.address).as_bytes()).await?;
        let mut heard = Pending::default();
        let who = loop {
            if !link.read(&mut heard, ANSWER).await? || heard.bytes().len() > MAX_IDENTITY {
                return Err(link.silence("an answer to the greeting"));
            }
            if let Some(found) = header(heard.bytes()) {
                break found.to_vec();
            }
        };
        let rest = find(heard.bytes(), &who).map_or(0, |at| at + who.len());
        heard.skip(rest);
        self.agree(link, &who).await?;
        let table = self.table(link, heard).await?;
        let data = text::data(&table);
        let readings = self.fold.fold(&data.items);
        if readings.is_empty() {
            return Err(PollError::new(
                ErrorKind::NoReading,
                "the meter's table holds no power or energy under a code that is known",
                "many meters show more once the owner enters a PIN; see which codes it sends in its manual",
            ));
        }
        Ok(Telegram { readings, identity: Some(text::identity(&who, data.serial)) })
    }

    async fn agree(&self, link: &mut Link, who: &[u8]) -> Result<(), PollError> {
        let baud = match mode(who.get(4).copied().unwrap_or_default()) {
            Mode::A => return Ok(()),
            Mode::B { baud } => baud,
            Mode::C { figure, baud } => {
                let (figure, baud) = if self.asking.keep_baud { (b'0', 300) } else { (figure, baud) };
                sleep(TURNAROUND).await;
                link.send(&[ACK, b'0', figure, b'0', b'\r', b'\n']).await?;
                baud
            }
        };
        if self.asking.keep_baud || baud == self.line.baud {
            return Ok(());
        }
        // The last character must be out before the rate changes: six of them take 200 ms at 300 baud.
        sleep(TURNAROUND).await;
        link.set(Line { baud, ..self.line })
    }

    async fn table(&self, link: &mut Link, mut heard: Pending) -> Result<Vec<u8>, PollError> {
        let read = async {
            loop {
                let patience = if heard.bytes().is_empty() { ANSWER } else { PAUSE };
                let more = link.read(&mut heard, patience).await?;
                match block(heard.bytes()) {
                    Block::Good(table) => return Ok(table.to_vec()),
                    Block::Garbled => return Err(garbled()),
                    // In mode A some meters send the bare lines, and then nothing.
                    Block::Open if !more => {
                        let bare = heard.bytes();
                        return match find(bare, b"\n!") {
                            Some(end) if !bare.contains(&STX) => {
                                Ok(bare.get(..end).unwrap_or_default().to_vec())
                            }
                            Some(_) | None => Err(link.silence("the end of its table")),
                        };
                    }
                    Block::Open if heard.bytes().len() >= MAX_MESSAGE => return Err(garbled()),
                    Block::Open => {}
                }
            }
        };
        tokio::time::timeout(TABLE, read).await.unwrap_or_else(|_| Err(garbled()))
    }
}

fn garbled() -> PollError {
    PollError::new(
        ErrorKind::Protocol,
        "the meter's table arrived garbled: its checksum is wrong",
        "place the optical head anew, with its cable downwards, and keep sunlight off it; check the rate",
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_figure_behind_the_maker_says_how_it_goes_on() {
        assert_eq!(mode(b'5'), Mode::C { figure: b'5', baud: 9600 });
        assert_eq!(mode(b'0'), Mode::C { figure: b'0', baud: 300 });
        assert_eq!(mode(b'A'), Mode::B { baud: 600 });
        assert_eq!(mode(b'F'), Mode::B { baud: 19_200 });
        for figure in [b'7', b'G', b' ', 0] {
            assert_eq!(mode(figure), Mode::A);
        }
    }

    #[test]
    fn an_echo_is_no_answer() {
        assert_eq!(header(b"/?!\r\n"), None);
        assert_eq!(header(b"/?12345678!\r\n/EMH5\\@201LMZ22\r\n"), Some(&b"/EMH5\\@201LMZ22"[..]));
        assert_eq!(header(b"\0\xff/EMH5\\@201LMZ22\r"), None, "not all of it is there yet");
        assert_eq!(header(b"/EMH5\\@20\n"), Some(&b"/EMH5\\@20"[..]));
    }

    #[test]
    fn a_block_is_whole_and_right_or_nothing() {
        // 31 ^ 28 ^ 29 ^ 0D ^ 0A ^ 21 ^ 0D ^ 0A ^ 03 (all hexadecimal): 31^28=19, ^29=30, the two CR LF cancel out, ^21=11, ^03=12.
        let good = b"\x06050\r\n\x021()\r\n!\r\n\x03\x12";
        assert_eq!(block(good), Block::Good(b"1()\r\n!\r\n"));
        for end in 0..good.len() {
            assert_eq!(block(&good[..end]), Block::Open, "{end}");
        }
        assert_eq!(block(b"\x021()\r\n!\r\n\x03\x13"), Block::Garbled);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = (header(&bytes), block(&bytes));
        }
    }
}
