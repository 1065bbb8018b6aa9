//! Where things stand and what they are for: the words that label hosts, facility meters and emission factors.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The two ways of counting scope 2 emissions in the GHG Protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Basis {
    /// The average of the grid that the building stands on.
    Location,
    /// What the contract for the electricity says.
    Market,
}

impl Basis {
    /// The word in the `basis` label.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Location => "location",
            Self::Market => "market",
        }
    }
}

/// A point of the building at which energy is metered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Point {
    /// What comes from the grid.
    Utility,
    /// What own generators make.
    Generator,
    /// What goes into the UPSes.
    UpsIn,
    /// What comes out of the UPSes.
    UpsOut,
    /// What IT equipment draws.
    It,
    /// What cooling draws.
    Cooling,
    /// What lighting draws.
    Lighting,
    /// What the rest of the building draws.
    Building,
    /// What own renewable sources make.
    Renewable,
    /// Heat given to others, as energy.
    Reused,
}

impl Point {
    /// The word in the `point` label and in the file.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Utility => "utility",
            Self::Generator => "generator",
            Self::UpsIn => "ups_in",
            Self::UpsOut => "ups_out",
            Self::It => "it",
            Self::Cooling => "cooling",
            Self::Lighting => "lighting",
            Self::Building => "building",
            Self::Renewable => "renewable",
            Self::Reused => "reused",
        }
    }
}

/// What a host is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Component {
    /// Runs workloads.
    #[default]
    Compute,
    /// Stores data.
    Storage,
    /// Moves packets.
    Network,
    /// Runs the cloud itself.
    Management,
}

impl Component {
    /// The word in the `component` label and in the file.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Compute => "compute",
            Self::Storage => "storage",
            Self::Network => "network",
            Self::Management => "management",
        }
    }
}
