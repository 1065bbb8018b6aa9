//! An open port with the habits of old meters: seven bits, parity by software where the port has none, and words for silence.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::Settings;
use super::inbox::Inbox;
use super::line::{Line, Parity};
use super::port::Port;
use super::telegram::Pending;
use crate::model::PollError;

/// Whoever does not take our bytes by then will not.
const WRITE: Duration = Duration::from_secs(5);
/// A line is quiet when nothing came for so long.
const QUIET: Duration = Duration::from_millis(150);
/// Waited for quiet at most: who babbles on is read nevertheless.
const BABBLE: Duration = Duration::from_secs(3);

/// The line to one meter.
#[derive(Debug)]
pub(super) struct Link {
    port: Port,
    settings: Arc<Settings>,
    inbox: Arc<Inbox>,
}

impl Link {
    /// Opens the meter's line.
    ///
    /// # Errors
    /// As [`Port::open`].
    pub(super) async fn open(settings: &Arc<Settings>, inbox: &Arc<Inbox>) -> Result<Self, PollError> {
        let mut port = Port::open(&settings.address, settings.line).await?;
        if let Some(rts) = settings.rts {
            port.set_rts(rts);
        }
        Ok(Self { port, settings: Arc::clone(settings), inbox: Arc::clone(inbox) })
    }

    /// Changes the rate.
    ///
    /// # Errors
    /// As [`Port::set`].
    pub(super) fn set(&mut self, line: Line) -> Result<(), PollError> {
        self.port.set(line)
    }

    /// Adds to `heard` what arrives within `patience`; false if nothing did.
    ///
    /// # Errors
    /// `Unreachable` if the line is gone.
    pub(super) async fn read(&mut self, heard: &mut Pending, patience: Duration) -> Result<bool, PollError> {
        let mut bytes = [0; 1024];
        let Ok(read) = timeout(patience, self.port.read(&mut bytes)).await else { return Ok(false) };
        let read = read.map_err(|error| self.port.gone(&error))?;
        let got = bytes.get_mut(..read).unwrap_or_default();
        self.inbox.heard(got.len());
        if self.settings.line.format.seven_bits || self.settings.software_parity {
            // The eighth bit is parity where the port did not take it off.
            for byte in got.iter_mut() {
                *byte &= 0x7f;
            }
        }
        heard.push(got);
        Ok(true)
    }

    /// Sends `bytes`.
    ///
    /// # Errors
    /// `Unreachable` if the line is gone or does not take them.
    pub(super) async fn send(&mut self, bytes: &[u8]) -> Result<(), PollError> {
        let with_parity: Vec<u8>;
        let bytes = if self.settings.software_parity {
            with_parity = bytes.iter().map(|byte| parity(*byte, self.settings.line.format.parity)).collect();
            &with_parity
        } else {
            bytes
        };
        let sent = timeout(WRITE, self.port.write_all(bytes)).await;
        let sent = sent.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()));
        sent.map_err(|error| self.port.gone(&error))
    }

    /// Throws away what is late, until the line is quiet: what is sent afterwards is answered by what comes afterwards.
    ///
    /// # Errors
    /// `Unreachable` if the line is gone.
    pub(super) async fn settle(&mut self) -> Result<(), PollError> {
        self.settle_for(QUIET).await
    }

    /// The same, where quiet is silence for `quiet`.
    ///
    /// # Errors
    /// As [`Link::settle`].
    pub(super) async fn settle_for(&mut self, quiet: Duration) -> Result<(), PollError> {
        self.port.drain().map_err(|error| self.port.gone(&error))?;
        let mut scrap = Pending::default();
        let hush = async {
            while self.read(&mut scrap, quiet).await? {
                scrap.clear();
            }
            Ok(())
        };
        timeout(quiet + BABBLE, hush).await.unwrap_or(Ok(()))
    }

    /// Why `what` did not come: nothing came at all, or what came was something else.
    pub(super) fn silence(&self, what: &str) -> PollError {
        self.settings.silence(what, self.inbox.bytes_since())
    }
}

/// The byte with its parity in the eighth bit; even unless odd is asked for.
fn parity(byte: u8, kind: Parity) -> u8 {
    let ones = (byte & 0x7f).count_ones();
    let set = match kind {
        Parity::None | Parity::Even => ones % 2 == 1,
        Parity::Odd => ones.is_multiple_of(2),
    };
    (byte & 0x7f) | if set { 0x80 } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parity_makes_the_ones_even() {
        // '/' is 2Fh with five ones, '?' 3Fh with six.
        assert_eq!((parity(b'/', Parity::Even), parity(b'?', Parity::Even)), (0xaf, 0x3f));
        assert_eq!((parity(b'/', Parity::Odd), parity(b'?', Parity::Odd)), (0x2f, 0xbf));
    }
}
