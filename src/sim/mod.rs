//! A simulated data centre that speaks the real protocols on loopback: for the demo, for load and for faults.
//!
//! [`world`] is the mathematics: who draws how much when. [`redfish`], [`snmp`], [`modbus`] and [`libvirt`] are small servers
//! that show it, [`ipmi`] is thousands of BMCs for load; all are written apart from the drivers so that both sides cannot share
//! a mistake. [`Datacenter`] starts those of the demo and writes the exporter's configuration for them. Nothing here knows
//! the exporter.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub mod endpoint;
mod error;
mod files;
pub mod ipmi;
pub mod libvirt;
pub mod modbus;
pub mod pki;
pub mod redfish;
pub mod snmp;
pub mod world;

use crate::model::Clock;
use endpoint::{Counters, Live};
pub use error::StartError;
use files::{Addresses, SecretFiles};
use redfish::{Account, Style};
use snmp::{Access, Device};
use world::{Point, Role, Side, Truth, World};

/// How to start one.
#[derive(Debug, Clone)]
pub struct Datacenter {
    /// Which world: the same seed gives the same hosts, VMs and loads.
    pub seed: u64,
    /// Where the exporter will listen, for the Prometheus configuration.
    pub exporter: SocketAddr,
    /// Folder of Prometheus rule files.
    pub rules: PathBuf,
}

/// A data centre that runs.
pub struct Running {
    live: Live,
    stop: CancellationToken,
    tasks: TaskTracker,
    at: Addresses,
    endpoints: Vec<(String, Arc<Counters>)>,
    /// The exporter's configuration.
    pub config: PathBuf,
    /// The Prometheus configuration.
    pub prometheus: PathBuf,
    /// The authority that signed the BMCs' certificate, PEM.
    pub ca: PathBuf,
}

/// What was left when the data centre stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stopped {
    /// Devices on which a client still held sessions or connections, and how many.
    pub left_open: Vec<(String, u64)>,
    /// Sessions and connections that were ever opened.
    pub opened: u64,
    /// Requests of all devices.
    pub requests: u64,
}

impl Stopped {
    /// Sessions and connections left open on all devices.
    #[must_use]
    pub fn sessions_left_open(&self) -> u64 {
        self.left_open.iter().map(|(_, n)| n).sum()
    }
}

/// What devices ask of their clients. They guard nothing but simulated watts.
const USER: &str = "monitor";
const BMC_PASSWORD: &str = "simulated-bmc";
const COMMUNITY: &str = "simulated-community";
const AUTH_PASSWORD: &str = "simulated-auth";
const PRIVACY_PASSWORD: &str = "simulated-privacy";

/// How long [`Running::stop`] waits for connections that clients have just closed to be seen as closed.
const SETTLE: Duration = Duration::from_secs(2);

impl Datacenter {
    /// Starts every device on loopback and writes into `dir`: `ca.pem`, `secrets/`, `wattribute.yaml`,
    /// `prometheus.yml`, and the hypervisors' sockets.
    ///
    /// # Errors
    /// When a port, a socket or a file cannot be had.
    pub async fn start(&self, dir: &Path, clock: Arc<dyn Clock>) -> Result<Running, StartError> {
        let live = Live::new(Arc::new(World::new(self.seed)), clock);
        let pki = pki::Pki::new()?;
        let ca = dir.join("ca.pem");
        write(&ca, &pki.ca_pem)?;
        let secrets = write_secrets(&dir.join("secrets"))?;

        let mut start = Starting {
            live: live.clone(),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
            endpoints: Vec::new(),
        };
        let bmcs = start.bmcs(&pki)?;
        let silent = redfish::start_silent(start.stop.clone(), &start.tasks).await?;
        let community = || Access::Community(COMMUNITY.into());
        let user = Access::User {
            name: USER.into(),
            auth_password: AUTH_PASSWORD.into(),
            privacy_password: PRIVACY_PASSWORD.into(),
        };
        let at = Addresses {
            bmcs,
            silent_bmc: silent.address,
            pdu_a: start.agent("pdu-a", Device::Apc(Side::A), community()).await?,
            pdu_b: start.agent("pdu-b", Device::Eaton(Side::B), user).await?,
            utility: start.agent("utility-meter", Device::Utility, community()).await?,
            building: start.building().await?,
            hypervisors: start.hypervisors(dir)?,
        };
        let config = dir.join("wattribute.yaml");
        write(&config, &files::exporter(&live.world, &at, &secrets, &ca))?;
        let prometheus = dir.join("prometheus.yml");
        write(&prometheus, &files::prometheus(self.exporter, &self.rules))?;
        let Starting { stop, tasks, endpoints, .. } = start;
        Ok(Running { live, stop, tasks, at, endpoints, config, prometheus, ca })
    }
}

fn write(path: &Path, text: &str) -> Result<(), StartError> {
    std::fs::write(path, text).map_err(StartError::at(path))
}

fn write_secrets(dir: &Path) -> Result<SecretFiles, StartError> {
    let secret = |name: &str, text: &str| {
        let path = dir.join(name);
        files::secret(&path, text).map_err(StartError::at(&path)).map(|()| path)
    };
    std::fs::create_dir_all(dir).map_err(StartError::at(dir))?;
    Ok(SecretFiles {
        bmc: secret("bmc", BMC_PASSWORD)?,
        community: secret("community", COMMUNITY)?,
        auth: secret("snmp-auth", AUTH_PASSWORD)?,
        privacy: secret("snmp-privacy", PRIVACY_PASSWORD)?,
    })
}

/// Devices as they are started, one after the other.
struct Starting {
    live: Live,
    stop: CancellationToken,
    tasks: TaskTracker,
    endpoints: Vec<(String, Arc<Counters>)>,
}

impl Starting {
    /// A BMC for each host: the current power model on every other one, the legacy one on the rest.
    fn bmcs(&mut self, pki: &pki::Pki) -> Result<Vec<SocketAddr>, StartError> {
        let world = self.live.world.clone();
        let styles = [Style::Modern, Style::Legacy, Style::Modern, Style::LegacyParts].into_iter().cycle();
        let account = Account { user: USER.into(), password: BMC_PASSWORD.into() };
        let mut addresses = Vec::new();
        for ((index, host), style) in world.hosts().iter().enumerate().zip(styles) {
            let (live, stop, tls) = (self.live.clone(), self.stop.clone(), pki.server.clone());
            let bmc = redfish::start(live, index, style, account.clone(), tls, stop, &self.tasks)?;
            self.endpoints.push((format!("bmc-{}", host.name), bmc.counters));
            addresses.push(bmc.address);
        }
        Ok(addresses)
    }

    async fn agent(&mut self, name: &str, device: Device, access: Access) -> Result<SocketAddr, StartError> {
        let agent = snmp::start(self.live.clone(), device, access, self.stop.clone(), &self.tasks).await?;
        self.endpoints.push((name.to_owned(), agent.counters));
        Ok(agent.address)
    }

    /// The energy meters of the building, behind one gateway.
    async fn building(&mut self) -> Result<SocketAddr, StartError> {
        let gateway =
            modbus::start(self.live.clone(), &Point::METERED, self.stop.clone(), &self.tasks).await?;
        self.endpoints.push(("building".to_owned(), gateway.counters));
        Ok(gateway.address)
    }

    fn hypervisors(&mut self, dir: &Path) -> Result<Vec<Option<PathBuf>>, StartError> {
        let world = self.live.world.clone();
        let mut sockets = Vec::new();
        for (index, host) in world.hosts().iter().enumerate() {
            if host.role != Role::Compute {
                sockets.push(None);
                continue;
            }
            let path = dir.join(format!("{}.sock", host.name));
            let counters =
                libvirt::start_unix(self.live.clone(), index, &path, self.stop.clone(), &self.tasks)
                    .map_err(StartError::at(&path))?;
            self.endpoints.push((format!("libvirt-{}", host.name), counters));
            sockets.push(Some(path));
        }
        Ok(sockets)
    }
}

impl Running {
    /// The world behind the devices.
    #[must_use]
    pub fn world(&self) -> &World {
        &self.live.world
    }

    /// Seconds since the start: the time that the devices show.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        self.live.seconds()
    }

    /// Seconds since the start at a time given as seconds since the Unix epoch.
    #[must_use]
    pub fn seconds_at(&self, unix_seconds: f64) -> f64 {
        self.live.seconds_at(unix_seconds)
    }

    /// The true account of joules at `seconds` since the start.
    #[must_use]
    pub fn truth(&self, seconds: f64) -> Truth {
        self.live.world.truth(seconds)
    }

    /// Address of the BMC of a host, by its index in the world.
    #[must_use]
    pub fn bmc(&self, host: usize) -> Option<SocketAddr> {
        self.at.bmcs.get(host).copied()
    }

    /// Address of the BMC that never answers.
    #[must_use]
    pub fn silent_bmc(&self) -> SocketAddr {
        self.at.silent_bmc
    }

    /// SNMP addresses: the A side's PDU, the B side's, the utility meter.
    #[must_use]
    pub fn agents(&self) -> [SocketAddr; 3] {
        [self.at.pdu_a, self.at.pdu_b, self.at.utility]
    }

    /// Address of the Modbus gateway with the building's meters, units 1 to 4 in the order of [`Point::METERED`].
    #[must_use]
    pub fn building(&self) -> SocketAddr {
        self.at.building
    }

    /// Socket of a host's hypervisor, by the host's index; only compute hosts have one.
    #[must_use]
    pub fn hypervisor(&self, host: usize) -> Option<&Path> {
        self.at.hypervisors.get(host)?.as_deref()
    }

    /// Counters of a device, by its name: `bmc-compute-1`, `pdu-a`, `building`, `libvirt-compute-1`.
    #[must_use]
    pub fn counters(&self, device: &str) -> Option<&Counters> {
        self.endpoints.iter().find(|(name, _)| name == device).map(|(_, c)| c.as_ref())
    }

    /// Devices on which clients hold sessions now.
    fn held(&self) -> Vec<(String, u64)> {
        let held = self.endpoints.iter().map(|(name, c)| (name.clone(), c.held()));
        held.filter(|(_, n)| *n > 0).collect()
    }

    /// Stops every device and says which sessions clients had left open.
    pub async fn stop(self) -> Stopped {
        // A client that has just gone has closed its connections, but their ends may not have been read yet.
        let settled = async {
            while !self.held().is_empty() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let _ = tokio::time::timeout(SETTLE, settled).await;
        let left_open = self.held();
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        let sum = |of: fn(&Counters) -> u64| self.endpoints.iter().map(|(_, c)| of(c)).sum();
        Stopped { left_open, opened: sum(Counters::opened), requests: sum(Counters::requests) }
    }
}
