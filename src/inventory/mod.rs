//! The inventory: which channel feeds which host, which host runs workloads, and whose they are.
//!
//! Lives here: the topology as checked types. Does not live here: the configuration file's shape (`config`) or
//! anything that changes while the exporter runs.

mod inside;
mod services;

mod tenants;
pub use tenants::{Rule, Sign, Tenant, Tenants};

use std::time::Duration;

use crate::model::{
    Basis, ChannelId, Component, DatacenterId, GramsPerKilowattHour, HostId, MeterId, Point, PowerModel,
    Ratio, Watts,
};

pub use inside::{Gpu, Parts, Weighting, Work};
pub use services::{Member, Service, Services};

/// One way to know what is drawn. Alternatives stand in order of preference.
#[derive(Debug, Clone, PartialEq)]
pub enum Feed {
    /// Channels that add up: one a power supply. All must be known.
    Channels(Vec<(MeterId, ChannelId)>),
    /// From the nameplate: what is assumed to be drawn at all times. Never mixed with measured energy.
    Rated(Watts),
    /// Assumed from the utilisation of its CPUs. Never mixed with measured energy.
    Modelled(PowerModel),
}

/// Where idle power comes from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Idle {
    /// The operator knows.
    Fixed(Watts),
    /// From the host's own power at low load.
    Learned,
    /// All power follows load.
    None,
}

/// How a host's energy is divided; the formulas stand in `attribution::models`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Model {
    /// Idle power by reservation, the rest by CPU time.
    #[default]
    IdleDynamic,
    /// All of it by CPU time.
    CpuProportional,
    /// Processor and memory by their own meters' ratio, a tenth in equal parts (CEEMS).
    RaplWeighted,
    /// By vCPUs times the power factor at their utilisation (MRPUSA).
    PowerFactorVcores,
    /// All of it by what is reserved.
    Reservation,
    /// Idle power in equal parts, the rest by CPU time: the Shapley value of the affine game.
    EqualIdle,
}

impl Model {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::IdleDynamic,
        Self::CpuProportional,
        Self::RaplWeighted,
        Self::PowerFactorVcores,
        Self::Reservation,
        Self::EqualIdle,
    ];

    /// Its name in the configuration and in labels.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::IdleDynamic => "idle-dynamic",
            Self::CpuProportional => "cpu-proportional",
            Self::RaplWeighted => "rapl-weighted",
            Self::PowerFactorVcores => "power-factor-vcores",
            Self::Reservation => "reservation",
            Self::EqualIdle => "equal-idle",
        }
    }
}

/// With whose energy a host's is pooled before it is divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Pool {
    /// With nobody's: its workloads share what it draws.
    #[default]
    Host,
    /// With that of its cluster's hosts: their workloads share what they all draw.
    Cluster,
}

/// A physical machine.
#[derive(Debug, Clone, PartialEq)]
pub struct Host {
    /// Name.
    pub id: HostId,
    /// Where it stands.
    pub datacenter: DatacenterId,
    /// What it is for.
    pub component: Component,
    /// Cluster, empty if none.
    pub cluster: String,
    /// Rack, empty if not said.
    pub rack: String,
    /// How its power is known, best first.
    pub feeds: Vec<Feed>,
    /// How long a feed may be silent before the next one counts; none for as long as its meters' readings are shown.
    pub fallback_after: Option<Duration>,
    /// How its energy is divided.
    pub model: Model,
    /// With whose energy it is pooled before it is divided.
    pub pool: Pool,
    /// Idle power.
    pub idle: Idle,
    /// Meters of its parts.
    pub parts: Parts,
    /// How its CPU time is weighed.
    pub work: Work,
    /// vCPUs that may be reserved per logical CPU.
    pub cpu_overcommit: Ratio,
    /// Memory that may be reserved per memory.
    pub memory_overcommit: Ratio,
}

impl Host {
    /// Whether its energy is pooled with its cluster's, for which there is one model only.
    #[must_use]
    pub fn is_pooled(&self) -> bool {
        self.pool == Pool::Cluster && self.model == Model::PowerFactorVcores && !self.cluster.is_empty()
    }

    /// A compute node that nothing feeds, learned idle power, no overcommit.
    #[must_use]
    pub fn new(id: HostId, datacenter: DatacenterId) -> Self {
        Self {
            id,
            datacenter,
            component: Component::Compute,
            cluster: String::new(),
            rack: String::new(),
            feeds: Vec::new(),
            fallback_after: None,
            model: Model::default(),
            pool: Pool::default(),
            idle: Idle::Learned,
            parts: Parts::default(),
            work: Work::default(),
            cpu_overcommit: Ratio::ONE,
            memory_overcommit: Ratio::ONE,
        }
    }
}

/// A facility meter point.
#[derive(Debug, Clone, PartialEq)]
pub struct FacilityPoint {
    /// Which building.
    pub datacenter: DatacenterId,
    /// Which point.
    pub point: Point,
    /// Channels that add up.
    pub channels: Vec<(MeterId, ChannelId)>,
}

/// An emission factor of the operator's.
#[derive(Debug, Clone, PartialEq)]
pub struct EmissionFactor {
    /// Which building.
    pub datacenter: DatacenterId,
    /// Location or market.
    pub basis: Basis,
    /// Who published it.
    pub source: String,
    /// Its place in the hierarchy of factors: `regional`, `national`, `supplier` ...
    pub tier: String,
    /// The factor.
    pub value: GramsPerKilowattHour,
}

/// What a kilowatt-hour costs.
#[derive(Debug, Clone, PartialEq)]
pub struct Price {
    /// Which building.
    pub datacenter: DatacenterId,
    /// ISO 4217 code.
    pub currency: String,
    /// In the currency's main unit.
    pub per_kilowatt_hour: f64,
}

/// Everything that stands in the configuration about the real world.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Inventory {
    /// Hosts, in configuration order.
    pub hosts: Vec<Host>,
    /// Facility meter points.
    pub facility: Vec<FacilityPoint>,
    /// Emission factors.
    pub factors: Vec<EmissionFactor>,
    /// Prices.
    pub prices: Vec<Price>,
    /// Named tenants.
    pub tenants: Tenants,
    /// What workloads work for.
    pub services: Services,
}
