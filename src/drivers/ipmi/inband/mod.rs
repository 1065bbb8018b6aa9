//! The BMC of the machine that this program runs on, through the kernel's `/dev/ipmi0`: no network, no session, no
//! password, but the right to open the device.

use std::ffi::c_long;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use tokio::io::unix::AsyncFd;
use tokio::time::{sleep, timeout};

use super::errors::Trouble;
use super::link::{Ask, NODE_BUSY, PAUSES};
use super::reading::{Poll, Reader};
use super::session::{Fault, Step};
use super::wire::message::{Reply, Request};
use super::{Settings, Shared};
use crate::drivers::Driver;
use crate::model::{Batch, BoxFuture, ErrorKind, PollError};

mod ioctl;

/// Destination unavailable.
const NOBODY_THERE: u8 = 0xd3;

/// The machine's BMC over time.
pub struct Local {
    path: PathBuf,
    settings: Settings,
    shared: Arc<Shared>,
    open: Option<InBand>,
    reader: Reader,
}

impl Local {
    /// Opens nothing yet.
    pub fn new(path: PathBuf, settings: Settings, shared: Arc<Shared>) -> Self {
        Self { path, settings, shared, open: None, reader: Reader::default() }
    }

    async fn read(&mut self) -> Result<Batch, Trouble> {
        let bmc = match &mut self.open {
            Some(bmc) => bmc,
            closed @ None => {
                let bmc = InBand::open(&self.path, self.settings.request_timeout).map_err(Trouble::Other)?;
                self.reader.reopened();
                closed.insert(bmc)
            }
        };
        let clock = self.shared.clock.as_ref();
        let poll = Poll { settings: &self.settings, clock, begun: clock.now(), protection: "in-band" };
        self.reader.read(bmc, poll).await
    }
}

impl Driver for Local {
    fn poll(&mut self) -> BoxFuture<'_, Result<Batch, PollError>> {
        Box::pin(async move {
            let result = self.read().await;
            if let Err(Trouble::Session(_)) = result {
                // The driver of the interface may have been loaded anew.
                self.open = None;
            }
            result.map_err(|trouble| trouble.explain(&self.settings))
        })
    }
}

/// The device, opened.
struct InBand {
    device: AsyncFd<OwnedFd>,
    patience: Duration,
    /// Number of the last request: a reply to an earlier one, whose poll was cut short, bears another.
    number: c_long,
}

impl InBand {
    /// Opens the device.
    ///
    /// # Errors
    /// `Unreachable` where there is none, `Auth` where it may not be opened.
    fn open(path: &Path, patience: Duration) -> Result<Self, PollError> {
        let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let cannot = |errno: Errno| {
            let (kind, fix) = match errno {
                Errno::ACCESS | Errno::PERM => (
                    ErrorKind::Auth,
                    "let this program's user open it: a udev rule such as \
                     SUBSYSTEM==\"ipmi\", GROUP=\"wattribute\", MODE=\"0660\"",
                ),
                Errno::NOENT | Errno::NODEV | Errno::NXIO => (
                    ErrorKind::Unreachable,
                    "load the kernel modules ipmi_devintf and ipmi_si (modprobe), and check that this machine has a BMC",
                ),
                _other => (ErrorKind::Unreachable, "look at the kernel's log for ipmi"),
            };
            PollError::new(kind, format!("{} cannot be opened: {errno}", path.display()), fix)
        };
        let device = rustix::fs::open(path, flags, Mode::empty()).map_err(cannot)?;
        let device = ioctl::register(device).map_err(|e| {
            let cause = format!("{} cannot be waited for: {e}", path.display());
            PollError::new(
                ErrorKind::Unreachable,
                cause,
                "give the path of the kernel's IPMI device, /dev/ipmi0",
            )
        })?;
        Ok(Self { device, patience, number: 0 })
    }

    async fn once(&mut self, request: &Request) -> Result<Reply, Fault> {
        self.number = self.number.wrapping_add(1);
        match ioctl::send(self.device.get_ref(), request, self.number) {
            Ok(()) => {}
            // The kernel knows no such channel: nobody is there, which is not the BMC's fault.
            Err(Errno::INVAL | Errno::NXIO | Errno::AGAIN) if request.via.is_some() => {
                let (net_fn, command) = (request.net_fn | 1, request.command);
                return Ok(Reply { net_fn, seq: 0, command, code: NOBODY_THERE, data: Vec::new() });
            }
            Err(error) => return Err(interface(error)),
        }
        timeout(self.patience, self.reply(request)).await.unwrap_or(Err(Fault::Silence(Step::Command)))
    }

    async fn reply(&self, request: &Request) -> Result<Reply, Fault> {
        loop {
            let ready = self.device.readable().await;
            let mut ready = ready.map_err(|error| Fault::Interface(error.to_string()))?;
            match ioctl::receive(self.device.get_ref()) {
                Ok(Some((number, reply)))
                    if number == self.number && request.is_answered_by(&reply, reply.seq) =>
                {
                    return Ok(reply);
                }
                // Of an earlier request, or none at all.
                Ok(_) => {}
                Err(Errno::AGAIN) => ready.clear_ready(),
                Err(error) => return Err(interface(error)),
            }
        }
    }
}

fn interface(error: Errno) -> Fault {
    Fault::Interface(error.to_string())
}

impl Ask for InBand {
    fn ask(&mut self, request: Request) -> BoxFuture<'_, Result<Reply, Fault>> {
        Box::pin(async move {
            for pause in PAUSES {
                let reply = self.once(&request).await?;
                if reply.code != NODE_BUSY {
                    return Ok(reply);
                }
                sleep(pause).await;
            }
            self.once(&request).await
        })
    }
}
