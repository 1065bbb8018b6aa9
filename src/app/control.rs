//! What the API sees and switches: the running parts, by name.

use std::sync::{Arc, Mutex, PoisonError, RwLock};

use super::fleet::{Fleet, World};
use super::pages::Generation;
use super::probe::Prober;
use super::reload::{Load, Named};
use super::switches::Switches;
use crate::attribution::Ledger;
use crate::attribution::host::HostAccount;
use crate::exposition::catalog;
use crate::exposition::collect::{Collector, Reloads};
use crate::http::{self, Control, Gate, Hypervisor, Switch, Unknown};
use crate::inventory::Feed;
use crate::model::{BoxFuture, Moment, PollError, ids};
use crate::store::{Channel, Meter};
use crate::workloads::log::SourceState;

/// How many near names a wrong one is answered with.
const NEAR: usize = 3;
/// How near they must be, 0 to 1.
const NEARNESS: f64 = 0.7;

/// The running parts that a reload reaches.
pub(super) struct Parts {
    pub(super) world: World,
    pub(super) ledger: Arc<Mutex<Ledger>>,
    pub(super) collector: Arc<Collector>,
    pub(super) generation: Arc<Generation>,
    pub(super) prober: RwLock<Option<Arc<Prober>>>,
    pub(super) named: Mutex<Named>,
    pub(super) gate: Arc<Gate>,
}

/// Sees what runs, and changes it; one change at a time.
pub(super) struct Controller {
    pub(super) parts: Parts,
    pub(super) load: Load,
    pub(super) reloads: Arc<Reloads>,
    /// Held for as long as a change takes; none before the beginning.
    pub(super) fleet: tokio::sync::Mutex<Option<Fleet>>,
    /// Reloads that run or wait: one each.
    pub(super) reloading: tokio::sync::Semaphore,
    pub(super) switches: Arc<Mutex<Switches>>,
}

impl Controller {
    /// What is off now.
    pub(super) fn switches(&self) -> Switches {
        self.switches.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether there is something of that name; else what is near.
    fn find(&self, what: Switch, name: &str) -> Result<(), Unknown> {
        let mut names = Vec::new();
        let store = &self.parts.world.store;
        if matches!(what, Switch::Device | Switch::Datacenter) {
            store.each(|meter| {
                let settings = meter.settings();
                names.push(match what {
                    Switch::Device => settings.id.as_str().to_owned(),
                    Switch::Datacenter | Switch::Host => settings.datacenter.as_str().to_owned(),
                });
            });
        }
        if matches!(what, Switch::Host | Switch::Datacenter) {
            let ledger = self.parts.ledger.lock().unwrap_or_else(PoisonError::into_inner);
            names.extend(ledger.hosts().iter().map(|account| match what {
                Switch::Host => account.host().id.as_str().to_owned(),
                Switch::Datacenter | Switch::Device => account.host().datacenter.as_str().to_owned(),
            }));
        }
        if names.iter().any(|known| known == name) { Ok(()) } else { Err(near(name, names)) }
    }

    async fn turn_switch(self: Arc<Self>, what: Switch, name: String, on: bool) -> Result<(), Unknown> {
        let mut fleet = self.fleet.lock().await;
        self.find(what, &name)?;
        let Some(fleet) = fleet.as_mut() else { return Ok(()) };
        let changed = {
            let mut switches = self.switches.lock().unwrap_or_else(PoisonError::into_inner);
            switches.set(what, &name, on)
        };
        if !changed {
            return Ok(());
        }
        let switches = self.switches();
        fleet.follow(&switches).wait().await;
        {
            let mut ledger = self.parts.ledger.lock().unwrap_or_else(PoisonError::into_inner);
            let hosts: Vec<_> = ledger.hosts().iter().map(|account| account.host()).cloned().collect();
            let now = self.parts.world.clock.now();
            for host in hosts {
                ledger.set_enabled(&host.id, switches.is_host_on(&host.id, &host.datacenter), now);
            }
        }
        self.parts.generation.next();
        Ok(())
    }
}

impl Control for Controller {
    fn devices(&self) -> Vec<http::Device> {
        let now = self.parts.world.clock.now();
        let mut devices = Vec::new();
        self.parts.world.store.each(|meter| devices.push(device(meter, now)));
        devices
    }

    fn device(&self, name: &str) -> Result<http::Device, Unknown> {
        self.find(Switch::Device, name)?;
        let store = &self.parts.world.store;
        let index = crate::model::MeterId::new(name).ok().and_then(|id| store.find(&id));
        let now = self.parts.world.clock.now();
        index
            .and_then(|index| store.look(index, |meter| device(meter, now)))
            .ok_or(Unknown { near: Vec::new() })
    }

    fn hosts(&self) -> Vec<http::Host> {
        let now = self.parts.world.clock.now();
        let mut told = std::collections::HashMap::new();
        self.parts.world.usage.each(|source| {
            told.insert(source.settings().host.clone(), hypervisor(source, now));
        });
        let switches = self.switches();
        let ledger = self.parts.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        let host = |account: &HostAccount| {
            let host = account.host();
            http::Host {
                name: host.id.as_str().to_owned(),
                datacenter: host.datacenter.as_str().to_owned(),
                component: host.component.name().to_owned(),
                enabled: switches.is_host_on(&host.id, &host.datacenter),
                power_watts: account.power(&self.parts.world.store, now).map(|power| power.get()),
                feeds: host.feeds.iter().map(feed).collect(),
                settled_age_seconds: account.settled().map(|at| now.since(at).as_secs_f64()),
                hypervisor: told.remove(&host.id),
                workloads: account.workloads().filter(|workload| account.is_present(workload)).count(),
            }
        };
        ledger.hosts().iter().map(host).collect()
    }

    fn switch(
        self: Arc<Self>,
        what: Switch,
        name: String,
        on: bool,
    ) -> BoxFuture<'static, Result<(), Unknown>> {
        Box::pin(self.turn_switch(what, name, on))
    }

    fn reload(self: Arc<Self>) -> BoxFuture<'static, Result<(), String>> {
        Box::pin(self.load_anew())
    }
}

/// The nearest of `names`, nearest first.
fn near(name: &str, mut names: Vec<String>) -> Unknown {
    // Nothing is called so, and comparing takes time.
    if name.len() > ids::MAX_ID_BYTES {
        return Unknown { near: Vec::new() };
    }
    names.sort_unstable();
    names.dedup();
    let mut near: Vec<(f64, String)> =
        names.into_iter().map(|known| (strsim::jaro_winkler(name, &known), known)).collect();
    near.retain(|(nearness, _)| *nearness >= NEARNESS);
    near.sort_by(|a, b| b.0.total_cmp(&a.0));
    Unknown { near: near.into_iter().take(NEAR).map(|(_, name)| name).collect() }
}

fn age(at: Option<Moment>, now: Moment) -> Option<f64> {
    at.map(|at| now.since(at).as_secs_f64())
}

fn device(meter: &Meter, now: Moment) -> http::Device {
    let settings = meter.settings();
    http::Device {
        name: settings.id.as_str().to_owned(),
        driver: settings.driver.to_owned(),
        address: settings.address.clone(),
        datacenter: settings.datacenter.as_str().to_owned(),
        enabled: meter.is_enabled(),
        up: meter.is_enabled().then(|| meter.is_up(now)),
        last_reading_age_seconds: age(meter.last_good(), now),
        last_error: meter.error().map(PollError::to_string),
        channels: meter.channels().iter().map(|channel| shown(meter, channel, now)).collect(),
    }
}

fn shown(meter: &Meter, channel: &Channel, now: Moment) -> http::Channel {
    let values = catalog::METER_GAUGES.iter().filter_map(|(family, quantity)| {
        let name = family.name.strip_prefix("wattribute_meter_").unwrap_or(family.name);
        Some((name.to_owned(), meter.fresh(channel, *quantity, now)?))
    });
    http::Channel {
        name: channel.id().as_str().to_owned(),
        values: values.collect(),
        energy_joules: channel.integrated().map(|energy| energy.joules()),
    }
}

fn feed(feed: &Feed) -> String {
    match feed {
        Feed::Channels(list) => {
            let names: Vec<_> = list.iter().map(|(meter, channel)| format!("{meter}/{channel}")).collect();
            names.join(" + ")
        }
        Feed::Rated(power) => format!("rated {power}"),
        Feed::Modelled(model) => model.to_string(),
    }
}

fn hypervisor(source: &SourceState, now: Moment) -> Hypervisor {
    let settings = source.settings();
    Hypervisor {
        driver: settings.driver.to_owned(),
        address: settings.address.clone(),
        up: source.is_enabled().then(|| source.is_up(now)),
        last_sample_age_seconds: age(source.last_good(), now),
        last_error: source.error().map(PollError::to_string),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_name_is_answered_with_the_near_ones() {
        let names = ["pdu-a", "pdu-b", "bmc-1", "pdu-a"].map(str::to_owned).to_vec();
        assert_eq!(near("pdu-c", names.clone()).near, ["pdu-a", "pdu-b"]);
        assert!(near("zzz", names).near.is_empty());
    }
}
