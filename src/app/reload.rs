//! Reading the configuration anew: what is loaded, and how what runs follows it. The old configuration runs on until the new
//! one has been found good as a whole.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};

use super::control::Controller;
use super::fleet::{Fleet, World};
use super::plan::ProbePlan;
use super::probe::Prober;
use super::{Plan, Shared, web};
use crate::config;
use crate::drivers::Profiles;
use crate::http::Web;
use crate::model::{ChannelId, MeterId};
use crate::workloads::SourceIndex;

/// A configuration that is good as a whole.
#[derive(Debug)]
pub struct Loaded {
    /// What may run.
    pub plan: Plan,
    /// How devices are read.
    pub profiles: Profiles,
    /// The server's own rules.
    pub web: Web,
}

/// Loads everything that the command line names: called at the start, and again by each reload. May block.
pub type Load = Box<dyn Fn() -> Result<Loaded, String> + Send + Sync>;

/// Where each channel is named that a host or facility point needs, `FILE:LINE`.
pub(super) type Named = HashMap<(MeterId, ChannelId), String>;

/// The server's rules by the file at `path`.
///
/// # Errors
/// All that is wrong with it, one line each.
pub fn web_rules(path: &std::path::Path) -> Result<Web, String> {
    let web = config::load_web(path).map_err(|errors| errors.to_string())?;
    for warning in &web.warnings {
        tracing::warn!("{warning}");
    }
    web::rules(web)
}

fn prober(plan: ProbePlan, shared: Shared, world: &World) -> Prober {
    let World { clock, stats, tasks, shutdown, .. } = world.clone();
    Prober::new(plan, shared, clock, stats, tasks, shutdown)
}

impl Controller {
    /// Begins with `loaded`.
    pub(super) async fn begin(&self, mut fleet: Fleet, loaded: Loaded) {
        let mut place = self.fleet.lock().await;
        self.turn(&mut fleet, loaded).await;
        *place = Some(fleet);
    }

    /// Loads and follows. One who asks meanwhile waits for a turn of their own, a third is sent away.
    pub(super) async fn load_anew(self: Arc<Self>) -> Result<(), String> {
        let Ok(_turn) = self.reloading.try_acquire() else {
            return Err("another reload waits already, and will read what is there now".to_owned());
        };
        let mut fleet = self.fleet.lock().await;
        let Some(fleet) = fleet.as_mut() else { return Err("nothing runs yet; ask again".to_owned()) };
        let me = Arc::clone(&self);
        let loaded = tokio::task::spawn_blocking(move || (me.load)()).await.unwrap_or_else(|_| {
            Err("reading the configuration ended early; this is a bug: please report it with the log"
                .to_owned())
        });
        match loaded {
            Ok(loaded) => {
                self.turn(fleet, loaded).await;
                self.reloads.succeeded(self.parts.world.clock.unix_seconds());
                self.parts.generation.next();
                tracing::info!("the configuration is read anew");
                Ok(())
            }
            Err(wrong) => {
                self.reloads.failed();
                self.parts.generation.next();
                for line in wrong.lines() {
                    tracing::error!("{line}");
                }
                tracing::error!("the configuration is not read anew: what ran runs on");
                Err(wrong)
            }
        }
    }

    /// Makes what runs follow `loaded`.
    pub(super) async fn turn(&self, fleet: &mut Fleet, loaded: Loaded) {
        let Loaded { plan, profiles, web } = loaded;
        let Plan { meters, sources, host_sources, inventory, probe, named } = plan;
        let meter_settings = meters.iter().map(|m| m.settings.clone()).collect();
        let source_settings: Vec<_> = sources.iter().map(|s| s.settings.clone()).collect();
        let hosts: Vec<_> = source_settings.iter().map(|s| s.host.clone()).collect();
        let changes = fleet.change(meters, sources, profiles);
        // Sessions are given back before others are opened: a device may have room for one only.
        changes.ending.wait().await;
        let world = &self.parts.world;
        let switches = self.switches();
        {
            let mut ledger = self.parts.ledger.lock().unwrap_or_else(PoisonError::into_inner);
            let now = world.clock.now();
            ledger.settle(&world.store, &world.usage, now);
            world.store.reconfigure(meter_settings, |id| changes.others.contains(id), now);
            let places = world.usage.reconfigure(source_settings);
            let of_hosts: Vec<Option<SourceIndex>> =
                host_sources.iter().map(|s| s.and_then(|s| places.get(s.0).copied())).collect();
            ledger.reconfigure(&inventory, &of_hosts, &world.store, now);
            for host in &inventory.hosts {
                ledger.set_enabled(&host.id, switches.is_host_on(&host.id, &host.datacenter), now);
            }
            world.store.release_removed(now);
            self.parts.collector.follow(&inventory);
            fleet.place(hosts.into_iter().zip(places));
        }
        let prober = probe.map(|probe| Arc::new(prober(probe, fleet.shared().clone(), world)));
        *self.parts.prober.write().unwrap_or_else(PoisonError::into_inner) = prober;
        *self.parts.named.lock().unwrap_or_else(PoisonError::into_inner) = named;
        self.parts.gate.change(web);
        // Nothing was running that is off now: switches change by themselves only.
        fleet.follow(&switches).wait().await;
        self.parts.generation.next();
    }
}
