//! One agent over time: when to discover, what to read, when to look again. Knows no socket, only a [`Session`].

use std::sync::Arc;
use std::time::Duration;

use super::discover::{Candidates, Discovery};
use super::plan::Plan;
use super::profile::{Profile, Profiles};
use super::read;
use super::session::Session;
use crate::model::{Batch, Clock, ErrorKind, Identity, Moment, PollError, Reading};

/// How long a plan is used before the device is walked again.
const REFRESH_AFTER: Duration = Duration::from_secs(600);
/// Requests more in each poll while a plan is refreshed, so that no poll takes much longer than others.
const REQUESTS_A_POLL: usize = 1;
/// Rows that come and go make us walk no more often than this.
const REDISCOVER_NO_SOONER: Duration = Duration::from_secs(60);

/// What is known of a device.
pub struct Device {
    profiles: Arc<Profiles>,
    clock: Arc<dyn Clock>,
    fixed: Option<Arc<Profile>>,
    candidates: Candidates,
    profile: Option<Arc<Profile>>,
    discovery: Option<Discovery>,
    plan: Option<Plan>,
    /// The first candidate, where it has nothing to read now: what is polled if no other has.
    silent: Option<(Arc<Profile>, Plan, Identity)>,
    planned_at: Moment,
    up_time: Option<i64>,
    /// Learned, but not yet handed over: a poll may be dropped after it learned it.
    identity: Option<Identity>,
}

impl Device {
    /// Nothing known yet, except the profile where the operator fixed it.
    pub fn new(profiles: Arc<Profiles>, clock: Arc<dyn Clock>, fixed: Option<Arc<Profile>>) -> Self {
        Self {
            profiles,
            clock,
            fixed,
            candidates: Candidates::default(),
            profile: None,
            discovery: None,
            plan: None,
            silent: None,
            planned_at: Moment::ZERO,
            up_time: None,
            identity: None,
        }
    }

    /// Reads the device once; discovers it first where needed.
    ///
    /// # Errors
    /// As [`Session`]; `NoReading` if no profile fits or no variable has a value.
    pub async fn poll(&mut self, session: &dyn Session) -> Result<Batch, PollError> {
        let mut profile = self.discovered(session).await?;
        let mut readings = self.read(session).await?;
        if readings.is_none() {
            // The agent restarted or lost rows: its row numbers may mean other outlets now, so these numbers are void.
            profile = self.discovered(session).await?;
            readings = self.read(session).await?;
        }
        let Some(readings) = readings else {
            return Err(PollError::new(
                ErrorKind::Busy,
                format!("the device ({}) changed while it was read", profile.name),
                "nothing to do: it is read again with the next poll",
            ));
        };
        if readings.is_empty() {
            let count = self.plan.as_ref().map_or(0, |plan| plan.points.len());
            if self.is_old() {
                self.forget();
            }
            return Err(PollError::new(
                ErrorKind::NoReading,
                format!("profile {} fits, but none of its {count} values is there", profile.name),
                "check that the user or community may see the whole tree; if the device has no meter, remove it",
            ));
        }
        self.refresh(session, &profile).await;
        let identity = self.identity.take();
        let channels = match (&identity, &self.plan) {
            (Some(_), Some(plan)) => plan.channels.clone(),
            (None, _) | (_, None) => Vec::new(),
        };
        Ok(Batch { readings, identity, channels, ..Batch::default() })
    }

    /// What is read of the device, once it is known.
    pub const fn plan(&self) -> Option<&Plan> {
        self.plan.as_ref()
    }

    /// Goes on until there is a plan: by the first candidate that gives a value.
    async fn discovered(&mut self, session: &dyn Session) -> Result<Arc<Profile>, PollError> {
        loop {
            let profile = match (&self.profile, &self.fixed) {
                (Some(profile), _) => Arc::clone(profile),
                (None, Some(fixed)) => Candidates::fixed(session, fixed).await?,
                (None, None) => match self.candidates.next(session, &self.profiles).await? {
                    Some(profile) => profile,
                    None => return self.nothing(),
                },
            };
            self.profile = Some(Arc::clone(&profile));
            session.limit(profile.limits);
            if self.plan.is_some() {
                return Ok(profile);
            }
            self.walk(session, &profile, usize::MAX).await?;
            let Some(discovery) = &mut self.discovery else { continue };
            let (plan, identity) = discovery.finish(session, &profile, None).await?;
            self.discovery = None;
            if plan.present > 0 || self.fixed.is_some() {
                self.take(plan, identity);
                return Ok(profile);
            }
            self.profile = None;
            self.silent.get_or_insert((profile, plan, identity));
        }
    }

    /// Walks on; says whether all is walked. What an agent said before it went in circles is not believed either.
    async fn walk(
        &mut self,
        session: &dyn Session,
        profile: &Profile,
        requests: usize,
    ) -> Result<bool, PollError> {
        let discovery = self.discovery.get_or_insert_with(|| Discovery::of(profile));
        let walked = discovery.go_on(session, requests).await;
        if walked.as_ref().is_err_and(|error| error.kind == ErrorKind::Protocol) {
            self.discovery = None;
        }
        walked
    }

    /// No candidate gives a value: the first one is polled, in case it does later.
    fn nothing(&mut self) -> Result<Arc<Profile>, PollError> {
        let candidates = std::mem::take(&mut self.candidates);
        let (profile, plan, identity) = self.silent.take().ok_or_else(|| candidates.none_fits())?;
        self.profile = Some(Arc::clone(&profile));
        self.take(plan, identity);
        Ok(profile)
    }

    fn take(&mut self, plan: Plan, identity: Identity) {
        self.plan = Some(plan);
        self.identity = Some(identity);
        self.planned_at = self.clock.now();
        self.silent = None;
    }

    /// It may even be another device at the same address.
    fn forget(&mut self) {
        self.candidates = Candidates::default();
        (self.profile, self.discovery, self.plan, self.silent) = (None, None, None, None);
    }

    /// Reads by the plan; none if the plan turned out to be void.
    async fn read(&mut self, session: &dyn Session) -> Result<Option<Vec<Reading>>, PollError> {
        let Some(plan) = &self.plan else { return Ok(None) };
        let values = session.get(&plan.asked).await?;
        let outcome = read::read(plan, &values);
        let restarted = matches!((self.up_time, outcome.up_time), (Some(before), Some(now)) if now < before);
        self.up_time = outcome.up_time.or(self.up_time);
        let settled = self.clock.now().since(self.planned_at) >= REDISCOVER_NO_SOONER;
        if restarted || (outcome.vanished && settled) {
            self.forget();
            return Ok(None);
        }
        Ok(Some(outcome.readings))
    }

    fn is_old(&self) -> bool {
        self.clock.now().since(self.planned_at) >= REFRESH_AFTER
    }

    /// Renews an old plan a little at a time. A failure here is no failure of the poll, whose values are good.
    async fn refresh(&mut self, session: &dyn Session, profile: &Profile) {
        if !self.is_old() {
            return;
        }
        if !matches!(self.walk(session, profile, REQUESTS_A_POLL).await, Ok(true)) {
            return;
        }
        let Some(discovery) = &mut self.discovery else { return };
        if let Ok((plan, identity)) = discovery.finish(session, profile, self.plan.as_ref()).await {
            self.discovery = None;
            self.take(plan, identity);
        }
    }
}
