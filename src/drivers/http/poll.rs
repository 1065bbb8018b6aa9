//! One meter: what is asked in each poll, and what only now and then.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use reqwest::StatusCode;
use serde_json::Value;

use super::identify::identify;
use super::profile::{Auth, Profile};
use super::read::{self, Memory};
use super::{Settings, Shared, Trust};
use crate::drivers::{Driver, Trace, Traced};
use crate::model::{Batch, BoxFuture, ErrorKind, Moment, PollError};
use crate::web::{Ask, Body, Client, Limits, Login};

/// The largest answer: many times what these meters have to say.
const MAX_BODY_BYTES: usize = 256 << 10;
/// Names and identity are asked again after this time.
const RENEWAL: Duration = Duration::from_secs(3600);

/// A JSON meter.
pub(super) struct Http {
    client: Client,
    settings: Settings,
    shared: Shared,
    device: Option<Device>,
}

/// What is known of the device.
struct Device {
    profile: Arc<Profile>,
    /// The last answers, by request.
    answers: Vec<Option<Value>>,
    memory: Memory,
    /// When what holds no values was asked last.
    learned: Option<Moment>,
    /// Whether a batch has told of it: the poll that asked may have been given up.
    told: bool,
}

impl Http {
    /// Reads the CA file; opens no connection.
    ///
    /// # Errors
    /// As [`super::open`].
    pub(super) fn new(settings: Settings, at: Option<IpAddr>, shared: Shared) -> Result<Self, PollError> {
        let limits = Limits { time: settings.request_timeout, bytes: MAX_BODY_BYTES, server: "the meter" };
        let trust: &Trust = &settings.trust;
        let mut http = Self {
            client: Client::new(&settings.url, at, trust, Login::Open, limits)?,
            settings,
            shared,
            device: None,
        };
        if let Some(name) = http.settings.profile.clone() {
            let profile = http.shared.profiles.chosen(&name)?;
            http.take(profile)?;
        }
        Ok(http)
    }

    /// Reads by `profile` from now on.
    fn take(&mut self, profile: Arc<Profile>) -> Result<&mut Device, PollError> {
        self.client.log_in_by(login(&self.settings, &profile)?);
        let answers = vec![None; profile.requests.len()];
        Ok(self.device.insert(Device {
            profile,
            answers,
            memory: Memory::default(),
            learned: None,
            told: false,
        }))
    }

    /// Asks for everything that is due. What only describes comes last: a poll that ends there is not the worse for it the next time.
    async fn ask(&mut self) -> Result<(), PollError> {
        if self.device.is_none() {
            let profile = identify(&mut self.client, &self.shared.profiles).await?;
            self.take(profile)?;
        }
        let now = self.shared.clock.now();
        let Some(device) = &mut self.device else { return Ok(()) };
        device.answers.iter_mut().zip(&device.profile.requests).for_each(|(answer, request)| {
            if request.polled {
                *answer = None;
            }
        });
        let mut first = true;
        for (request, answer) in device.profile.requests.iter().zip(&mut device.answers) {
            if request.polled {
                let ask = ask(&request.path, request.body.as_deref());
                *answer = value(&mut self.client, &ask, first).await?;
                first = false;
            }
        }
        refused(&device.profile, &device.answers)?;
        if device.learned.is_some_and(|at| now.since(at) < RENEWAL) {
            return Ok(());
        }
        (device.learned, device.told) = (Some(now), false);
        for (request, answer) in device.profile.requests.iter().zip(&mut device.answers) {
            if !request.polled {
                let ask = ask(&request.path, request.body.as_deref());
                *answer = self.client.get(&ask).await.ok().and_then(|body| parse(&body)).or(answer.take());
            }
        }
        Ok(())
    }

    /// One poll; readings with where they stood.
    async fn read(&mut self) -> Result<Vec<Traced>, PollError> {
        self.ask().await?;
        let Some(device) = &mut self.device else { return Err(nothing("")) };
        let readings = read::readings(&device.profile, &device.answers, &mut device.memory);
        if !readings.is_empty() {
            return Ok(readings);
        }
        let error = nothing(&device.profile.name);
        if self.settings.profile.is_none() {
            // Perhaps it is another device now: it is asked again what it is.
            self.device = None;
            self.client.log_in_by(Login::Open);
        }
        Err(error)
    }

    /// One poll for people who write profiles.
    ///
    /// # Errors
    /// As a poll.
    pub(super) async fn trace(mut self) -> Result<Trace, PollError> {
        let readings = self.read().await?;
        let device = self.device.as_ref();
        let channels = device.map(|d| read::infos(&d.profile, &d.answers, &d.memory));
        Ok(Trace {
            readings,
            identity: device.map(|d| read::identity(&d.profile, &d.answers)),
            channels: channels.unwrap_or_default(),
            dropped: Vec::new(),
        })
    }
}

impl Driver for Http {
    fn poll(&mut self) -> BoxFuture<'_, Result<Batch, PollError>> {
        Box::pin(async {
            let readings = self.read().await?;
            let mut batch = Batch {
                readings: readings.into_iter().map(|traced| traced.reading).collect(),
                ..Batch::default()
            };
            if let Some(device) = self.device.as_mut().filter(|device| !device.told) {
                batch.identity = Some(read::identity(&device.profile, &device.answers));
                batch.channels = read::infos(&device.profile, &device.answers, &device.memory);
                device.told = true;
            }
            Ok(batch)
        })
    }
}

/// The request for a path.
pub(super) const fn ask<'a>(path: &'a str, body: Option<&'a str>) -> Ask<'a> {
    let body = match body {
        Some(text) => Some(Body { media_type: "application/json", text }),
        None => None,
    };
    Ask { path, accept: "application/json", body }
}

/// The document of an answer; none if it is no JSON.
pub(super) fn parse(body: &[u8]) -> Option<Value> {
    serde_json::from_slice(body).ok()
}

/// What holds values. Only the first request must be known to the device: others are of some models.
async fn value(client: &mut Client, ask: &Ask<'_>, needed: bool) -> Result<Option<Value>, PollError> {
    let mut body = Vec::new();
    let answer = client.read(ask, &mut |_, piece| body.extend_from_slice(piece)).await?;
    if !needed && matches!(answer.status, StatusCode::NOT_FOUND | StatusCode::GONE) {
        return Ok(None);
    }
    client.judge(ask, answer.status)?;
    parse(&body).map(Some).ok_or_else(|| client.protocol(ask, "is not JSON"))
}

/// Some devices refuse a password with a good status.
fn refused(profile: &Profile, answers: &[Option<Value>]) -> Result<(), PollError> {
    let said =
        profile.refused.as_ref().zip(answers.first()).and_then(|(path, answer)| path.get(answer.as_ref()?));
    if said.is_none() {
        return Ok(());
    }
    let fix = "check user name and password file";
    Err(PollError::new(ErrorKind::Auth, "the meter asks for credentials, or refuses those it was given", fix))
}

fn nothing(profile: &str) -> PollError {
    PollError::new(
        ErrorKind::NoReading,
        format!("the meter's answers hold no value that profile {profile} knows"),
        "check `profile`, or write one as docs/profiles.md shows",
    )
}

/// How the profile's devices want user and password.
fn login(settings: &Settings, profile: &Profile) -> Result<Login, PollError> {
    let Some(password) = settings.password.clone() else { return Ok(Login::Open) };
    let user = settings.user.clone().or_else(|| profile.user.clone()).unwrap_or_else(|| "admin".to_owned());
    match profile.auth {
        Auth::Basic => Ok(Login::Basic { user, password }),
        Auth::Digest => Ok(Login::digest(user, password)),
        Auth::Query => Ok(Login::Query { user, password }),
        Auth::None => Err(PollError::new(
            ErrorKind::Auth,
            format!("devices of profile {} take no password", profile.name),
            "remove `username` and the password",
        )),
    }
}
