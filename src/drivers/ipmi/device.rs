//! One BMC over time: its session, where its total comes from, its sensors, who it is.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::commands::{Code, No, app, dcmi, sensor};
use super::crypto::Suite;
use super::errors::{self, Trouble};
use super::identity;
use super::link::{Ask, Link, Patience};
use super::points::{Point, points};
use super::repository::Repository;
use super::session::{Fault, Step};
use super::wire::message::{Reply, Request};
use super::{Login, Privilege, Readings, Settings, Shared};
use crate::drivers::Driver;
use crate::model::{
    Batch, BoxFuture, ChannelId, ErrorKind, Identity, Measure, Moment, PollError, Reading, Watts,
};

/// BMCs drop a session that was silent for 60 s, give or take 3.
const SESSION_LIFE: Duration = Duration::from_secs(50);
/// How long DCMI is believed not to work before it is tried again.
const DCMI_REST: Duration = Duration::from_secs(300);
/// How long sensors are believed to be the same ones, unless one of them vanishes.
const SENSORS_HOLD: Duration = Duration::from_secs(3600);

/// Where the total comes from.
enum Dcmi {
    /// Not asked yet.
    Unknown,
    /// It gave a reading: from now on it is the total.
    Works,
    /// It gave none, and is tried again at this moment.
    Rests(No, Moment),
}

/// The BMC.
pub struct Device {
    settings: Settings,
    login: Arc<Login>,
    shared: Arc<Shared>,
    tries: usize,
    link: Option<Link>,
    /// When the session was last used.
    used: Moment,
    /// Suites that may still be used: none below what once worked.
    allowed: Vec<Suite>,
    dcmi: Dcmi,
    repository: Repository,
    checked: Option<Moment>,
    points: Vec<Point>,
    asked_fru: bool,
    maker: Option<Identity>,
    told: Option<Identity>,
}

impl Device {
    /// Sends nothing yet.
    pub fn new(settings: Settings, login: Arc<Login>, shared: Arc<Shared>) -> Self {
        Self {
            allowed: settings.suites.clone(),
            settings,
            login,
            shared,
            tries: 0,
            link: None,
            used: Moment::ZERO,
            dcmi: Dcmi::Unknown,
            repository: Repository::default(),
            checked: None,
            points: Vec::new(),
            asked_fru: false,
            maker: None,
            told: None,
        }
    }

    /// A session that can be used, and whether it is a new one.
    async fn link(&mut self) -> Result<bool, Trouble> {
        let idle = self.shared.clock.now().since(self.used);
        self.used = self.shared.clock.now();
        self.link = self.link.take().filter(|link| !link.is_lost() && idle < SESSION_LIFE);
        if self.link.is_some() {
            return Ok(false);
        }
        // On the heap: nearly every poll finds its session open, and none should carry the room for a setup.
        self.link = Some(Box::pin(self.set_up()).await?);
        // The repository may have changed while nobody looked.
        self.checked = None;
        Ok(true)
    }

    async fn set_up(&mut self) -> Result<Link, Trouble> {
        let opened = match self.connect().await {
            // A single garbled datagram looks like a wrong password, whose long pause would cost much more.
            Err(Trouble::Session(Fault::Password)) => self.connect().await,
            other => other,
        };
        let mut link = opened?;
        // Kept only when it can be used: a poll dropped before that drops, and so closes, the session.
        self.raise_privilege(&mut link).await?;
        Ok(link)
    }

    async fn connect(&mut self) -> Result<Link, Trouble> {
        let peer = self.resolve().await.map_err(Trouble::Other)?;
        let random = Arc::clone(&self.shared.random);
        let lease = self.shared.sockets.lease(peer, random.as_ref()).await.map_err(Trouble::Other)?;
        let patience = Patience { timeout: self.settings.request_timeout, retries: self.settings.retries };
        let link = Link::open(lease, Arc::clone(&self.login), &self.allowed, random, patience).await?;
        if let Some(suite) = link.suite() {
            // From here on nobody can talk us into a weaker one.
            let upto = self.allowed.iter().position(|allowed| *allowed == suite).unwrap_or(0);
            self.allowed.truncate(upto + 1);
        }
        Ok(link)
    }

    async fn resolve(&mut self) -> Result<SocketAddr, PollError> {
        let address = self.settings.address.clone();
        let unknown = |why: String| {
            PollError::new(
                ErrorKind::Unreachable,
                format!("{address} cannot be resolved: {why}"),
                "check the name and this machine's DNS",
            )
        };
        let found: Vec<SocketAddr> =
            tokio::net::lookup_host(&address).await.map_err(|e| unknown(e.to_string()))?.collect();
        // A name with several addresses may answer at one of them only: each new try takes the next.
        let peer = self.tries.checked_rem(found.len()).and_then(|place| found.get(place).copied());
        self.tries = self.tries.wrapping_add(1);
        peer.ok_or_else(|| unknown("it has no address".to_owned()))
    }

    /// A session starts at the level of a user, whatever was asked for.
    async fn raise_privilege(&self, link: &mut Link) -> Result<(), Trouble> {
        let privilege = self.settings.privilege;
        if privilege == Privilege::User {
            return Ok(());
        }
        let reply = link.ask(app::set_privilege(privilege.level())).await?;
        if reply.code == 0 {
            return Ok(());
        }
        Err(Trouble::Other(PollError::new(
            ErrorKind::Auth,
            format!("the BMC does not raise the session to {} ({:02X}h)", privilege.name(), reply.code),
            "give the user this privilege level on the LAN channel, or ask for less with `privilege`",
        )))
    }

    async fn poll_bmc(&mut self) -> Result<Batch, Trouble> {
        let fresh = self.link().await?;
        match self.read().await {
            // The BMC may have restarted and forgotten the session.
            Err(Trouble::Session(_)) if !fresh => {
                self.link = None;
                self.link().await?;
                self.read().await
            }
            other => other,
        }
    }

    async fn read(&mut self) -> Result<Batch, Trouble> {
        let begun = self.shared.clock.now();
        let mut readings = Vec::new();
        let mut no = None;
        match self.settings.readings {
            Readings::Auto | Readings::Dcmi => match self.total().await? {
                Ok(power) => readings.extend(reading("input", Measure::Power(power))),
                Err(why) => no = Some(why),
            },
            Readings::Sensors => {}
        }
        match self.settings.readings {
            Readings::Auto | Readings::Sensors => match Box::pin(self.sensors(begun, &mut readings)).await {
                // A BMC that hangs on one sensor keeps what it said before.
                Err(Trouble::Session(_)) if !readings.is_empty() => self.link = None,
                other => other?,
            },
            Readings::Dcmi => {}
        }
        if readings.is_empty() {
            return Err(Trouble::Other(self.nothing(no)));
        }
        let identity = match self.identify().await {
            Ok(identity) => identity,
            // Nobody's watts depend on a name.
            Err(_) => {
                self.link = None;
                None
            }
        };
        Ok(Batch { readings, identity, ..Batch::default() })
    }

    /// The total by DCMI, or why there is none.
    async fn total(&mut self) -> Result<Result<Watts, No>, Trouble> {
        let now = self.shared.clock.now();
        match self.dcmi {
            Dcmi::Rests(no, until) if now < until && self.settings.readings == Readings::Auto => {
                return Ok(Err(no));
            }
            Dcmi::Unknown | Dcmi::Works | Dcmi::Rests(..) => {}
        }
        let reply = self.ask(dcmi::get_power_reading()).await?;
        let value = match dcmi::PowerReading::parse(&reply) {
            Ok(power) if !power.active => Err(No::NotMeasuring),
            Ok(power) if power.current == 0 && !self.is_off().await? => Err(No::NotMeasuring),
            Ok(power) => Watts::new(f64::from(power.current)).map_err(|_| No::Malformed),
            Err(no) => Err(no),
        };
        self.dcmi = match (&value, &self.dcmi) {
            (Ok(_), _) | (Err(_), Dcmi::Works) => Dcmi::Works,
            (Err(No::Code(code)), Dcmi::Unknown | Dcmi::Rests(..)) if code.passes() => Dcmi::Unknown,
            (Err(no), Dcmi::Unknown | Dcmi::Rests(..)) => Dcmi::Rests(*no, now + DCMI_REST),
        };
        Ok(value)
    }

    /// Whether the BMC says that the machine is off: only then are 0 W a reading.
    async fn is_off(&mut self) -> Result<bool, Trouble> {
        let reply = self.ask(app::get_chassis_status()).await?;
        Ok(app::is_on(&reply) == Ok(false))
    }

    /// Learns what sensors there are, for a while, and reads those that are known.
    async fn sensors(&mut self, begun: Moment, readings: &mut Vec<Reading>) -> Result<(), Trouble> {
        let clock = Arc::clone(&self.shared.clock);
        let Some(link) = &mut self.link else { return Ok(()) };
        if self.checked.is_none_or(|checked| clock.now().since(checked) > SENSORS_HOLD) {
            self.repository.check(link).await?;
            self.checked = Some(clock.now());
        }
        if self.repository.is_learning() {
            while self.repository.is_learning()
                && (readings.is_empty() || clock.now().since(begun) < self.settings.learning)
            {
                self.repository.step(link).await?;
            }
            if !self.repository.is_learning() {
                self.points = points(self.repository.sensors());
            }
        }
        let mut total = None;
        for point in &self.points {
            let reply = link.ask(sensor::get_reading(point.sensor.number, point.sensor.lun)).await?;
            match sensor::reading(&reply) {
                Ok(raw) => {
                    let value = raw.and_then(|raw| point.sensor.factors.value(raw));
                    let Some(measure) = value.and_then(|value| point.sensor.unit.measure(value).ok()) else {
                        continue;
                    };
                    if let (true, Measure::Power(power)) = (point.total, measure) {
                        total = Some(power);
                    }
                    readings.push(Reading::measured(point.channel.clone(), measure));
                }
                // Its repository says otherwise than the BMC: it is asked again whether it has changed.
                Err(No::Code(Code::NOT_PRESENT)) => self.checked = None,
                Err(_) => {}
            }
        }
        self.total_by_sensor(total, readings).await
    }

    /// The total by a sensor, where DCMI does not give one.
    async fn total_by_sensor(
        &mut self,
        total: Option<Watts>,
        readings: &mut Vec<Reading>,
    ) -> Result<(), Trouble> {
        let Some(power) = total else { return Ok(()) };
        if matches!(self.dcmi, Dcmi::Works) || power == Watts::ZERO && !self.is_off().await? {
            return Ok(());
        }
        readings.extend(reading("input", Measure::Power(power)));
        Ok(())
    }

    fn nothing(&self, no: Option<No>) -> PollError {
        match (no, self.settings.readings) {
            (Some(no), Readings::Dcmi) => errors::nothing("DCMI Get Power Reading", no, &self.settings),
            (Some(no), Readings::Auto | Readings::Sensors) => {
                errors::nothing("no sensor has a reading, and DCMI Get Power Reading", no, &self.settings)
            }
            (None, _) => PollError::new(
                ErrorKind::NoReading,
                "none of the BMC's sensors has a reading in watts, volts, amperes or of the inlet's temperature",
                "set `readings` to auto, or meter the host over Redfish or at the PDU",
            ),
        }
    }

    /// Who the BMC says it is, when that is new.
    async fn identify(&mut self) -> Result<Option<Identity>, Trouble> {
        let maker = match &self.maker {
            Some(maker) => maker.clone(),
            None => {
                // A BMC that is slow or hangs over its FRU is not asked for it again.
                let fru = !std::mem::replace(&mut self.asked_fru, true);
                let patience = if fru { self.settings.learning } else { Duration::ZERO };
                let Some(link) = &mut self.link else { return Ok(None) };
                let maker = Box::pin(identity::ask(link, patience)).await?;
                self.maker.insert(maker).clone()
            }
        };
        let identity = Identity { profile: self.profile(), ..maker };
        if self.told.as_ref() == Some(&identity) {
            return Ok(None);
        }
        self.told = Some(identity.clone());
        Ok(Some(identity))
    }

    /// Where the total comes from and why, and how it is protected.
    fn profile(&self) -> String {
        let by_sensor = self
            .points
            .iter()
            .find(|point| point.total)
            .map_or_else(|| "no total".to_owned(), |point| format!("sensor {}", point.sensor.name));
        let source = match &self.dcmi {
            Dcmi::Works => "dcmi".to_owned(),
            Dcmi::Unknown => by_sensor,
            Dcmi::Rests(No::Malformed, _) => format!("{by_sensor} (dcmi: broken answer)"),
            Dcmi::Rests(No::NotMeasuring, _) => format!("{by_sensor} (dcmi: not measuring)"),
            Dcmi::Rests(No::Code(code), _) => format!("{by_sensor} (dcmi: {})", code.name()),
        };
        let suite = self.link.as_ref().and_then(Link::suite).map_or(0, Suite::id);
        format!("{source}, cipher suite {suite}")
    }

    async fn ask(&mut self, request: Request) -> Result<Reply, Trouble> {
        let Some(link) = &mut self.link else {
            return Err(Trouble::Session(Fault::Silence(Step::Command)));
        };
        Ok(link.ask(request).await?)
    }
}

fn reading(channel: &str, measure: Measure) -> Option<Reading> {
    Some(Reading::measured(ChannelId::new(channel).ok()?, measure))
}

impl Driver for Device {
    fn poll(&mut self) -> BoxFuture<'_, Result<Batch, PollError>> {
        Box::pin(async move {
            let result = self.poll_bmc().await;
            self.used = self.shared.clock.now();
            match &result {
                Ok(_) | Err(Trouble::Other(_)) => {
                    if let Some(link) = self.link.take_if(|_| !self.settings.keep_session) {
                        link.close().await;
                    }
                }
                Err(Trouble::Session(_)) => self.link = None,
            }
            result.map_err(|trouble| trouble.explain(&self.settings))
        })
    }

    fn close(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            if let Some(link) = self.link.take() {
                link.close().await;
            }
        })
    }
}
