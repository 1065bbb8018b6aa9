//! Learning a device: which profile reads it, which rows it has, who it says it is.
//!
//! A discovery can be interrupted at any await and goes on where it stopped: a slow device with many columns may need
//! longer than one poll's deadline.

use std::collections::VecDeque;
use std::sync::Arc;

use super::oid::Oid;
use super::plan::{self, Found, Plan};
use super::profile::{Profile, Profiles};
use super::session::{Session, Value};
use crate::model::{ErrorKind, Identity, PollError};

/// sysDescr.0
const SYS_DESCR: [u32; 9] = [1, 3, 6, 1, 2, 1, 1, 1, 0];
/// sysObjectID.0
const SYS_OBJECT_ID: [u32; 9] = [1, 3, 6, 1, 2, 1, 1, 2, 0];

/// Asks the device which profile reads it: by its `sysObjectID`, longest prefix first, then by probes.
///
/// # Errors
/// `NoReading` if no profile does; otherwise as [`Session::get`].
pub async fn profile(session: &dyn Session, profiles: &Profiles) -> Result<Arc<Profile>, PollError> {
    let asked: Vec<Oid> = [SYS_OBJECT_ID, SYS_DESCR].iter().filter_map(|arcs| Oid::from_arcs(arcs)).collect();
    let answer = session.get(&asked).await?;
    let id = answer.iter().find_map(|(_, value)| match value {
        Value::Oid(oid) => Some(oid.clone()),
        Value::Number(_) | Value::Text(_) | Value::Absent | Value::Unusable => None,
    });
    if let Some(profile) = id.as_ref().and_then(|id| profiles.for_sys_object_id(id)) {
        return Ok(Arc::clone(profile));
    }
    let probes: Vec<Oid> = profiles.probes().map(|(probe, _)| probe.clone()).collect();
    let answers = session.get(&probes).await?;
    let hit = profiles.probes().zip(&answers).find(|(_, (_, value))| match value {
        Value::Number(_) | Value::Text(_) | Value::Oid(_) => true,
        Value::Absent | Value::Unusable => false,
    });
    if let Some(((_, profile), _)) = hit {
        return Ok(Arc::clone(profile));
    }
    let said = answer.iter().find_map(|(_, value)| match value {
        Value::Text(text) => Some(text.as_str()),
        Value::Number(_) | Value::Oid(_) | Value::Absent | Value::Unusable => None,
    });
    Err(PollError::new(
        ErrorKind::NoReading,
        format!(
            "no profile reads this device: sysObjectID {}, sysDescr {:?}",
            id.map_or_else(|| "none".to_owned(), |id| id.to_string()),
            said.unwrap_or_default(),
        ),
        format!(
            "if one of {} fits, set `profile` to it; otherwise write a profile as docs/profiles.md shows",
            profiles.names()
        ),
    ))
}

/// A discovery under way.
#[derive(Debug)]
pub struct Discovery {
    columns: VecDeque<Oid>,
    found: Found,
}

impl Discovery {
    /// At its start.
    #[must_use]
    pub fn of(profile: &Profile) -> Self {
        Self { columns: plan::columns(profile).into(), found: Found::default() }
    }

    /// Walks up to `columns` more columns; says whether all are walked.
    ///
    /// # Errors
    /// As [`Session::walk`]; what was found before is kept.
    pub async fn go_on(&mut self, session: &dyn Session, columns: usize) -> Result<bool, PollError> {
        for _ in 0..columns {
            let Some(column) = self.columns.front() else { break };
            let rows = session.walk(column).await?;
            self.found.column(column, rows);
            self.columns.pop_front();
        }
        Ok(self.columns.is_empty())
    }

    /// Reads the single variables and makes the plan; `before` is the plan until now, if there is one.
    ///
    /// # Errors
    /// As [`Session::get`].
    pub async fn finish(
        &mut self,
        session: &dyn Session,
        profile: &Profile,
        before: Option<&Plan>,
    ) -> Result<(Plan, Identity), PollError> {
        let identity = identity(session, profile).await?;
        self.found.scalars(session.get(&plan::scalars(profile)).await?);
        Ok((plan::plan(profile, &self.found, before), identity))
    }
}

async fn identity(session: &dyn Session, profile: &Profile) -> Result<Identity, PollError> {
    let ident = &profile.identity;
    let parts = [&ident.vendor, &ident.model, &ident.serial, &ident.firmware];
    let asked: Vec<Oid> = parts.iter().flat_map(|oids| oids.iter().cloned()).collect();
    let answers = session.get(&asked).await?;
    let first = |oids: &[Oid]| -> String {
        let texts = oids.iter().filter_map(|oid| answers.iter().find(|(answered, _)| answered == oid));
        let mut texts = texts.filter_map(|(_, value)| match value {
            Value::Text(text) if !text.is_empty() => Some(text.clone()),
            Value::Text(_) | Value::Number(_) | Value::Oid(_) | Value::Absent | Value::Unusable => None,
        });
        texts.next().unwrap_or_default()
    };
    let vendor = if profile.vendor.is_empty() { first(&ident.vendor) } else { profile.vendor.clone() };
    Ok(Identity {
        vendor,
        model: first(&ident.model),
        serial: first(&ident.serial),
        firmware: first(&ident.firmware),
        profile: profile.name.clone(),
    })
}
