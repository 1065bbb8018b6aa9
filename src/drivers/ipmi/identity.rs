//! Who a BMC says it is: Get Device ID, and the FRU of the mainboard.

use std::time::Duration;

use super::commands::app::{self, DeviceId};
use super::commands::fru::{self, Header, Maker};
use super::link::Ask;
use super::quirks::Vendor;
use super::session::Fault;
use super::wire::message::Request;
use crate::model::Identity;

/// Bytes asked for at once of a FRU.
const CHUNK: u8 = 16;
/// Most bytes of one area of it.
const MAX_AREA: u16 = 512;

/// How often a BMC that does not answer Get Device ID is asked for it.
const TRIES: u8 = 3;

/// What is known of who a BMC is.
#[derive(Default)]
pub struct Who {
    id: Option<DeviceId>,
    tries: u8,
    asked_fru: bool,
    identity: Option<Identity>,
}

impl Who {
    /// Its maker, as far as known up to now.
    pub fn known(&self) -> Vendor {
        self.id.as_ref().map_or(Vendor::Other, |id| Vendor::of(id.manufacturer))
    }

    /// Its maker.
    ///
    /// # Errors
    /// If the session fails.
    pub async fn vendor(&mut self, bmc: &mut dyn Ask) -> Result<Vendor, Fault> {
        if self.id.is_none() && self.tries < TRIES {
            self.tries += 1;
            self.id = DeviceId::parse(&bmc.ask(app::get_device_id()).await?).ok();
        }
        Ok(self.known())
    }

    /// Everything, asked for once; for the FRU no longer than `patience`: nobody's watts depend on it. The profile is
    /// left empty.
    ///
    /// # Errors
    /// If the session fails. What the BMC does not tell is empty.
    pub async fn identity(&mut self, bmc: &mut dyn Ask, patience: Duration) -> Result<Identity, Fault> {
        if let Some(identity) = &self.identity {
            return Ok(identity.clone());
        }
        self.vendor(bmc).await?;
        // A BMC that is slow or hangs over its FRU is not asked for it again.
        let maker = if std::mem::replace(&mut self.asked_fru, true) {
            Maker::default()
        } else {
            tokio::time::timeout(patience, mainboard(bmc)).await.unwrap_or(Ok(Maker::default()))?
        };
        let id = self.id.as_ref();
        let vendor = if maker.vendor.is_empty() { id.map_or("", DeviceId::vendor) } else { &maker.vendor };
        let firmware = id.map(|id| id.firmware.clone()).unwrap_or_default();
        let identity = Identity {
            vendor: vendor.to_owned(),
            model: maker.model,
            serial: maker.serial,
            firmware,
            profile: String::new(),
        };
        Ok(self.identity.insert(identity).clone())
    }
}

/// The product's names, and the board's where it has none.
async fn mainboard(bmc: &mut dyn Ask) -> Result<Maker, Fault> {
    let info = bmc.ask(fru::get_info()).await?;
    // In words it would have to be read in even steps; hardly any board is.
    if fru::in_words(&info) != Ok(false) {
        return Ok(Maker::default());
    }
    let header = Header::parse(&bytes(bmc, 0, u16::from(Header::LEN)).await?);
    let Some(header) = header else { return Ok(Maker::default()) };
    let mut maker = Maker::default();
    if let Some(at) = header.product {
        maker = maker.or(Maker::product(&area(bmc, at).await?));
    }
    if let (Some(at), true) = (header.board, maker.model.is_empty() || maker.serial.is_empty()) {
        maker = maker.or(Maker::board(&area(bmc, at).await?));
    }
    Ok(maker)
}

/// An area, whose second byte is its length in units of eight.
async fn area(bmc: &mut dyn Ask, at: u16) -> Result<Vec<u8>, Fault> {
    let head = bytes(bmc, at, 2).await?;
    let len = head.get(1).map_or(0, |units| u16::from(*units) * 8).min(MAX_AREA);
    bytes(bmc, at, len).await
}

/// As many of `len` bytes as the BMC gives.
async fn bytes(bmc: &mut dyn Ask, at: u16, len: u16) -> Result<Vec<u8>, Fault> {
    let mut bytes = Vec::new();
    while let Some(request) = next(at, len, bytes.len()) {
        let reply = bmc.ask(request).await?;
        match fru::part(&reply) {
            Ok(part) if !part.is_empty() && part.len() <= usize::from(CHUNK) => bytes.extend_from_slice(part),
            Ok(_) | Err(_) => break,
        }
    }
    Ok(bytes)
}

/// The request for what is still missing of `len` bytes after `done`; none at the end.
fn next(at: u16, len: u16, done: usize) -> Option<Request> {
    let done = u16::try_from(done).ok()?;
    let left = len.checked_sub(done).filter(|left| *left > 0)?;
    Some(fru::read(at.checked_add(done)?, u8::try_from(left).unwrap_or(u8::MAX).min(CHUNK)))
}
