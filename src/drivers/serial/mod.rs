//! Wattmeters and electricity meters on a serial port, or behind a serial device server.
//!
//! - `line`, `port`, `trouble`: a port that is opened for us alone, and words for all that can go wrong with it;
//! - `wattsup`, `lmg450`, `dsmr`, `sml`, `iec62056`, `megatec`, `eaton_xcp`: a protocol each, pure but for its conversation;
//! - `obis`, `text`, `telegram`: what several of them share;
//! - `task`, `link`, `inbox`: a task owns the line and reads it all the time; a poll fetches what has come since the last one.

use std::sync::Arc;
use std::time::Duration;

use humantime::format_duration;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use self::inbox::Inbox;
use self::line::{Address, Line};
use self::task::Task;
use super::{Driver, Kind};
use crate::model::{Batch, BoxFuture, ChannelInfo, Clock, ErrorKind, PollError, Watts};

mod dsmr;
mod eaton_xcp;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod iec62056;
mod inbox;
pub mod line;
mod link;
mod lmg450;
mod megatec;
mod obis;
pub(in crate::drivers) mod port;
mod sml;
mod task;
mod telegram;
mod text;
mod trouble;
mod wattsup;

pub use iec62056::Asking;
pub use lmg450::Measuring;
pub use sml::PowerSign;

/// This driver's line in the registry.
pub const KIND: Kind = Kind { name: "serial", about: "Wattmeters and electricity meters on a serial port" };

/// What a meter speaks.
#[derive(Debug, Clone, PartialEq)]
pub enum Protocol {
    /// Watts Up? PRO.
    WattsUp,
    /// ZES ZIMMER LMG450 or LMG95.
    Lmg450(Measuring),
    /// IEC 62056-21 by request: modes A, B and C.
    Iec62056(Asking),
    /// IEC 62056-21 mode D: the meter sends by itself.
    Iec62056Push,
    /// DSMR P1.
    Dsmr,
    /// SML.
    Sml(PowerSign),
    /// UPSes that answer `Q1`; with the real power that 100 % of load stand for, where it is known.
    Megatec(Option<Watts>),
    /// Eaton UPSes with XCP.
    EatonXcp,
}

impl Protocol {
    /// Rate and format that most meters of this kind have.
    #[must_use]
    pub const fn usual(&self) -> &'static str {
        match self {
            Self::WattsUp => "115200 8N1",
            Self::Lmg450(_) => "57600 8N1",
            Self::Iec62056(_) => "300 7E1",
            Self::Iec62056Push => "2400 7E1",
            Self::Dsmr => "115200 8N1, before version 4 9600 7E1",
            Self::Sml(_) => "9600 8N1",
            Self::Megatec(_) => "2400 8N1",
            Self::EatonXcp => "19200 8N1, some models 9600 or 2400",
        }
    }

    /// Whether the meter says nothing unless it is asked.
    const fn is_asked(&self) -> bool {
        match self {
            Self::Iec62056(_) | Self::Megatec(_) | Self::EatonXcp => true,
            Self::WattsUp | Self::Lmg450(_) | Self::Iec62056Push | Self::Dsmr | Self::Sml(_) => false,
        }
    }

    /// What is known of the meter's channels beside their readings. An LMG's error depends on its measuring range, which it does not
    /// say; the others do not say which meter they are, or not its class.
    ///
    /// # Errors
    /// Never.
    fn channels(&self) -> Result<Vec<ChannelInfo>, PollError> {
        match self {
            Self::WattsUp => Ok(vec![wattsup::info()?]),
            Self::Lmg450(_)
            | Self::Iec62056(_)
            | Self::Iec62056Push
            | Self::Dsmr
            | Self::Sml(_)
            | Self::Megatec(_)
            | Self::EatonXcp => Ok(Vec::new()),
        }
    }

    /// Where to look when nothing comes.
    const fn hint(&self) -> &'static str {
        match self {
            Self::WattsUp => "check the cable, and that the meter is plugged in",
            Self::Lmg450(_) => {
                "check the cable (a null modem cable with RTS and CTS), and the interface and rate in the meter's menu"
            }
            Self::Iec62056(_) => {
                "check the cable and the optical head's place on the meter, and the meter's `address`"
            }
            Self::Iec62056Push | Self::Sml(_) => {
                "check the cable and the optical head's place on the meter; give it a longer `interval` if it sends rarely"
            }
            Self::Dsmr => {
                "check the cable (its request wire must be high, its data inverted), and that the P1 port is switched on; \
                 version 4 sends every 10 s: set `interval` and `timeout` to more"
            }
            Self::Megatec(_) | Self::EatonXcp => {
                "check the cable, the port's setting on the UPS, and the protocol"
            }
        }
    }
}

/// All that the driver needs to know of one meter.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Where the line begins.
    pub address: Address,
    /// Rate, format, flow control; for meters that change them, those of the greeting.
    pub line: Line,
    /// Whether parity is made and taken off here, since the port or device server passes eight bits.
    pub software_parity: bool,
    /// What RTS is set to after opening; left alone if none.
    pub rts: Option<bool>,
    /// What the meter speaks.
    pub protocol: Protocol,
    /// Deadline of a poll.
    pub timeout: Duration,
}

impl Settings {
    /// Why `what` did not come.
    fn silence(&self, what: &str, bytes: usize) -> PollError {
        if bytes == 0 {
            let cause = format!("nothing came over {}, where {what} was due", self.address);
            return PollError::new(ErrorKind::Timeout, cause, self.protocol.hint());
        }
        let set = match &self.address {
            Address::Device(_) => format!("it is set to {}", self.line),
            Address::Tcp(_) => "they are set on the device server".to_owned(),
        };
        PollError::new(
            ErrorKind::Protocol,
            format!("{bytes} bytes came over {}, but not {what}", self.address),
            format!(
                "check rate and parity (this protocol is usually {}; {set}), and that the meter speaks this protocol",
                self.protocol.usual()
            ),
        )
    }
}

/// Builds the driver; opens nothing yet. The task that owns the line begins with the first poll.
///
/// # Errors
/// Never.
pub fn open(settings: Settings, clock: Arc<dyn Clock>) -> Result<Box<dyn Driver>, PollError> {
    let settings = Arc::new(settings);
    Ok(Box::new(Serial { settings, clock, inbox: Arc::default(), running: None, told: false }))
}

struct Serial {
    settings: Arc<Settings>,
    clock: Arc<dyn Clock>,
    inbox: Arc<Inbox>,
    running: Option<Running>,
    /// Whether a poll has said what is known of the channels.
    told: bool,
}

/// The task, which ends with this.
struct Running {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
        self.task.abort();
    }
}

impl Serial {
    /// Starts the task, anew if it has died.
    fn listen(&mut self) {
        if self.running.as_ref().is_some_and(|running| !running.task.is_finished()) {
            return;
        }
        let stop = CancellationToken::new();
        let (settings, inbox) = (Arc::clone(&self.settings), Arc::clone(&self.inbox));
        let task = Task { settings, inbox, clock: Arc::clone(&self.clock) };
        self.running = Some(Running { task: tokio::spawn(task.run(stop.clone())), stop });
    }

    /// Hands over all that came since the last poll; waits for it if that is nothing, and for an answer if the meter is asked.
    async fn fetch(&mut self) -> Result<Batch, PollError> {
        self.listen();
        let begun = self.clock.now();
        self.inbox.ask();
        // A little before the poller's deadline, so that what is said is said by whoever knows why.
        let whole = self.settings.timeout - self.settings.timeout / 10;
        // What a meter sends by itself is there already, with its own moments.
        if self.settings.protocol.is_asked() || !self.inbox.has_telegrams() {
            let _ = timeout(whole, self.inbox.news(begun)).await;
        }
        if let Some(mut batch) = self.inbox.take(begun, self.clock.as_ref()) {
            if !self.told {
                batch.channels = self.settings.protocol.channels()?;
                self.told = true;
            }
            return Ok(batch);
        }
        Err(self.inbox.error().unwrap_or_else(|| {
            let what = format!("a reading within {}", format_duration(whole));
            self.settings.silence(&what, self.inbox.bytes_since())
        }))
    }
}

impl Driver for Serial {
    fn poll(&mut self) -> BoxFuture<'_, Result<Batch, PollError>> {
        Box::pin(self.fetch())
    }

    fn close(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            if let Some(running) = &mut self.running {
                running.stop.cancel();
                let _ = (&mut running.task).await;
            }
            self.running = None;
        })
    }
}
