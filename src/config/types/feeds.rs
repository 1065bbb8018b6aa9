//! A host's `feeds`, checked.

use super::ChannelRef;
use crate::model::{PowerModel, Ratio, Watts};

/// One way to know what a host draws.
#[derive(Debug, Clone, PartialEq)]
pub enum Feed {
    /// These channels add up; never empty.
    Measured(Vec<ChannelRef>),
    /// The nameplate, already times its factor: what is assumed at all times, not measured.
    Rated(Watts),
    /// Assumed from the utilisation of its CPUs.
    Modelled(PowerModel),
}

/// Which share of its rated power a host is assumed to draw.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum PowerFactor {
    /// That of the band which the utilisation of its CPUs is in.
    #[default]
    ByUtilisation,
    /// Always this one.
    Share(Ratio),
}
