//! Learning a device: which profile reads it, which rows it has, who it says it is.
//!
//! A discovery can be interrupted at any await and goes on where it stopped: a slow device with many columns may need
//! longer than one poll's deadline.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use super::found::Found;
use super::oid::Oid;
use super::plan::{self, Plan};
use super::profile::{Profile, Profiles};
use super::session::{Following, Session, Value};
use super::walk::Walk;
use crate::model::{ErrorKind, Identity, PollError};

/// sysDescr.0
const SYS_DESCR: [u32; 9] = [1, 3, 6, 1, 2, 1, 1, 1, 0];
/// sysObjectID.0
const SYS_OBJECT_ID: [u32; 9] = [1, 3, 6, 1, 2, 1, 1, 2, 0];

/// The profiles that may read a device, one after another: by its `sysObjectID` and `sysDescr`, by probes, then fallbacks.
#[derive(Debug, Default)]
pub struct Candidates {
    said: Option<Said>,
    probed: bool,
    /// How many of the probes were asked for so far, and which of them the device has.
    asked: usize,
    there: HashSet<Oid>,
    waiting: VecDeque<Arc<Profile>>,
    named: HashSet<String>,
}

/// What a device says it is.
#[derive(Debug, Clone, Default)]
struct Said {
    id: Option<Oid>,
    descr: String,
}

impl Candidates {
    /// The one that the operator fixed and no other.
    ///
    /// # Errors
    /// As [`Session::get`].
    pub async fn fixed(session: &dyn Session, profile: &Arc<Profile>) -> Result<Arc<Profile>, PollError> {
        let id = if profile.depends_on_id() { said(session).await?.id } else { None };
        Ok(profile.for_device(id.as_ref()))
    }

    /// The next; none when all were tried.
    ///
    /// # Errors
    /// As [`Session::get`].
    pub async fn next(
        &mut self,
        session: &dyn Session,
        profiles: &Profiles,
    ) -> Result<Option<Arc<Profile>>, PollError> {
        let said = match &self.said {
            Some(said) => said.clone(),
            None => {
                let said = said(session).await?;
                self.take(profiles.claims(said.id.as_ref(), &said.descr, false));
                self.said.insert(said).clone()
            }
        };
        if self.waiting.is_empty() && !self.probed {
            let hits = self.hits(session, profiles).await?;
            let (fallbacks, special): (Vec<_>, Vec<_>) =
                hits.into_iter().partition(|profile| profile.fallback);
            self.take(special);
            self.take(profiles.claims(said.id.as_ref(), &said.descr, true));
            self.take(fallbacks);
            self.probed = true;
        }
        Ok(self.waiting.pop_front().map(|profile| profile.for_device(said.id.as_ref())))
    }

    /// The profiles whose probes the device has, in their order. An agent of SNMPv1 answers one request for each that it does not
    /// have, which may take several polls.
    async fn hits(
        &mut self,
        session: &dyn Session,
        profiles: &Profiles,
    ) -> Result<Vec<Arc<Profile>>, PollError> {
        let mut probes: Vec<Oid> = profiles.probes().map(|(probe, _)| probe.clone()).collect();
        probes.sort_unstable();
        probes.dedup();
        while let Some(some) = next_chunk(&probes, self.asked, session) {
            let answers = session.get(some).await?;
            let hits = some.iter().zip(&answers).filter(|(_, value)| value.is_there());
            self.there.extend(hits.map(|(probe, _)| probe.clone()));
            self.asked = self.asked.saturating_add(some.len());
        }
        // Standards have tables in which no variable is sure to stand.
        let fallbacks = profiles.iter().filter(|profile| profile.fallback);
        let tables: Vec<Oid> = fallbacks
            .flat_map(|profile| &profile.probes)
            .filter(|probe| !self.there.contains(*probe))
            .cloned()
            .collect();
        for (table, row) in first_rows(session, &tables).await? {
            self.there.extend(row.is_there().then_some(table));
        }
        let hits = profiles.probes().filter(|(probe, _)| self.there.contains(*probe));
        Ok(hits.map(|(_, profile)| Arc::clone(profile)).collect())
    }

    fn take(&mut self, profiles: Vec<Arc<Profile>>) {
        let fresh = profiles.into_iter().filter(|profile| self.named.insert(profile.name.clone()));
        self.waiting.extend(fresh);
    }

    /// Why no profile reads the device.
    #[must_use]
    pub fn none_fits(&self) -> PollError {
        let said = self.said.clone().unwrap_or_default();
        PollError::new(
            ErrorKind::NoReading,
            format!(
                "no profile reads this device: sysObjectID {}, sysDescr {:?}",
                said.id.map_or_else(|| "none".to_owned(), |id| id.to_string()),
                said.descr,
            ),
            "if one that `wattribute profile list` shows fits, set `profile` to its name; otherwise write a profile as \
             docs/profiles.md shows",
        )
    }
}

/// Asks the device what it is.
async fn said(session: &dyn Session) -> Result<Said, PollError> {
    let asked: Vec<Oid> = [SYS_OBJECT_ID, SYS_DESCR].iter().filter_map(|arcs| Oid::from_arcs(arcs)).collect();
    let mut said = Said::default();
    for value in session.get(&asked).await? {
        match value {
            Value::Oid(id) => said.id = Some(id),
            Value::Text(descr) => said.descr = descr,
            Value::Number(_) | Value::Real(_) | Value::Absent | Value::Unusable => {}
        }
    }
    Ok(said)
}

/// What is to be asked for next of `all`, of which so many were; none when that is all.
fn next_chunk<'o>(all: &'o [Oid], done: usize, session: &dyn Session) -> Option<&'o [Oid]> {
    all.get(done..)?.chunks(session.width().max(1)).next()
}

/// What stands first in each of `columns` that is not empty.
async fn first_rows(session: &dyn Session, columns: &[Oid]) -> Result<Vec<(Oid, Value)>, PollError> {
    let mut first = Vec::new();
    for some in columns.chunks(session.width().max(1)) {
        for (column, following) in some.iter().zip(session.next(some).await?) {
            let Following::Rows(rows) = following else { continue };
            let row = rows.into_iter().next().filter(|(oid, _)| oid.after(column).is_some());
            first.extend(row.map(|(_, value)| (column.clone(), value)));
        }
    }
    Ok(first)
}

/// A discovery under way.
#[derive(Debug)]
pub struct Discovery {
    walk: Walk,
    found: Found,
    /// The answers so far to what [`Discovery::finish`] asks.
    answers: Vec<Value>,
}

impl Discovery {
    /// At its start.
    #[must_use]
    pub fn of(profile: &Profile) -> Self {
        Self { walk: Walk::of(plan::columns(profile)), found: Found::default(), answers: Vec::new() }
    }

    /// Walks on with up to `requests`; says whether all columns are walked.
    ///
    /// # Errors
    /// As [`Walk::step`]; what was found before is kept.
    pub async fn go_on(&mut self, session: &dyn Session, requests: usize) -> Result<bool, PollError> {
        for _ in 0..requests {
            let walked = self.walk.step(session).await?;
            for (column, rows) in self.walk.finished() {
                self.found.column(&column, rows);
            }
            if walked {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Reads the single variables, going on where it stopped, and makes the plan; `before` is the plan until now, if there is one.
    ///
    /// # Errors
    /// As [`Session::get`].
    pub async fn finish(
        &mut self,
        session: &dyn Session,
        profile: &Profile,
        before: Option<&Plan>,
    ) -> Result<(Plan, Identity), PollError> {
        let mut asked = plan::scalars(profile);
        let scalars = asked.len();
        asked.extend(profile.identity.variables().cloned());
        while let Some(some) = next_chunk(&asked, self.answers.len(), session) {
            let mut answers = session.get(some).await?;
            self.answers.append(&mut answers);
        }
        let (values, said) = self.answers.split_at_checked(scalars).unwrap_or_default();
        let identity = identity(session, profile, said).await?;
        self.found.scalars(asked.into_iter().zip(values.iter().cloned()));
        Ok((plan::plan(profile, &self.found, before), identity))
    }
}

/// Who the device says it is, from the answer to [`super::profile::Ident::variables`]. What is not there as a variable may be a
/// column, whose first row is taken then.
async fn identity(
    session: &dyn Session,
    profile: &Profile,
    answers: &[Value],
) -> Result<Identity, PollError> {
    let ident = &profile.identity;
    let mut texts: HashMap<&Oid, String> = HashMap::new();
    let mut columns = Vec::new();
    for (oid, value) in ident.variables().zip(answers) {
        match value.words() {
            Some(text) => drop(texts.insert(oid, text.into_owned())),
            None if *value == Value::Absent => columns.push(oid.clone()),
            None => {}
        }
    }
    let rows = first_rows(session, &columns).await?;
    texts.extend(rows.iter().filter_map(|(column, value)| Some((column, value.words()?.into_owned()))));
    let first = |oids: &[Oid]| oids.iter().find_map(|oid| texts.get(oid)).cloned().unwrap_or_default();
    let vendor = if profile.vendor.is_empty() { first(&ident.vendor) } else { profile.vendor.clone() };
    Ok(Identity {
        vendor,
        model: first(&ident.model),
        serial: first(&ident.serial),
        firmware: first(&ident.firmware),
        profile: profile.name.clone(),
    })
}
