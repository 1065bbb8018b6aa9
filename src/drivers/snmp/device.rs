//! One agent over time: when to discover, what to read, when to look again. Knows no socket, only a [`Session`].

use std::sync::Arc;
use std::time::Duration;

use super::discover::{self, Discovery};
use super::oid::Oid;
use super::plan::{Plan, Point};
use super::profile::{Profile, Profiles};
use super::read;
use super::session::Session;
use crate::model::{Batch, Clock, ErrorKind, Identity, Moment, PollError};

/// sysUpTime.0, hundredths of a second; it falls when the agent restarts, and every 497 days.
const SYS_UP_TIME: [u32; 9] = [1, 3, 6, 1, 2, 1, 1, 3, 0];

/// How long a plan is used before the device is walked again.
const REFRESH_AFTER: Duration = Duration::from_secs(3600);
/// Columns walked in each poll while a plan is refreshed, so that no poll takes much longer than others.
const COLUMNS_A_POLL: usize = 3;
/// Rows that come and go make us walk no more often than this.
const REDISCOVER_NO_SOONER: Duration = Duration::from_secs(60);

/// What is known of a device.
pub struct Device {
    profiles: Profiles,
    clock: Arc<dyn Clock>,
    fixed: Option<Arc<Profile>>,
    profile: Option<Arc<Profile>>,
    discovery: Option<Discovery>,
    plan: Option<Plan>,
    planned_at: Moment,
    up_time: Option<i64>,
    /// Learned, but not yet handed over: a poll may be dropped after it learned it.
    identity: Option<Identity>,
}

impl Device {
    /// Nothing known yet, except the profile where the operator fixed it.
    pub fn new(profiles: Profiles, clock: Arc<dyn Clock>, fixed: Option<Arc<Profile>>) -> Self {
        let profile = fixed.clone();
        let (discovery, plan, up_time, identity) = (None, None, None, None);
        Self { profiles, clock, fixed, profile, discovery, plan, planned_at: Moment::ZERO, up_time, identity }
    }

    /// Reads the device once; discovers it first where needed.
    ///
    /// # Errors
    /// As [`Session`]; `NoReading` if no profile fits or no variable has a value.
    pub async fn poll(&mut self, session: &dyn Session) -> Result<Batch, PollError> {
        let profile = self.discovered(session).await?;
        let mut outcome = self.read(session).await?;
        if outcome.is_none() {
            // The agent restarted or lost rows: its row numbers may mean other outlets now, so these numbers are void.
            let profile = self.discovered(session).await?;
            outcome = self.read(session).await?;
            if outcome.is_none() {
                return Err(PollError::new(
                    ErrorKind::Busy,
                    format!("the device ({}) changed while it was read", profile.name),
                    "nothing to do: it is read again with the next poll",
                ));
            }
        }
        self.refresh(session, &profile).await;
        let readings = outcome.map(|outcome| outcome.readings).unwrap_or_default();
        if readings.is_empty() {
            let count = self.plan.as_ref().map_or(0, |plan| plan.points.len());
            return Err(PollError::new(
                ErrorKind::NoReading,
                format!("profile {} fits, but none of its {count} values is there", profile.name),
                "check that the user or community may see the whole tree; if the device has no meter, remove it",
            ));
        }
        Ok(Batch { readings, identity: self.identity.take(), ..Batch::default() })
    }

    /// What is read of the device.
    pub fn points(&self) -> &[Point] {
        self.plan.as_ref().map_or(&[], |plan| &plan.points)
    }

    /// Goes on until there is a plan.
    async fn discovered(&mut self, session: &dyn Session) -> Result<Arc<Profile>, PollError> {
        let profile = match &self.profile {
            Some(profile) => Arc::clone(profile),
            None => {
                let profile = discover::profile(session, &self.profiles).await?;
                self.profile = Some(Arc::clone(&profile));
                profile
            }
        };
        if self.plan.is_none() {
            let discovery = self.discovery.get_or_insert_with(|| Discovery::of(&profile));
            discovery.go_on(session, usize::MAX).await?;
            self.finish(session, &profile).await?;
        }
        Ok(profile)
    }

    async fn finish(&mut self, session: &dyn Session, profile: &Profile) -> Result<(), PollError> {
        if let Some(discovery) = &mut self.discovery {
            let (plan, identity) = discovery.finish(session, profile, self.plan.as_ref()).await?;
            self.plan = Some(plan);
            self.identity = Some(identity);
            self.planned_at = self.clock.now();
            self.discovery = None;
        }
        Ok(())
    }

    /// Reads by the plan; none if the plan turned out to be void.
    async fn read(&mut self, session: &dyn Session) -> Result<Option<read::Outcome>, PollError> {
        let Some(plan) = &self.plan else { return Ok(None) };
        let mut asked: Vec<Oid> = Oid::from_arcs(&SYS_UP_TIME).into_iter().collect();
        asked.extend(plan.oids());
        let rows = session.get(&asked).await?;
        let up_time = rows.first().and_then(|(_, value)| value.number());
        let restarted = matches!((self.up_time, up_time), (Some(before), Some(now)) if now < before);
        self.up_time = up_time.or(self.up_time);
        let outcome = read::read(plan, &rows);
        let settled = self.clock.now().since(self.planned_at) >= REDISCOVER_NO_SOONER;
        if restarted || (outcome.vanished && settled) {
            // It may even be another device at the same address.
            self.plan = None;
            self.discovery = None;
            self.profile.clone_from(&self.fixed);
            return Ok(None);
        }
        Ok(Some(outcome))
    }

    /// Renews an old plan a few columns at a time. A failure here is no failure of the poll, whose values are good.
    async fn refresh(&mut self, session: &dyn Session, profile: &Profile) {
        if self.clock.now().since(self.planned_at) < REFRESH_AFTER {
            return;
        }
        let discovery = self.discovery.get_or_insert_with(|| Discovery::of(profile));
        if matches!(discovery.go_on(session, COLUMNS_A_POLL).await, Ok(true)) {
            let _ = self.finish(session, profile).await;
        }
    }
}
