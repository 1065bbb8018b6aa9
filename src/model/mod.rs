//! The words of the project as types: units, identifiers, readings, time, and errors of a poll.
//!
//! Lives here: what every layer speaks. Does not live here: I/O, configuration, or anything that imports
//! another layer. A number leaves this module only with its unit in its name or type.

pub mod clock;
pub mod error;
pub mod ids;
pub mod labels;
pub mod name_pattern;
pub mod pci;
pub mod place;
pub mod power;
pub mod reading;
pub mod secret;
pub mod sessions;
pub mod target;
pub mod units;

pub use clock::{Clock, ManualClock, Moment, Past, SystemClock};
pub use error::{ErrorKind, PollError};
pub use ids::{ChannelId, DatacenterId, HostId, MeterId, ProjectId, WorkloadId};
pub use labels::LabelSet;
pub use name_pattern::{NamePattern, NamePatternError};
pub use pci::{PciAddress, PciError};
pub use place::{Basis, Component, Point};
pub use power::{CURVE_POINTS, PowerModel};
pub use reading::{
    Accuracy, Batch, ChannelInfo, Earlier, EnergyCounter, Identity, Measure, PowerWindow, Quality, Quantity,
    Reading, SystemSummary,
};
pub use sessions::{OpenSession, OpenSessions};
pub use target::{Host, Pattern, Target, TargetError};
pub use units::{
    Amperes, Celsius, CubicMetresPerSecond, GramsPerKilowattHour, Hertz, Joules, Microjoules, Ratio,
    UnitError, VoltAmperes, Volts, Watts,
};

/// A boxed future that may cross threads: what driver and source traits return, so that they stay object safe.
pub type BoxFuture<'a, T> = std::pin::Pin<Box<dyn Future<Output = T> + Send + 'a>>;
