//! Random histories of a small cloud, for claims that must hold whatever happens: two hosts with two meters and a hypervisor
//! each, guests that start, stop, pause, crash, change size, name and owner and migrate, meters and hypervisors that fall
//! silent, counters that begin anew, configurations that change, hosts that are switched off and on.
//!
//! [`World::play`] lets one event happen and a few seconds pass, and holds the books against each other after every second.
//! Long, since every kind of event and every book stands here once.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;

use super::ledger::{ByMethod, Method};
use super::room::{Room, at, fixed, usage, vm};
use crate::inventory::{
    Feed, Host, Idle, Inventory, Member, Model, Pool, Service, Services, Tenant, Tenants,
};
use crate::model::{ChannelId, DatacenterId, MeterId, Microjoules, Moment, ProjectId, Watts};
use crate::workloads::{CpuNanos, State, Workload, WorkloadInfo};

const GUESTS: usize = 5;
const HOSTS: usize = 2;
/// No meter ever says more, nor does the nameplate.
const MOST_WATTS: f64 = 200.0;

/// Something that happens.
#[derive(Debug, Clone)]
pub(super) enum Event {
    /// A guest starts on a host, or starts anew there.
    Start(usize, usize),
    Stop(usize),
    State(usize, State),
    Resize(usize, u32),
    Rename(usize),
    Project(usize, bool),
    /// A guest is on both hosts for some seconds, then on the other only.
    Migrate(usize, u32),
    /// A guest's CPU counter begins anew within the same run.
    Reset(usize),
    /// A meter cannot be read for some seconds: of which host, whether the preferred one.
    Gap(usize, bool, u32),
    /// A hypervisor does not answer for some seconds.
    Silence(usize, u32),
    Reload(Change),
    Switch(usize, bool),
    Wait(u32),
    /// A checkpoint is written.
    Checkpoint,
    /// The exporter dies, and starts some seconds later from the latest checkpoint.
    Crash(u32),
}

/// What a reload changes.
#[derive(Debug, Clone)]
pub(super) enum Change {
    Nothing,
    SwapFeeds(usize),
    DropFeed(usize),
    AddRated(usize),
    Model(usize, Model),
    Idle(usize, bool),
    RemoveHost(usize),
    BringBack,
    Tenants(bool),
    Services(u32),
    FacilityPoint(bool),
    Pool(bool),
}

/// One of the states that a guest goes through.
fn states() -> impl Strategy<Value = State> {
    prop::sample::select(State::ALL.to_vec())
}

fn changes() -> impl Strategy<Value = Change> {
    let host = 0..HOSTS;
    prop_oneof![
        Just(Change::Nothing),
        host.clone().prop_map(Change::SwapFeeds),
        host.clone().prop_map(Change::DropFeed),
        host.clone().prop_map(Change::AddRated),
        (host.clone(), prop::sample::select(Model::ALL.to_vec())).prop_map(|(h, m)| Change::Model(h, m)),
        (host.clone(), any::<bool>()).prop_map(|(h, f)| Change::Idle(h, f)),
        host.prop_map(Change::RemoveHost),
        Just(Change::BringBack),
        Just(Change::BringBack),
        any::<bool>().prop_map(Change::Tenants),
        (1u32..9).prop_map(Change::Services),
        any::<bool>().prop_map(Change::FacilityPoint),
        any::<bool>().prop_map(Change::Pool),
    ]
}

/// One event.
pub(super) fn event() -> impl Strategy<Value = Event> {
    let (guest, host) = (0..GUESTS, 0..HOSTS);
    prop_oneof![
        3 => (guest.clone(), host.clone()).prop_map(|(g, h)| Event::Start(g, h)),
        1 => guest.clone().prop_map(Event::Stop),
        2 => (guest.clone(), states()).prop_map(|(g, s)| Event::State(g, s)),
        1 => (guest.clone(), 0u32..9).prop_map(|(g, v)| Event::Resize(g, v)),
        1 => guest.clone().prop_map(Event::Rename),
        1 => (guest.clone(), any::<bool>()).prop_map(|(g, b)| Event::Project(g, b)),
        2 => (guest.clone(), 0u32..12).prop_map(|(g, s)| Event::Migrate(g, s)),
        1 => guest.prop_map(Event::Reset),
        2 => (host.clone(), any::<bool>(), 1u32..90).prop_map(|(h, p, s)| Event::Gap(h, p, s)),
        1 => (host.clone(), 1u32..500).prop_map(|(h, s)| Event::Silence(h, s)),
        3 => changes().prop_map(Event::Reload),
        2 => (host, any::<bool>()).prop_map(|(h, on)| Event::Switch(h, on)),
        2 => (1u32..60).prop_map(Event::Wait),
        2 => Just(Event::Checkpoint),
        2 => (0u32..100).prop_map(Event::Crash),
    ]
}

/// A history.
pub(super) fn history(longest: usize) -> impl Strategy<Value = Vec<Event>> {
    prop::collection::vec(event(), 1..longest)
}

#[derive(Debug)]
struct Guest {
    info: Arc<WorkloadInfo>,
    on: Vec<usize>,
    /// The host that it leaves, and when.
    leaves: Option<(usize, u32)>,
    run: u32,
    state: State,
    cpu: u64,
    vcpus: u32,
}

/// The cloud, and its ledger.
#[derive(Debug)]
pub(super) struct World {
    pub(super) room: Room,
    /// Seconds since the start.
    pub(super) now: u32,
    guests: Vec<Guest>,
    /// Until when each meter cannot be read.
    gaps: [[u32; 2]; HOSTS],
    /// Until when each hypervisor does not answer.
    silent: [u32; HOSTS],
    removed: Vec<Host>,
    /// The most that each counter has ever shown.
    shown: BTreeMap<String, u128>,
    checkpoint: Option<Checkpoint>,
}

/// What stands on the disk, and what the page showed when it was written.
#[derive(Debug)]
struct Checkpoint {
    kept: (Vec<u8>, Vec<u8>),
    at: f64,
    shown: BTreeMap<String, u128>,
}

impl World {
    pub(super) fn new(rated: bool) -> Self {
        let guests = (0..GUESTS)
            .map(|n| Guest {
                info: vm(&format!("{}-{n}", if n % 2 == 0 { "a" } else { "b" }), 1, None, 2, 4).info,
                on: vec![n % HOSTS],
                leaves: None,
                run: 1,
                state: State::Running,
                cpu: 0,
                vcpus: 2,
            })
            .collect();
        let mut room = Room::new(HOSTS, Idle::Learned, rated.then_some(MOST_WATTS));
        room.reload(0.0, |inventory| inventory.services = services(1));
        let (gaps, silent) = ([[0; 2]; HOSTS], [0; HOSTS]);
        Self {
            room,
            now: 0,
            guests,
            gaps,
            silent,
            removed: Vec::new(),
            shown: BTreeMap::new(),
            checkpoint: None,
        }
    }

    /// Lets an event happen, and then three seconds pass, or as many as it says.
    pub(super) fn play(&mut self, event: &Event) {
        let mut pass = 3;
        match event {
            Event::Wait(seconds) => pass = *seconds,
            Event::Gap(host, preferred, seconds) => {
                self.gaps[*host][usize::from(!*preferred)] = self.now + seconds;
            }
            Event::Silence(host, seconds) => self.silent[*host] = self.now + seconds,
            Event::Switch(host, enabled) => {
                let is_there = self.room.inventory.hosts.iter().any(|h| h.id.as_str() == format!("h{host}"));
                if is_there {
                    self.room.switch(*host, *enabled, f64::from(self.now) + 0.7);
                }
            }
            Event::Reload(change) => self.reload(change),
            Event::Checkpoint => self.write_checkpoint(),
            Event::Crash(away) => self.crash(*away),
            Event::Start(n, _)
            | Event::Stop(n)
            | Event::State(n, _)
            | Event::Resize(n, _)
            | Event::Rename(n)
            | Event::Project(n, _)
            | Event::Migrate(n, _)
            | Event::Reset(n) => happen(&mut self.guests[*n], event, self.now),
        }
        for _ in 0..pass {
            self.second();
            self.must_hold();
        }
    }

    /// Lets a second pass: meters are read at its beginning, hypervisors in its middle.
    pub(super) fn second(&mut self) {
        self.now += 1;
        let begin = f64::from(self.now);
        for host in 0..HOSTS {
            for (which, name) in ["pdu", "bmc"].iter().enumerate() {
                if self.gaps[host][which] < self.now {
                    let watts = 100.0 + f64::from((self.now * 7 + u32::from(host == 1) * 3) % 11) * 10.0;
                    self.room.power(
                        &format!("{name}{host}"),
                        begin + f64::from(u8::from(which == 1)) / 8.0,
                        watts,
                    );
                }
            }
        }
        for guest in &mut self.guests {
            if let Some((from, when)) = guest.leaves
                && when <= self.now
            {
                guest.on.retain(|host| *host != from);
                guest.leaves = None;
            }
            if guest.state.counts_cpu() && !guest.on.is_empty() {
                guest.cpu += u64::from(guest.vcpus) * u64::from(self.now % 4) * 250_000_000;
            }
        }
        for host in 0..HOSTS {
            let period = if host == 0 { 3 } else { 5 };
            if self.silent[host] < self.now && self.now.is_multiple_of(period) {
                let list = self.guests.iter().filter(|g| g.on.contains(&host)).map(workload).collect();
                let busy = self.now.is_multiple_of(2).then_some(begin * 4.0);
                self.room.sample(host, usage(begin + 0.4, busy, list));
            }
        }
        self.room.settle(begin + 0.5);
    }

    fn write_checkpoint(&mut self) {
        let at = f64::from(self.now) + 0.7;
        self.checkpoint = Some(Checkpoint { kept: self.room.kept(at), at, shown: self.shown.clone() });
    }

    /// Nothing falls behind the checkpoint, and nothing that was counted after it comes back.
    fn crash(&mut self, away: u32) {
        let Some(Checkpoint { kept, at, shown }) = &self.checkpoint else { return };
        self.now += away;
        self.room.restart(kept, *at, f64::from(self.now) + 0.7);
        self.shown = shown.clone();
        self.must_hold();
    }

    fn reload(&mut self, change: &Change) {
        self.room.pooled |= matches!(change, Change::Pool(true));
        let removed = &mut self.removed;
        let apply = |inventory: &mut Inventory| {
            let named = |inventory: &mut Inventory, n: usize| {
                inventory.hosts.iter().position(|h| h.id.as_str() == format!("h{n}"))
            };
            let host = |inventory: &mut Inventory, n: usize, change: &dyn Fn(&mut Host)| {
                if let Some(at) = named(inventory, n) {
                    change(&mut inventory.hosts[at]);
                }
            };
            match change {
                Change::Nothing => {}
                Change::SwapFeeds(n) => host(inventory, *n, &|h| h.feeds.reverse()),
                Change::DropFeed(n) => host(inventory, *n, &|h| {
                    if h.feeds.len() > 1 {
                        h.feeds.remove(0);
                    }
                }),
                Change::AddRated(n) => host(inventory, *n, &|h| {
                    let power = Watts::new(MOST_WATTS / 2.0).unwrap();
                    h.feeds.push(Feed::Rated(power));
                }),
                Change::Model(n, model) => host(inventory, *n, &|h| h.model = *model),
                Change::Idle(n, is_fixed) => {
                    host(inventory, *n, &|h| h.idle = if *is_fixed { fixed(80.0) } else { Idle::Learned });
                }
                Change::RemoveHost(n) => {
                    if let Some(at) = named(inventory, *n) {
                        removed.push(inventory.hosts.remove(at));
                    }
                }
                Change::BringBack => inventory.hosts.append(removed),
                Change::Tenants(one) => inventory.tenants = tenants(*one),
                Change::Services(weight) => inventory.services = services(*weight),
                Change::Pool(pool) => {
                    for host in inventory.hosts.iter_mut().chain(removed) {
                        host.pool = if *pool { Pool::Cluster } else { Pool::Host };
                        host.model = Model::PowerFactorVcores;
                        host.cluster = "c1".into();
                    }
                }
                Change::FacilityPoint(keep) => {
                    let pdu = &mut inventory.facility[0].channels;
                    pdu.truncate(usize::from(*keep));
                    if pdu.is_empty() {
                        pdu.push((MeterId::new("bmc1").unwrap(), ChannelId::new("input").unwrap()));
                    }
                }
            }
        };
        self.room.reload(f64::from(self.now) + 0.7, apply);
        self.must_hold();
    }

    /// Everything that must hold at any time.
    pub(super) fn must_hold(&mut self) {
        self.room.must_balance();
        self.tenants_hold_what_their_workloads_hold();
        self.services_hold_what_tenants_hold();
        self.totals_hold_what_accounts_hold();
        self.nothing_is_counted_twice();
        self.nothing_falls();
    }

    fn accounts(
        &self,
    ) -> impl Iterator<Item = (&super::host::HostAccount, &super::workload::WorkloadAccount)> {
        let hosts = self.room.ledger.hosts().iter().chain(self.room.ledger.removed());
        hosts.flat_map(|host| host.workloads().map(move |account| (host, account)))
    }

    /// Whether no account can have been closed yet.
    fn is_young(&self) -> bool {
        self.now < 3600
    }

    fn tenants_hold_what_their_workloads_hold(&self) {
        let mut held: BTreeMap<(DatacenterId, ProjectId), ByMethod<Microjoules>> = BTreeMap::new();
        for (host, account) in self.accounts() {
            let key = (host.host().datacenter.clone(), account.project().clone());
            for method in Method::ALL {
                *held.entry(key.clone()).or_default().get_mut(method) += account.energy().get(method).total();
            }
        }
        held.retain(|_, energy| *energy != ByMethod::default());
        let charged: BTreeMap<_, _> =
            self.room.ledger.tenants().iter().map(|(key, t)| (key.clone(), t.energy)).collect();
        if self.is_young() {
            assert_eq!(held, charged);
        }
    }

    /// Every workload is part of some service from the start.
    fn services_hold_what_tenants_hold(&self) {
        let mut served: BTreeMap<(DatacenterId, ProjectId), ByMethod<Microjoules>> = BTreeMap::new();
        for ((datacenter, _, project), service) in self.room.ledger.services() {
            for method in Method::ALL {
                let sum = served.entry((datacenter.clone(), project.clone())).or_default();
                *sum.get_mut(method) += *service.energy.get(method);
            }
        }
        let charged: BTreeMap<_, _> =
            self.room.ledger.tenants().iter().map(|(key, t)| (key.clone(), t.energy)).collect();
        assert_eq!(served, charged);
    }

    fn totals_hold_what_accounts_hold(&self) {
        let mut held: BTreeMap<&str, u128> = BTreeMap::new();
        for (_, account) in self.accounts() {
            *held.entry(account.total_labels().unwrap().as_str()).or_default() += account.total().0;
        }
        for total in self.room.ledger.vm_totals() {
            let energy = total.energy.measured + total.energy.rated;
            let accounts = held.get(total.labels.as_str()).copied().unwrap_or_default();
            if self.is_young() {
                assert_eq!(energy.0, accounts, "{}", total.labels.as_str());
            }
            assert!(energy.0 >= accounts);
        }
    }

    /// What a host has drawn, and the time of which nobody knows, fit into the time that has passed.
    fn nothing_is_counted_twice(&self) {
        let passed = at(f64::from(self.now) + 0.7).since(Moment::ZERO).as_secs_f64();
        for host in self.room.ledger.hosts() {
            let least = (host.energy().measured + host.energy().rated).joules() / (MOST_WATTS + 0.001);
            assert!(least + host.unmeasured().as_secs_f64() <= passed + 1e-3);
        }
    }

    fn nothing_falls(&mut self) {
        let mut now: Vec<(String, u128)> = Vec::new();
        let ledger = &self.room.ledger;
        for host in ledger.hosts() {
            let name = host.place().as_str();
            now.push((format!("unmeasured {name}"), host.unmeasured().as_nanos()));
            for method in Method::ALL {
                let overhead = host.overhead().get(method);
                now.push((format!("{method:?} {name}"), host.energy().get(method).0));
                now.push((format!("hypervisor {method:?} {name}"), overhead.hypervisor.0));
                now.push((format!("unallocated {method:?} {name}"), overhead.unallocated.0));
            }
        }
        for point in ledger.facility() {
            now.push(("facility".into(), point.energy().map_or(0, |e| e.0)));
            now.push(("facility unmeasured".into(), point.unmeasured().map_or(0, |t| t.as_nanos())));
        }
        for method in Method::ALL {
            for tenant in ledger.tenants().values() {
                now.push((
                    format!("tenant {method:?} {}", tenant.labels.as_str()),
                    tenant.energy.get(method).0,
                ));
            }
            for service in ledger.services().values() {
                let name = service.labels.as_str();
                now.push((format!("service {method:?} {name}"), service.energy.get(method).0));
            }
            for total in ledger.vm_totals().iter().filter(|_| self.is_young()) {
                now.push((format!("total {method:?} {}", total.labels.as_str()), total.energy.get(method).0));
            }
            for (_, account) in self.accounts().filter(|_| self.is_young()) {
                let (share, name) = (account.energy().get(method), account.labels().as_str());
                now.push((format!("idle {method:?} {name}"), share.idle.0));
                now.push((format!("dynamic {method:?} {name}"), share.dynamic.0));
            }
        }
        for (name, value) in now {
            let before = self.shown.entry(name.clone()).or_default();
            assert!(value >= *before, "{name} fell from {before} to {value} at {} s", self.now);
            *before = value;
        }
    }
}

/// What happens to a guest.
fn happen(guest: &mut Guest, event: &Event, now: u32) {
    match event {
        Event::Start(_, host) => {
            (guest.on, guest.leaves, guest.state) = (vec![*host], None, State::Running);
            (guest.run, guest.cpu) = (guest.run + 1, 0);
        }
        Event::Stop(_) => guest.on.clear(),
        Event::State(_, state) => guest.state = *state,
        Event::Resize(_, vcpus) => guest.vcpus = *vcpus,
        Event::Rename(_) => {
            let name = format!("{}-new", guest.info.name);
            guest.info = Arc::new(WorkloadInfo { name, ..(*guest.info).clone() });
        }
        Event::Project(_, known) => {
            let project_id = known.then(|| ProjectId::new("atlas").unwrap());
            let project_id =
                project_id.or_else(|| now.is_multiple_of(2).then(|| ProjectId::new("zeus").unwrap()));
            guest.info = Arc::new(WorkloadInfo { project_id, ..(*guest.info).clone() });
        }
        Event::Migrate(_, seconds) => {
            if let [from] = guest.on[..] {
                guest.on.push(1 - from);
                guest.leaves = Some((from, now + seconds));
            }
        }
        Event::Reset(_) => guest.cpu /= 3,
        Event::Gap(..)
        | Event::Silence(..)
        | Event::Reload(_)
        | Event::Switch(..)
        | Event::Wait(_)
        | Event::Checkpoint
        | Event::Crash(_) => {}
    }
}

fn workload(guest: &Guest) -> Workload {
    let runs = guest.state.counts_cpu();
    Workload {
        info: Arc::clone(&guest.info),
        state: Some(guest.state),
        cpu: runs.then_some(CpuNanos(guest.cpu)),
        ..vm("x", if runs { guest.run } else { 0 }, None, guest.vcpus, 2)
    }
}

fn tenants(one: bool) -> Tenants {
    let tenant = |id: &str, domain: &str| Tenant {
        project_id: ProjectId::new(id).unwrap(),
        name: id.to_uppercase(),
        domains: vec![glob::Pattern::new(domain).unwrap()],
    };
    Tenants::new(if one { vec![tenant("atlas", "instance-*")] } else { vec![tenant("zeus", "instance-a*")] })
}

/// All workloads are of the service `all`, and some of another.
fn services(weight: u32) -> Services {
    let service = |name: &str, matches: &str, weight| Service {
        name: name.into(),
        members: vec![Member { matches: glob::Pattern::new(matches).unwrap(), project_id: None, weight }],
    };
    Services::new(vec![service("all", "*", 1), service("some", "a-*", weight)])
}

#[test]
fn a_history_without_events_gives_everybody_joules() {
    let mut world = World::new(false);
    world.play(&Event::Wait(60));
    assert!(world.accounts().all(|(host, account)| {
        let overhead = host.overhead().measured;
        account.total() > Microjoules::ZERO && overhead.unallocated > Microjoules::ZERO
    }));
    assert!(world.room.ledger.services().len() >= 3);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_the_books_agree_and_nothing_falls(history in history(60), rated in any::<bool>()) {
        let mut world = World::new(rated);
        for event in &history {
            world.play(event);
        }
    }
}
