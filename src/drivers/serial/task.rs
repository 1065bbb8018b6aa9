//! The task that owns a meter's line: opens it, listens or asks, and leaves what comes in the inbox. What goes wrong is left there
//! too, and the line is opened anew when the next poll wants something.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::inbox::Inbox;
use super::line::Address;
use super::link::Link;
use super::telegram::{Pending, Telegram};
use super::{Protocol, Settings, dsmr, eaton_xcp, iec62056, lmg450, megatec, sml, wattsup};
use crate::model::{Clock, ErrorKind, PollError};

/// After the wattmeter's silence for so long it is told to log again.
const RESTART: Duration = Duration::from_secs(3);
/// A device server that is silent for so long may have forgotten us.
const FORGOTTEN: Duration = Duration::from_secs(60);
/// An answer may be late by so much: after a failed exchange nothing is asked until the line was quiet for so long.
const LATE: Duration = Duration::from_secs(2);

/// A meter's side of the conversation, with what it knows of the meter.
enum Meter {
    WattsUp(wattsup::Framer),
    Lmg450(lmg450::Framer),
    Telegrams(dsmr::Framer),
    Sml(sml::Framer),
    Iec62056(Box<iec62056::Reader>),
    Megatec(megatec::Reader),
    EatonXcp(Box<eaton_xcp::Reader>),
}

impl Meter {
    fn new(settings: &Settings) -> Result<Self, PollError> {
        Ok(match &settings.protocol {
            Protocol::WattsUp => Self::WattsUp(wattsup::Framer::new()?),
            Protocol::Lmg450(measuring) => Self::Lmg450(lmg450::Framer::new(measuring)?),
            Protocol::Dsmr | Protocol::Iec62056Push => Self::Telegrams(dsmr::Framer::new()?),
            Protocol::Sml(sign) => Self::Sml(sml::Framer::new(*sign)?),
            Protocol::Iec62056(asking) => {
                Self::Iec62056(Box::new(iec62056::Reader::new(asking.clone(), settings.line)?))
            }
            Protocol::Megatec(rated) => Self::Megatec(megatec::Reader::new(*rated)?),
            Protocol::EatonXcp => Self::EatonXcp(Box::new(eaton_xcp::Reader::new()?)),
        })
    }

    /// The telegrams in what has arrived; none from meters that are asked.
    fn understand(&mut self, bytes: &[u8]) -> Vec<Telegram> {
        match self {
            Self::WattsUp(framer) => framer.push(bytes),
            Self::Lmg450(framer) => framer.push(bytes),
            Self::Telegrams(framer) => framer.push(bytes),
            Self::Sml(framer) => framer.push(bytes),
            Self::Iec62056(_) | Self::Megatec(_) | Self::EatonXcp(_) => Vec::new(),
        }
    }
}

/// Everything the task needs.
pub(super) struct Task {
    pub(super) settings: Arc<Settings>,
    pub(super) inbox: Arc<Inbox>,
    pub(super) clock: Arc<dyn Clock>,
}

impl Task {
    /// Runs until `stop`, then says goodbye to the meter.
    pub(super) async fn run(self, stop: CancellationToken) {
        let mut meter = match Meter::new(&self.settings) {
            Ok(meter) => meter,
            Err(error) => return self.inbox.fail(error),
        };
        // The first poll's wish waits in the inbox; the one that had the line opened anew was taken out of it.
        let mut wanted = false;
        while !stop.is_cancelled() {
            let opened = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                opened = Link::open(&self.settings, &self.inbox) => opened,
            };
            let failed = match opened {
                Ok(mut link) => {
                    let failed = tokio::select! {
                        biased;
                        () = stop.cancelled() => None,
                        Err(error) = self.converse(&mut link, &mut meter, wanted) => Some(error),
                    };
                    match failed {
                        Some(error) => error,
                        None => return farewell(&mut link, &meter).await,
                    }
                }
                Err(error) => error,
            };
            self.inbox.fail(failed);
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.inbox.wait_for_poll() => wanted = true,
            }
        }
    }

    /// Goes on as long as the line lasts.
    async fn converse(
        &self,
        link: &mut Link,
        meter: &mut Meter,
        wanted: bool,
    ) -> Result<Infallible, PollError> {
        match meter {
            Meter::WattsUp(framer) => {
                framer.reset();
                link.send(wattsup::START).await?;
            }
            Meter::Lmg450(framer) => lmg450::begin(link, framer).await?,
            Meter::Telegrams(framer) => framer.reset(),
            Meter::Sml(framer) => framer.reset(),
            Meter::Iec62056(_) | Meter::Megatec(_) | Meter::EatonXcp(_) => {
                return self.answer(link, meter, wanted).await;
            }
        }
        self.listen(link, meter).await
    }

    /// For meters that send by themselves.
    async fn listen(&self, link: &mut Link, meter: &mut Meter) -> Result<Infallible, PollError> {
        let (patience, spacing) = match meter {
            Meter::WattsUp(_) => (RESTART, None),
            Meter::Lmg450(framer) => (framer.cycle() * 3 + Duration::from_secs(2), Some(framer.cycle())),
            Meter::Telegrams(_)
            | Meter::Sml(_)
            | Meter::Iec62056(_)
            | Meter::Megatec(_)
            | Meter::EatonXcp(_) => (FORGOTTEN, None),
        };
        let mut arrived = Pending::default();
        loop {
            let heard = link.read(&mut arrived, patience).await?;
            let telegrams = meter.understand(arrived.bytes());
            arrived.clear();
            self.inbox.give(telegrams, self.clock.as_ref(), spacing);
            if heard {
                continue;
            }
            match meter {
                Meter::WattsUp(_) => link.send(wattsup::START).await?,
                Meter::Lmg450(_) => return Err(link.silence("a line of values")),
                Meter::Telegrams(_)
                | Meter::Sml(_)
                | Meter::Iec62056(_)
                | Meter::Megatec(_)
                | Meter::EatonXcp(_) => match self.settings.address {
                    Address::Tcp(_) => return Err(link.silence("a telegram")),
                    Address::Device(_) => {}
                },
            }
        }
    }

    /// For meters that only answer: one exchange for each poll, and never a second before the first is over.
    async fn answer(
        &self,
        link: &mut Link,
        meter: &mut Meter,
        mut wanted: bool,
    ) -> Result<Infallible, PollError> {
        loop {
            if !std::mem::take(&mut wanted) {
                self.inbox.wait_for_poll().await;
            }
            let answered = match meter {
                Meter::Iec62056(reader) => reader.ask(link).await,
                Meter::Megatec(reader) => reader.ask(link).await,
                Meter::EatonXcp(reader) => reader.ask(link).await,
                Meter::WattsUp(_) | Meter::Lmg450(_) | Meter::Telegrams(_) | Meter::Sml(_) => Err(
                    PollError::new(ErrorKind::Protocol, "not a meter that answers", "report this as a bug"),
                ),
            };
            match answered {
                Ok(telegram) => self.inbox.give(vec![telegram], self.clock.as_ref(), None),
                Err(error) if error.kind == ErrorKind::Unreachable => return Err(error),
                Err(error) if matches!(self.settings.address, Address::Tcp(_)) => return Err(error),
                Err(error) => {
                    self.inbox.fail(error);
                    // What comes now answers the question that has failed, not the next one.
                    link.settle_for(LATE).await?;
                }
            }
        }
    }
}

/// Leaves the meter as it was found, as far as it can be told to.
async fn farewell(link: &mut Link, meter: &Meter) {
    let told = async {
        match meter {
            Meter::WattsUp(_) => {
                let _ = link.send(wattsup::STOP).await;
            }
            Meter::Lmg450(_) => lmg450::end(link).await,
            Meter::Telegrams(_)
            | Meter::Sml(_)
            | Meter::Iec62056(_)
            | Meter::Megatec(_)
            | Meter::EatonXcp(_) => return,
        }
        // Closing throws away what is not yet on the wire.
        let _ = link.settle_for(Duration::from_millis(200)).await;
    };
    let _ = timeout(Duration::from_secs(1), told).await;
}
