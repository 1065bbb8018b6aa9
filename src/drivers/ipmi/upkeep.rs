//! One BMC's session over time: opened when it is needed, in a task of its own that outlives a poll that is dropped; kept
//! alive between polls that are far apart; taken back when it is needed again.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinError;
use tokio::time::sleep;
use tokio_util::task::AbortOnDropHandle;

use super::commands::app;
use super::errors::Trouble;
use super::link::{Ask, Link, Patience};
use super::privilege::{Ladder, Level, Need, Watch};
use super::session::{Fault, Step, Terms};
use super::{Login, Settings, Shared};
use crate::model::{ErrorKind, Moment, PollError};

/// BMCs drop a session that was silent for 60 s, give or take 3.
const SESSION_LIFE: Duration = Duration::from_secs(50);
/// How long a session is silent before a cheap request keeps it: early enough to repeat it.
const KEEP_ALIVE: Duration = Duration::from_secs(40);
/// Handshakes under way at once. Each has at most one datagram in a socket's buffer, of which Linux grants room for some
/// 250 unless it is told otherwise; there are four sockets.
const HANDSHAKES: usize = 512;
/// The shortest that a handshake counts as under way: so no more than 2,048 begin a second.
const HANDSHAKE: Duration = Duration::from_millis(250);
/// How old a failure may be that nobody has heard of yet.
const NEWS: Duration = Duration::from_secs(5);

/// Whether the BMC still has the session, as far as one can know.
pub fn is_usable(link: &Link) -> bool {
    !link.is_lost() && link.idle() < SESSION_LIFE
}

/// Limits how many sessions all drivers of this process open at once: ten thousand BMCs that come back together behind a
/// switch must neither fill the sockets' buffers nor the switch's.
pub struct Handshakes(Arc<Semaphore>);

impl Default for Handshakes {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(HANDSHAKES)))
    }
}

impl Handshakes {
    /// Waits for its turn, which ends when the answer is dropped, but not before [`HANDSHAKE`].
    pub async fn turn(&self) -> Option<Arc<OwnedSemaphorePermit>> {
        // The semaphore is never closed.
        let turn = Arc::new(Arc::clone(&self.0).acquire_owned().await.ok()?);
        let least = Arc::clone(&turn);
        tokio::spawn(async move {
            sleep(HANDSHAKE).await;
            drop(least);
        });
        Some(turn)
    }
}

/// What is done with the session while no poll has it.
enum Held {
    Nothing,
    /// It is being opened: when that ended, and how.
    Opening(AbortOnDropHandle<(Moment, Result<Link, Trouble>)>),
    /// It is kept alive until it is called back.
    Parked(Arc<Notify>, AbortOnDropHandle<Option<Link>>),
}

/// The session's keeper.
pub struct Upkeep {
    settings: Arc<Settings>,
    login: Arc<Login>,
    shared: Arc<Shared>,
    tries: usize,
    /// What may still be agreed to: nothing weaker than what once worked.
    terms: Terms,
    ladder: Ladder,
    held: Held,
}

impl Upkeep {
    /// Nothing is opened yet.
    pub fn new(settings: Arc<Settings>, login: Arc<Login>, shared: Arc<Shared>) -> Self {
        let ladder = Ladder::new(settings.privilege);
        let (suites, legacy) = (settings.suites.clone(), settings.legacy.clone());
        let terms = Terms { suites, legacy, level: ladder.level() };
        Self { settings, login, shared, tries: 0, terms, ladder, held: Held::Nothing }
    }

    /// A session that can be used, and whether it is a new one. If this is dropped, a session that is being opened goes on
    /// being opened: a BMC that takes longer for it than a poll may take would never be read otherwise.
    ///
    /// # Errors
    /// Why none can be opened.
    pub async fn take(&mut self) -> Result<(Link, bool), Trouble> {
        if let Some(link) = self.recall().await.filter(is_usable) {
            return Ok((link, false));
        }
        loop {
            let Held::Opening(task) = &mut self.held else {
                self.held = Held::Opening(AbortOnDropHandle::new(tokio::spawn(self.begin())));
                continue;
            };
            let ended = task.await;
            self.held = Held::Nothing;
            let (when, result) = ended.map_err(died)?;
            match result {
                Ok(link) => {
                    if let Some(protection) = link.protection() {
                        self.terms.keep(protection);
                    }
                    self.ladder.opened();
                    if is_usable(&link) {
                        return Ok((link, true));
                    }
                }
                // Whatever it was: at a level that never was had, it is the level's fault as far as anyone can tell.
                Err(Trouble::Session(fault))
                    if self.ladder.not_had(fault.refuses_level(), self.shared.clock.now()) => {}
                Err(trouble) => {
                    let error = trouble.explain(&self.settings);
                    // Refused credentials are never tried again unheard.
                    if error.kind == ErrorKind::Auth || self.shared.clock.now().since(when) < NEWS {
                        return Err(Trouble::Other(error));
                    }
                }
            }
        }
    }

    /// Keeps `link` alive until it is taken again.
    pub fn park(&mut self, link: Link) {
        let recall = Arc::new(Notify::new());
        let task = tokio::spawn(keep_alive(link, Arc::clone(&recall)));
        self.held = Held::Parked(recall, AbortOnDropHandle::new(task));
    }

    /// The session that was kept alive, if there still is one.
    pub async fn recall(&mut self) -> Option<Link> {
        let Held::Parked(recall, task) = &mut self.held else { return None };
        recall.notify_one();
        let link = task.await;
        self.held = Held::Nothing;
        link.ok().flatten()
    }

    /// Which refusals [`Upkeep::lacks`] is to be told of.
    pub fn watch(&self) -> Watch {
        self.ladder.watch(self.shared.clock.now())
    }

    /// The BMC refuses what `need` is for at the present level: the next session is one of another level.
    pub fn lacks(&mut self, need: Need) {
        self.ladder.lacks(need, self.shared.clock.now());
    }

    /// How `link` is protected, and at which level where that was found out, for people.
    pub fn describe(&self, link: &Link) -> String {
        let protection = link.protection().map_or_else(String::new, |protection| protection.to_string());
        let level = self.ladder.found().map_or_else(String::new, |level| format!(", as {}", level.name()));
        format!("{protection}{level}")
    }

    fn begin(&mut self) -> impl Future<Output = (Moment, Result<Link, Trouble>)> + use<> {
        let opening = Opening {
            settings: Arc::clone(&self.settings),
            login: Arc::clone(&self.login),
            shared: Arc::clone(&self.shared),
            terms: Terms { level: self.ladder.level(), ..self.terms.clone() },
            turn: self.tries,
            // Some BMCs meet a level that the user does not have with silence, and keep a place for each try.
            retries: if self.ladder.climbs_now() { 0 } else { self.settings.retries },
        };
        self.tries = self.tries.wrapping_add(1);
        async move {
            let result = opening.run().await;
            (opening.shared.clock.now(), result)
        }
    }
}

/// A task of the session's died, or the runtime is ending.
fn died(error: JoinError) -> Trouble {
    match error.try_into_panic() {
        Ok(panic) => std::panic::resume_unwind(panic),
        Err(_) => Trouble::Session(Fault::Silence(Step::Command)),
    }
}

/// Asks for something small whenever the session was silent for a while. None once it is lost.
async fn keep_alive(mut link: Link, recall: Arc<Notify>) -> Option<Link> {
    loop {
        tokio::select! {
            biased;
            () = recall.notified() => return Some(link),
            () = sleep(KEEP_ALIVE.saturating_sub(link.idle())) => {}
        }
        let answered = tokio::select! {
            biased;
            () = recall.notified() => return Some(link),
            // Whatever it answers, the session is not silent.
            reply = link.ask(app::get_device_id()) => reply.is_ok(),
        };
        if !answered {
            return None;
        }
    }
}

/// All that is needed to open a session once.
struct Opening {
    settings: Arc<Settings>,
    login: Arc<Login>,
    shared: Arc<Shared>,
    terms: Terms,
    turn: usize,
    /// How often the setup is begun anew.
    retries: u32,
}

impl Opening {
    async fn run(&self) -> Result<Link, Trouble> {
        let peer = self.resolve().await.map_err(Trouble::Other)?;
        let opened = match self.connect(peer).await {
            // A single garbled datagram looks like a wrong password, whose long pause would cost much more.
            Err(Trouble::Session(Fault::Password)) => self.connect(peer).await,
            other => other,
        };
        let mut link = opened?;
        // Given away only when it can be used: dropped before that, it is closed.
        raise(&mut link, self.terms.level).await?;
        Ok(link)
    }

    async fn connect(&self, peer: SocketAddr) -> Result<Link, Trouble> {
        let place = self.shared.budget.enter(peer).map_err(Trouble::Other)?;
        let random = self.shared.random.as_ref();
        let lease = self.shared.sockets.lease(peer, random).await.map_err(Trouble::Other)?;
        let patience = [self.retries, self.settings.retries]
            .map(|retries| Patience { timeout: self.settings.request_timeout, retries });
        Link::open(&self.shared, (lease, place), Arc::clone(&self.login), self.terms.clone(), patience).await
    }

    async fn resolve(&self) -> Result<SocketAddr, PollError> {
        let address = &self.settings.address;
        let unknown = |why: String| {
            PollError::new(
                ErrorKind::Unreachable,
                format!("{address} cannot be resolved: {why}"),
                "check the name and this machine's DNS",
            )
        };
        let found: Vec<SocketAddr> =
            tokio::net::lookup_host(address).await.map_err(|e| unknown(e.to_string()))?.collect();
        // A name with several addresses may answer at one of them only: each new try takes the next.
        let peer = self.turn.checked_rem(found.len()).and_then(|place| found.get(place).copied());
        peer.ok_or_else(|| unknown("it has no address".to_owned()))
    }
}

/// A session starts at the level of a user, whatever was asked for.
async fn raise(link: &mut Link, level: Level) -> Result<(), Trouble> {
    if level == Level::User {
        return Ok(());
    }
    match link.ask(app::set_privilege(level.id())).await?.code {
        0 => Ok(()),
        code => Err(Trouble::Session(Fault::NotRaised(level, code))),
    }
}
