//! One source: a poll asks it once (a page, a file) or once for each entry (a server), and takes what is new.
//!
//! A sample that was taken before is not new, however often it is shown; one that is older than `max_age` stands for nothing. What is
//! new and says when it was so is dated then, but never before the poll before: energy is integrated forwards.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use reqwest::StatusCode;

use super::file::TextFile;
use super::query::{self, Aged};
use super::series::{Channels, Read, is_of};
use super::text::{Format, MAX_SAMPLES, Page, PageError, Sample};
use super::{Access, Pick, Settings, Source};
use crate::drivers::Driver;
use crate::model::{
    Batch, BoxFuture, ChannelId, Clock, Earlier, ErrorKind, Moment, PollError, Quantity, Reading,
};
use crate::web::{Ask, Body, Client, Limits, Login};

/// The largest page: a million lines.
const MAX_PAGE_BYTES: usize = 128 << 20;
/// The largest answer of a query.
const MAX_ANSWER_BYTES: usize = 8 << 20;
/// A poll ends, and its batch is taken, within this time after it is dated.
const HANDOVER: Duration = Duration::from_millis(10);

/// How a source is reached.
enum Reach {
    Server(Client),
    Page(Client),
    File(TextFile),
}

/// A Prometheus server, an exporter, or a file.
pub(super) struct Prometheus {
    reach: Reach,
    settings: Settings,
    clock: Arc<dyn Clock>,
    /// The time of each channel's last sample, by the source's clock.
    taken: HashMap<(ChannelId, Quantity), f64>,
    /// When the last poll ended.
    ended: Option<Moment>,
}

impl Prometheus {
    /// Reads the CA file; opens no connection.
    ///
    /// # Errors
    /// As [`super::open`].
    pub(super) fn new(settings: Settings, clock: Arc<dyn Clock>) -> Result<Self, PollError> {
        let reach = match &settings.source {
            Source::Server(url) => {
                Reach::Server(client(&settings, url, MAX_ANSWER_BYTES, "the Prometheus server")?)
            }
            Source::Page(url) => Reach::Page(client(&settings, url, MAX_PAGE_BYTES, "the exporter")?),
            Source::File(path) => Reach::File(TextFile::new(path.clone())),
        };
        Ok(Self { reach, settings, clock, taken: HashMap::new(), ended: None })
    }

    /// What the source shows: for each entry, samples with their age, where they say it.
    async fn samples(&mut self) -> Result<Vec<Vec<(Sample, Option<Duration>)>>, PollError> {
        let samples = match &mut self.reach {
            Reach::Server(client) => return answers(client, &self.settings).await,
            Reach::Page(client) => page(client, &wanted(&self.settings)).await?,
            Reach::File(file) => self::file(file, &wanted(&self.settings)).await?,
        };
        let now = self.clock.unix_seconds();
        let age = |at: f64| Duration::try_from_secs_f64((now - at).max(0.0)).unwrap_or(Duration::MAX);
        let of = |series| {
            let samples = samples.iter().filter(|sample| is_of(series, sample));
            samples.map(|sample| (sample.clone(), sample.at.map(age))).collect()
        };
        Ok(self.settings.series.iter().map(of).collect())
    }

    /// What is new among `samples`, which were shown at `now`.
    ///
    /// # Errors
    /// `NoReading` if there is nothing but what is too old, or nothing at all.
    fn batch(
        &mut self,
        samples: &[Vec<(Sample, Option<Duration>)>],
        now: Moment,
    ) -> Result<Batch, PollError> {
        let mut channels = Channels::default();
        let mut batch = Batch::default();
        let mut dated: BTreeMap<Moment, Vec<Reading>> = BTreeMap::new();
        let (mut alive, mut oldest) = (false, None);
        // Only what is shown now is remembered: series come and go.
        let mut taken = HashMap::new();
        for (series, samples) in self.settings.series.iter().zip(samples) {
            let numbered = samples.iter().map(|(sample, _)| sample).enumerate();
            for Read { reading, sample } in channels.readings(series, numbered)? {
                let Some((sample, age)) = samples.get(sample) else { continue };
                let age = age.unwrap_or_default();
                if age > self.settings.max_age {
                    oldest = oldest.max(Some(age));
                    continue;
                }
                alive = true;
                let key = (reading.channel.clone(), series.quantity);
                if let Some(at) = sample.at {
                    // A source whose clock was far ahead, and is set right, does not show old samples.
                    let youth = self.settings.max_age.as_secs_f64();
                    let last = self.taken.get(&key).copied().filter(|last| last - at <= youth);
                    taken.insert(key, last.map_or(at, |last| last.max(at)));
                    if last.is_some_and(|last| at <= last) {
                        continue;
                    }
                }
                match self.ended.filter(|_| sample.at.is_some()) {
                    Some(ended) => {
                        dated.entry(now.before(age).max(ended + HANDOVER)).or_default().push(reading);
                    }
                    None => batch.readings.push(reading),
                }
            }
        }
        if !alive {
            return Err(self.nothing(oldest));
        }
        self.taken = taken;
        for (at, mut readings) in dated {
            // Those of this very moment need no date.
            if at >= now {
                batch.readings.append(&mut readings);
            } else {
                batch.earlier.push(Earlier { at, readings });
            }
        }
        Ok(batch)
    }

    fn nothing(&self, oldest: Option<Duration>) -> PollError {
        match oldest {
            Some(age) => PollError::new(
                ErrorKind::NoReading,
                format!("the newest samples are {} s old", age.as_secs()),
                "check that what measures still runs; if it only measures seldom, allow more in `max_age`",
            ),
            None => PollError::new(
                ErrorKind::NoReading,
                "none of the series is there with a value",
                match self.settings.source {
                    Source::Server(_) => {
                        "try the queries in the server's own page, and check that what measures is up"
                    }
                    Source::Page(_) | Source::File(_) => {
                        "look for the metrics on the page, and check the labels"
                    }
                },
            ),
        }
    }
}

impl Driver for Prometheus {
    fn poll(&mut self) -> BoxFuture<'_, Result<Batch, PollError>> {
        Box::pin(async {
            let samples = self.samples().await?;
            let now = self.clock.now();
            let batch = self.batch(&samples, now)?;
            self.ended = Some(now);
            Ok(batch)
        })
    }
}

/// A client of the source's address.
fn client(settings: &Settings, url: &str, bytes: usize, server: &'static str) -> Result<Client, PollError> {
    let login = match settings.access.clone() {
        Access::Open => Login::Open,
        Access::Basic(user, password) => Login::Basic { user, password },
        Access::Bearer(token) => Login::Bearer(token),
    };
    let limits = Limits { time: settings.request_timeout, bytes, server };
    Ok(Client::new(url, None, &settings.trust, login, limits)?.with_headers(&settings.headers))
}

/// The metrics that are read of a page.
fn wanted(settings: &Settings) -> HashSet<&str> {
    let names = settings.series.iter().filter_map(|series| match &series.pick {
        Pick::Metric { name, .. } => Some(name.as_str()),
        Pick::Query(_) => None,
    });
    names.collect()
}

async fn page(client: &mut Client, wanted: &HashSet<&str>) -> Result<Vec<Sample>, PollError> {
    let ask = Ask {
        path: "",
        accept: "text/plain;version=0.0.4,application/openmetrics-text;version=1.0.0;q=0.5,*/*;q=0.1",
        body: None,
    };
    let mut page: Option<Page<'_>> = None;
    let answer = client
        .read(&ask, &mut |answer, piece| {
            if answer.status == StatusCode::OK {
                page.get_or_insert_with(|| Page::new(wanted, format(&answer.media_type))).feed(piece);
            }
        })
        .await?;
    client.judge(&ask, answer.status)?;
    let read = page.map_or(Err(PageError::Foreign), Page::finish);
    read.map_err(|why| client.protocol(&ask, &no_page(why)))
}

/// The samples of a file: those without a time of their own are of the time when it was written.
async fn file(file: &mut TextFile, wanted: &HashSet<&str>) -> Result<Vec<Sample>, PollError> {
    let content = file.read().await?;
    let mut page = Page::new(wanted, content.format());
    page.feed(&content.bytes);
    let mut samples = page.finish().map_err(|why| {
        let cause = format!("{} {}", file.path().display(), no_page(why));
        PollError::new(ErrorKind::Protocol, cause, "look at the file, and at the program that writes it")
    })?;
    samples.iter_mut().for_each(|sample| sample.at = sample.at.or(Some(content.written)));
    Ok(samples)
}

fn no_page(why: PageError) -> String {
    match why {
        PageError::Foreign => "is no page of metrics".to_owned(),
        PageError::Cut => "breaks off before its end mark".to_owned(),
        PageError::TooMany => format!("holds more than {MAX_SAMPLES} of the series that are read"),
    }
}

async fn answers(
    client: &mut Client,
    settings: &Settings,
) -> Result<Vec<Vec<(Sample, Option<Duration>)>>, PollError> {
    let mut all = Vec::new();
    // All entries are of one moment: that of the first that gave anything.
    let mut moment = None;
    for series in &settings.series {
        let form = query::form(&series.pick, settings.max_age, moment);
        let body = Body { media_type: "application/x-www-form-urlencoded", text: &form };
        let ask = Ask { path: "/api/v1/query", accept: "application/json", body: Some(body) };
        let mut text = Vec::new();
        let answer = client.read(&ask, &mut |_, piece| text.extend_from_slice(piece)).await?;
        // A query that cannot be answered comes with a reason, and with one of these.
        if !matches!(answer.status, StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY) {
            client.judge(&ask, answer.status)?;
        }
        let aged = query::parse(&text).map_err(|why| client.protocol(&ask, &why))?;
        moment = moment.or_else(|| aged.first().map(|first| first.evaluated));
        all.push(aged.into_iter().map(|Aged { sample, age, .. }| (sample, Some(age))).collect());
    }
    Ok(all)
}

fn format(media_type: &str) -> Format {
    if media_type.starts_with("application/openmetrics-text") { Format::OpenMetrics } else { Format::Text }
}
