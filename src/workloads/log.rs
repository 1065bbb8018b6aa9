//! The usage log: where samples wait between the task that took them and the tick that settles them, and how each source
//! fares.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Mutex, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use super::Usage;
use crate::model::{DatacenterId, HostId, LabelSet, Moment, PollError};

/// Samples kept for one source: where feeds are waited for longer, the oldest are dropped. No energy is lost by that:
/// the interval grows, and CPU counters go on.
const MAX_SAMPLES: usize = 600;
/// Workloads in all samples kept for one source, since a sample may hold thousands: 16 MiB.
const MAX_WORKLOADS: usize = 200_000;

/// Which source, as an index. It stays the same as long as the host has a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SourceIndex(pub usize);

/// What the log needs to know of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceSettings {
    /// Whose workloads it tells.
    pub host: HostId,
    /// Where that host stands.
    pub datacenter: DatacenterId,
    /// Which kind of source: `libvirt`.
    pub driver: &'static str,
    /// Where it is reached, for people.
    pub address: String,
    /// A source that has told nothing for longer is down.
    pub stale_after: Duration,
}

/// One source: its samples that are not settled yet, and how it fares.
#[derive(Debug)]
pub struct SourceState {
    settings: SourceSettings,
    enabled: bool,
    labels: LabelSet,
    queue: VecDeque<Usage>,
    last_good: Option<Moment>,
    error: Option<PollError>,
}

impl SourceState {
    fn new(settings: SourceSettings) -> Self {
        Self {
            labels: labels(&settings),
            settings,
            enabled: true,
            queue: VecDeque::new(),
            last_good: None,
            error: None,
        }
    }

    /// Whether it is asked; otherwise somebody has switched its host off.
    #[must_use]
    pub const fn is_enabled(&self) -> bool {
        self.enabled
    }

    /// What the configuration says of it.
    #[must_use]
    pub const fn settings(&self) -> &SourceSettings {
        &self.settings
    }

    /// `datacenter`, `host`, rendered.
    #[must_use]
    pub const fn labels(&self) -> &LabelSet {
        &self.labels
    }

    /// When the last good sample was taken; none before the first.
    #[must_use]
    pub const fn last_good(&self) -> Option<Moment> {
        self.last_good
    }

    /// The error of the last sample, none if it was good.
    #[must_use]
    pub const fn error(&self) -> Option<&PollError> {
        self.error.as_ref()
    }

    /// Whether the last sample was good and is recent at `now`.
    #[must_use]
    pub fn is_up(&self, now: Moment) -> bool {
        self.enabled
            && self.error.is_none()
            && self.last_good.is_some_and(|at| now.since(at) <= self.settings.stale_after)
    }
}

fn labels(settings: &SourceSettings) -> LabelSet {
    LabelSet::new(&[("datacenter", settings.datacenter.as_str()), ("host", settings.host.as_str())])
}

/// All sources: slots that keep their place while the configuration around them changes, and their order.
#[derive(Debug, Default)]
struct Sources {
    slots: Vec<Option<Mutex<SourceState>>>,
    order: Vec<SourceIndex>,
}

/// All sources.
#[derive(Debug)]
pub struct UsageLog {
    sources: RwLock<Sources>,
}

impl UsageLog {
    /// A log for these sources, which get the indices 0, 1 and so on.
    #[must_use]
    pub fn new(sources: Vec<SourceSettings>) -> Self {
        let log = Self { sources: RwLock::default() };
        log.reconfigure(sources);
        log
    }

    /// Makes these the sources, in this order, and gives their indices. That of a host that had one before goes on with its
    /// samples.
    pub fn reconfigure(&self, settings: Vec<SourceSettings>) -> Vec<SourceIndex> {
        let mut all = self.sources.write().unwrap_or_else(PoisonError::into_inner);
        let mut before: HashMap<HostId, SourceState> = HashMap::new();
        let mut places: HashMap<HostId, usize> = HashMap::new();
        for (place, slot) in all.slots.iter_mut().enumerate() {
            let Some(state) = slot.take() else { continue };
            let state = state.into_inner().unwrap_or_else(PoisonError::into_inner);
            places.insert(state.settings.host.clone(), place);
            before.insert(state.settings.host.clone(), state);
        }
        let wanted: HashSet<&HostId> = settings.iter().map(|s| &s.host).collect();
        let taken: HashSet<usize> =
            places.iter().filter(|(host, _)| wanted.contains(host)).map(|(_, place)| *place).collect();
        let mut free = (0..).filter(|place| !taken.contains(place));
        let mut order = Vec::with_capacity(settings.len());
        for settings in settings {
            let place = places.get(&settings.host).copied().or_else(|| free.next()).unwrap_or_default();
            let state = match before.remove(&settings.host) {
                Some(state) => SourceState { labels: labels(&settings), settings, ..state },
                None => SourceState::new(settings),
            };
            if all.slots.len() <= place {
                all.slots.resize_with(place + 1, || None);
            }
            if let Some(slot) = all.slots.get_mut(place) {
                *slot = Some(Mutex::new(state));
            }
            order.push(SourceIndex(place));
        }
        all.order.clone_from(&order);
        order
    }

    /// Stops or starts a source: one that is off is not down, and what it told is given up.
    pub fn set_enabled(&self, source: SourceIndex, enabled: bool) {
        self.with(source, |state| {
            if state.enabled != enabled {
                state.enabled = enabled;
                (state.last_good, state.error) = (None, None);
                state.queue.clear();
            }
        });
    }

    /// Adds a sample. One that is not later than the last is dropped.
    pub fn push(&self, source: SourceIndex, usage: Usage) {
        self.with(source, |state| {
            if !state.enabled {
                // Of a call that was under way when it was switched off.
                return;
            }
            state.error = None;
            if state.last_good.is_some_and(|last| last >= usage.at) {
                return;
            }
            state.last_good = Some(usage.at);
            state.queue.push_back(usage);
            trim(&mut state.queue);
        });
    }

    /// Takes note that a source could not be asked.
    pub fn fail(&self, source: SourceIndex, error: &PollError) {
        self.with(source, |state| state.error = state.enabled.then(|| error.clone()));
    }

    /// Takes all samples of a source, oldest first.
    pub fn take(&self, source: SourceIndex, into: &mut VecDeque<Usage>) {
        self.with(source, |state| into.append(&mut state.queue));
        trim(into);
    }

    /// How long a source may be silent before it is down.
    #[must_use]
    pub fn stale_after(&self, source: SourceIndex) -> Duration {
        self.with(source, |state| state.settings.stale_after).unwrap_or_default()
    }

    /// Every source in turn, in configuration order. `visit` must not come back to the log: a reload that waits meanwhile
    /// would never end.
    pub fn each(&self, mut visit: impl FnMut(&SourceState)) {
        let sources = self.sources();
        for state in sources.order.iter().filter_map(|index| sources.slots.get(index.0)?.as_ref()) {
            visit(&state.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }

    fn sources(&self) -> RwLockReadGuard<'_, Sources> {
        self.sources.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T>(&self, source: SourceIndex, act: impl FnOnce(&mut SourceState) -> T) -> Option<T> {
        let sources = self.sources();
        let mut state = sources.slots.get(source.0)?.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner);
        Some(act(&mut state))
    }
}

/// Drops the oldest samples that are too many; the newest always stays.
fn trim(queue: &mut VecDeque<Usage>) {
    let mut workloads: usize = queue.iter().map(|usage| usage.workloads.len()).sum();
    while queue.len() > 1 && (queue.len() > MAX_SAMPLES || workloads > MAX_WORKLOADS) {
        workloads -= queue.pop_front().map_or(0, |oldest| oldest.workloads.len());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::WorkloadId;
    use crate::workloads::{Details, Workload, WorkloadInfo, WorkloadKind};

    fn usage(second: u64, workloads: usize) -> Usage {
        let info = Arc::new(WorkloadInfo::new(WorkloadId::new("a").unwrap(), WorkloadKind::Vm, "a"));
        let details = Details::default();
        let one = Workload {
            info,
            run: 1,
            state: None,
            cpu: None,
            vcpus: 1,
            memory_bytes: 0,
            cycles: None,
            details,
        };
        let at = Moment::ZERO + Duration::from_secs(second);
        Usage { at, node: None, workloads: vec![one; workloads] }
    }

    fn kept(samples: u64, workloads: usize) -> (usize, Option<Moment>) {
        let log = UsageLog::new(vec![SourceSettings {
            host: HostId::new("h").unwrap(),
            datacenter: DatacenterId::new("dc").unwrap(),
            driver: "libvirt",
            address: String::new(),
            stale_after: Duration::from_secs(30),
        }]);
        let mut pending = VecDeque::new();
        for second in 0..samples {
            log.push(SourceIndex(0), usage(second, workloads));
            if second % 7 == 0 {
                log.take(SourceIndex(0), &mut pending);
            }
        }
        log.take(SourceIndex(0), &mut pending);
        (pending.len(), pending.back().map(|newest| newest.at))
    }

    #[test]
    fn samples_that_nobody_settles_fill_no_memory_and_the_newest_stays() {
        let newest = |second| Some(Moment::ZERO + Duration::from_secs(second));
        assert_eq!(kept(1000, 1), (600, newest(999)));
        assert_eq!(kept(100, 16_384), (12, newest(99)));
        assert_eq!(kept(2, 300_000), (1, newest(1)));
    }
}
