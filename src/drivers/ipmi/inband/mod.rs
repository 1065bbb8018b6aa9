//! The BMC of the machine that this program runs on, through the kernel's `/dev/ipmi0`: no network, no session, no
//! password, but the right to open the device.

use std::ffi::c_long;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use tokio::io::unix::AsyncFd;
use tokio::time::timeout;

use super::link::Ask;
use super::session::{Fault, Step};
use super::wire::message::{Reply, Request};
use crate::model::{BoxFuture, ErrorKind, PollError};

mod ioctl;

/// The device, opened.
pub struct InBand {
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
    pub fn open(path: &Path, patience: Duration) -> Result<Self, PollError> {
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
        ioctl::send(self.device.get_ref(), request, self.number).map_err(interface)?;
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
        Box::pin(async move { self.once(&request).await })
    }
}
