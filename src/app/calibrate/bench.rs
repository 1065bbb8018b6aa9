//! Reading one host: its feed's meters and its hypervisor, opened for this alone.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval, timeout};

use super::mean::Means;
use crate::app::plan::{MeterPlan, SourcePlan};
use crate::app::{self, Shared, target};
use crate::attribution::pricing;
use crate::drivers::Driver;
use crate::inventory::Host;
use crate::model::{ChannelId, Clock, MeterId, Moment, PollError, Ratio, Watts};
use crate::store::{FeedIndex, MeterIndex, Store};
use crate::workloads::{CpuNanos, Source, State, Usage};

/// The first poll of a device also finds out what it is: it gets this long at least.
const FIRST_POLL: Duration = Duration::from_secs(30);
/// So many rounds in a row may fail before the run is given up.
const FAILURES: u32 = 3;
/// The busy share is judged once it rests on so many samples.
const JUDGED: u32 = 2;

struct Polled {
    driver: Box<dyn Driver>,
    index: MeterIndex,
    name: String,
    deadline: Duration,
}

/// What measures a host.
pub(super) struct Bench {
    meters: Vec<Polled>,
    source: Option<(Box<dyn Source>, Duration)>,
    store: Store,
    feeds: Vec<FeedIndex>,
    gpus: Vec<FeedIndex>,
    every: Duration,
    clock: Arc<dyn Clock>,
    busy: Option<(Moment, CpuNanos)>,
    running: Option<usize>,
}

impl Bench {
    /// Opens the meters of `feed` and of the host's GPUs, and the hypervisor.
    pub(super) fn open(
        host: &Host,
        feed: &[(MeterId, ChannelId)],
        meters: &[MeterPlan],
        source: Option<&SourcePlan>,
        shared: &Shared,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, String> {
        let gpus: Vec<_> = host.parts.gpus.iter().map(|gpu| gpu.channel.clone()).collect();
        let needed = |m: &&MeterPlan| feed.iter().chain(&gpus).any(|(id, _)| *id == m.settings.id);
        let plans: Vec<&MeterPlan> = meters.iter().filter(needed).collect();
        let store = Store::new(plans.iter().map(|m| m.settings.clone()).collect());
        let track = |list: &[(MeterId, ChannelId)]| {
            let one = |(m, c): &(MeterId, ChannelId)| {
                store.track(m, c).ok_or_else(|| format!("there is no meter {m}"))
            };
            list.iter().map(one).collect::<Result<Vec<_>, _>>()
        };
        let (feeds, gpus) = (track(feed)?, track(&gpus)?);
        let mut opened = Vec::new();
        for plan in &plans {
            let name = plan.settings.id.to_string();
            let driver = app::open(&plan.driver, shared).map_err(|error| format!("{name}: {error}"))?;
            let Some(index) = store.find(&plan.settings.id) else { continue };
            opened.push(Polled { driver, index, name, deadline: plan.timing.deadline });
        }
        let source = source.map(|s| {
            let source =
                target::open_source(&s.reached, clock).map_err(|error| format!("its hypervisor: {error}"))?;
            Ok::<_, String>((source, s.timing.deadline))
        });
        let every = plans.iter().map(|m| m.timing.interval).max().unwrap_or(FIRST_POLL);
        Ok(Self {
            meters: opened,
            source: source.transpose()?,
            store,
            feeds,
            gpus,
            every,
            clock: Arc::clone(clock),
            busy: None,
            running: None,
        })
    }

    /// Reads for `time`, saying how it goes. Gives the means, and how many workloads ran last.
    pub(super) async fn watch(
        &mut self,
        time: Duration,
        limit: Ratio,
        say: &mut impl FnMut(&str),
    ) -> Result<(Means, Option<usize>), String> {
        let mut means = Means::default();
        let mut ticks = interval(self.every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut failed, mut judged) = (0, 0);
        let mut started = None;
        loop {
            ticks.tick().await;
            let first = started.is_none();
            let read = self.round(first).await;
            let now = self.clock.now();
            match read {
                Ok(power) => {
                    failed = 0;
                    means.power(power, now.since(*started.get_or_insert(now)));
                }
                Err(why) if first || failed >= FAILURES => return Err(why),
                Err(why) => {
                    failed += 1;
                    say(&why);
                }
            }
            if let Some((share, span)) = self.load().await? {
                means.busy(share, span);
                judged += 1;
            }
            if judged >= JUDGED
                && let Some(busy) = means.mean_busy().filter(|busy| *busy > limit.get())
            {
                return Err(format!(
                    "its CPUs are {:.1} % busy, more than {:.1} %; move its VMs away or wait, or allow more with --max-busy",
                    busy * 100.0,
                    limit.get() * 100.0
                ));
            }
            let passed = started.map_or(Duration::ZERO, |at| now.since(at));
            say(&progress(&means, passed, time));
            if passed >= time {
                return Ok((means, self.running));
            }
        }
    }

    /// Polls every meter once. The host's power without its GPUs, or what is wrong.
    async fn round(&mut self, first: bool) -> Result<Watts, String> {
        for meter in &mut self.meters {
            let deadline = if first { meter.deadline.max(FIRST_POLL) } else { meter.deadline };
            let polled = timeout(deadline, meter.driver.poll()).await;
            let batch = polled
                .unwrap_or_else(|_| Err(app::deadline_error(deadline)))
                .map_err(|error| format!("{}: {error}", meter.name))?;
            self.store.apply(meter.index, &batch, self.clock.now());
        }
        let now = self.clock.now();
        let names: Vec<_> = self.meters.iter().map(|m| m.name.as_str()).collect();
        let power = |feeds: &[FeedIndex]| {
            pricing::power(feeds, &self.store, now).ok_or_else(|| {
                format!(
                    "{} shows no power at a channel of the feed; `wattribute read` lists them",
                    names.join(", ")
                )
            })
        };
        let whole = power(&self.feeds)?;
        if self.gpus.is_empty() {
            return Ok(whole);
        }
        let gpus = power(&self.gpus)?;
        Watts::new(whole.get() - gpus.get()).map_err(|_| {
            format!("its GPUs show {gpus}, more than the {whole} of the host; check `gpus` and `feeds`")
        })
    }

    /// The busy share of the host's CPUs since the last look, and over how long; none where nobody tells, or at first.
    async fn load(&mut self) -> Result<Option<(f64, Duration)>, String> {
        let Some((source, deadline)) = &mut self.source else { return Ok(None) };
        let first = self.running.is_none();
        let deadline = if first { (*deadline).max(FIRST_POLL) } else { *deadline };
        let sampled: Result<Usage, PollError> =
            timeout(deadline, source.sample()).await.unwrap_or_else(|_| Err(app::deadline_error(deadline)));
        let usage = match sampled {
            Ok(usage) => usage,
            Err(error) if first => return Err(format!("its hypervisor: {error}")),
            // The next sample spans this one.
            Err(_) => return Ok(None),
        };
        self.running =
            Some(usage.workloads.iter().filter(|w| w.state.is_some_and(State::counts_cpu)).count());
        let Some((node, busy)) = usage.node.as_ref().and_then(|n| Some((n, n.busy?))) else {
            return Ok(None);
        };
        let Some((at, before)) = self.busy.replace((usage.at, busy)) else { return Ok(None) };
        let span = usage.at.since(at);
        let all = f64::from(node.cpus) * span.as_secs_f64();
        let used = busy.0.checked_sub(before.0).map(|nanos| Duration::from_nanos(nanos).as_secs_f64());
        Ok(used.filter(|_| all > 0.0).map(|used| (used / all, span)))
    }

    /// Gives back what devices hold for us.
    pub(super) async fn close(&mut self, say: &mut impl FnMut(&str)) {
        for meter in &mut self.meters {
            if timeout(meter.deadline, meter.driver.close()).await.is_err() {
                say(&format!("{} did not take its session back in time", meter.name));
            }
        }
        if let Some((source, deadline)) = &mut self.source
            && timeout(*deadline, source.close()).await.is_err()
        {
            say("its hypervisor did not let go in time");
        }
    }
}

fn progress(means: &Means, passed: Duration, time: Duration) -> String {
    let power = means.mean_power().map_or_else(|| "no reading".to_owned(), |w| format!("{w:.1} W"));
    let busy = means.mean_busy().map_or_else(String::new, |b| format!(", CPUs {:.1} % busy", b * 100.0));
    format!("{:.0} s of {:.0} s: {power}{busy}", passed.as_secs_f64(), time.as_secs_f64())
}
