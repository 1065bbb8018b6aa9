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
/// Rows that come and go make us walk no more often than this, and so does a renewal that took too long.
const REDISCOVER_NO_SOONER: Duration = Duration::from_secs(60);
/// A renewal that takes too long gets more time the next time, so many times the first at most.
const MOST_PATIENCE: u32 = 4;
/// An agent's clock may go wrong by this, and by a twentieth.
const CLOCK_IS_OFF: Duration = Duration::from_secs(10);

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
    /// Candidates that had nothing to read, perhaps because the device had just started: each renewal looks at one again.
    passed: Vec<Arc<Profile>>,
    /// Which of them is looked at next, and whether this renewal has done so.
    look: usize,
    looked: bool,
    /// What was read before the device was forgotten: its energy counters are read again where they still stand.
    before: Option<(Arc<Profile>, Plan)>,
    planned_at: Moment,
    /// No renewal goes on before.
    renew_from: Moment,
    /// How often in a row a renewal took too long.
    slow_renewals: u32,
    /// When the agent was last read, and how long it ran then, hundredths of a second.
    up_time: Option<(Moment, i64)>,
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
            passed: Vec::new(),
            look: 0,
            looked: false,
            before: None,
            planned_at: Moment::ZERO,
            renew_from: Moment::ZERO,
            slow_renewals: 0,
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
        self.renew_in_time(session, &profile).await;
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
            let before = self.before.as_ref().filter(|(of, _)| of.name == profile.name).map(|(_, plan)| plan);
            let (plan, identity) = discovery.finish(session, &profile, before).await?;
            self.discovery = None;
            if plan.present > 0 || self.fixed.is_some() {
                self.take(plan, identity);
                return Ok(profile);
            }
            self.profile = None;
            self.passed.push(Arc::clone(&profile));
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
        // It is forgotten as a whole if it stays silent.
        self.passed.clear();
        self.take(plan, identity);
        Ok(profile)
    }

    fn take(&mut self, plan: Plan, identity: Identity) {
        self.plan = Some(plan);
        self.identity = Some(identity);
        self.planned_at = self.clock.now();
        self.candidates = Candidates::default();
        (self.silent, self.before, self.looked) = (None, None, false);
    }

    /// It may even be another device at the same address.
    fn forget(&mut self) {
        if let (Some(profile), Some(plan)) = (self.profile.take(), self.plan.take()) {
            self.before = Some((profile, plan));
        }
        self.candidates = Candidates::default();
        (self.discovery, self.silent) = (None, None);
        self.passed.clear();
        self.look = 0;
    }

    /// Reads by the plan; none if the plan turned out to be void.
    async fn read(&mut self, session: &dyn Session) -> Result<Option<Vec<Reading>>, PollError> {
        let Some(plan) = &self.plan else { return Ok(None) };
        let values = session.get(&plan.asked).await?;
        let outcome = read::read(plan, &values);
        let now = self.clock.now();
        let up_time = outcome.up_time.map(|up_time| (now, up_time));
        let restarted = self.up_time.zip(up_time).is_some_and(|(before, now)| has_restarted(before, now));
        self.up_time = up_time.or(self.up_time);
        let settled = now.since(self.planned_at) >= REDISCOVER_NO_SOONER;
        if restarted || (outcome.vanished && settled) {
            self.forget();
            return Ok(None);
        }
        Ok(Some(outcome.readings))
    }

    fn is_old(&self) -> bool {
        self.clock.now().since(self.planned_at) >= REFRESH_AFTER
    }

    /// Renews an old plan a little at a time. A failure here is no failure of the poll, whose values are good; nor must the poll's
    /// deadline find us still waiting for a walk that an agent does not answer.
    async fn renew_in_time(&mut self, session: &dyn Session, profile: &Arc<Profile>) {
        let now = self.clock.now();
        if !self.is_old() || now < self.renew_from {
            return;
        }
        let patience = session.patience().saturating_mul(self.slow_renewals.saturating_add(1));
        // Said before, in case that the poll is cut off here.
        let slow = self.slow_renewals.saturating_add(1).min(MOST_PATIENCE.saturating_sub(1));
        let before = std::mem::replace(&mut self.slow_renewals, slow);
        let renew_from = std::mem::replace(&mut self.renew_from, now + REDISCOVER_NO_SOONER);
        if tokio::time::timeout(patience, self.renew(session, profile)).await.is_ok() {
            (self.slow_renewals, self.renew_from) = (before, renew_from);
        }
    }

    async fn renew(&mut self, session: &dyn Session, profile: &Arc<Profile>) {
        let passed = self.passed.get(self.look).filter(|_| !self.looked).cloned();
        let Some(passed) = passed else { return self.renew_by(session, profile).await };
        session.limit(passed.limits);
        let walked = self.walk(session, &passed, REQUESTS_A_POLL).await;
        let finished = match (&walked, &mut self.discovery) {
            (Ok(false), _) => return,
            (Ok(true), Some(discovery)) => discovery.finish(session, &passed, None).await.ok(),
            (Ok(true), None) | (Err(_), _) => None,
        };
        self.discovery = None;
        match finished {
            Some((plan, identity)) if plan.present > 0 => {
                self.passed.truncate(self.look);
                self.look = 0;
                self.profile = Some(passed);
                self.take(plan, identity);
            }
            Some(_) | None => {
                self.looked = true;
                self.look = self.look.saturating_add(1).checked_rem(self.passed.len()).unwrap_or(0);
            }
        }
    }

    async fn renew_by(&mut self, session: &dyn Session, profile: &Profile) {
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

/// Whether an agent that ran so long then, and so long now, has restarted in between: it runs for less long than before, or, where
/// nobody looked for a while, for no longer than since then. Some agents do not know how long they run, and always say the same.
fn has_restarted(before: (Moment, i64), now: (Moment, i64)) -> bool {
    let since = now.0.since(before.0);
    let hundredths = |time: Duration| i64::try_from(time.as_millis() / 10).unwrap_or(i64::MAX);
    let off = CLOCK_IS_OFF.saturating_add(since / 20);
    let looked_away = since >= REDISCOVER_NO_SOONER && now.1 != before.1;
    let is_young = now.1 <= hundredths(since.saturating_add(off));
    let lacks_time = now.1.saturating_add(hundredths(off)) < before.1.saturating_add(hundredths(since));
    now.1 < before.1 || (looked_away && is_young && lacks_time)
}

#[cfg(test)]
#[path = "device_tests.rs"]
mod tests;
