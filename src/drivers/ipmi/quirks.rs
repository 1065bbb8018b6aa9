//! What BMCs of known makers do differently: the maker is decided once, from Get Device ID; each difference is one method.
//! What cannot be told from the maker is a [`Quirk`] that the operator names.

/// A maker of BMCs that needs to be told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vendor {
    /// Dell.
    Dell,
    /// HP and HPE.
    Hp,
    /// Intel's own boards. Node Manager is on others' as well: their repository says so.
    Intel,
    /// Supermicro.
    Supermicro,
    /// Any other, or unknown.
    Other,
}

impl Vendor {
    /// By IANA enterprise number.
    #[must_use]
    pub const fn of(manufacturer: u32) -> Self {
        match manufacturer {
            674 => Self::Dell,
            11 | 47196 => Self::Hp,
            343 => Self::Intel,
            // The second is what some of its boards say. FreeIPMI, `ipmi-iana-enterprise-numbers-spec.h`.
            10876 | 47488 => Self::Supermicro,
            _ => Self::Other,
        }
    }

    /// Whether power and energy can be asked for by Dell's own commands. FreeIPMI, `ipmi-oem-dell.c`; ipmitool,
    /// `ipmi_delloem.c`.
    #[must_use]
    pub const fn has_power_monitor(self) -> bool {
        match self {
            Self::Dell => true,
            Self::Hp | Self::Intel | Self::Supermicro | Self::Other => false,
        }
    }

    /// Whether Intel Node Manager is worth asking where the repository does not mention it. FreeIPMI,
    /// `ipmi-oem-intelnm.c`.
    #[must_use]
    pub const fn has_node_manager(self) -> bool {
        match self {
            Self::Intel => true,
            Self::Dell | Self::Hp | Self::Supermicro | Self::Other => false,
        }
    }

    /// Whether an empty answer of DCMI is worth asking again soon: the BMC could not reach the supplies this time.
    /// gebn/bmc issue 15; thomas-krenn/check_ipmi_sensor_v3 issue 26.
    #[must_use]
    pub const fn answers_dcmi_with_nothing_at_times(self) -> bool {
        match self {
            Self::Supermicro => true,
            Self::Dell | Self::Hp | Self::Intel | Self::Other => false,
        }
    }

    /// Whether sensors in watts are marked as discrete, yet have a reading. ipmitool, `ipmi_sdr.c`; FreeIPMI, Sensors
    /// Issue 17 (ProLiant DL380 G7).
    #[must_use]
    pub const fn marks_numbers_as_discrete(self) -> bool {
        match self {
            Self::Hp => true,
            Self::Dell | Self::Intel | Self::Supermicro | Self::Other => false,
        }
    }
}

/// What a BMC does against the specification, named by the operator since nothing in its answers tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quirk {
    /// DCMI's "measuring" flag is never set: watts above 0 count all the same. OpenBMC: openbmc/openbmc issue 3257,
    /// phosphor-host-ipmid issue 167.
    InactiveDcmi,
    /// Sensors are said not to be scanned, yet have readings. Dell PowerEdge 2900, 2950, R410, R610, HP rx3600: FreeIPMI,
    /// Sensors Issue 15, `ignorescanningdisabled`.
    IgnoreScanningDisabled,
    /// Sensors with a number are marked as discrete: FreeIPMI, Sensors Issue 17, `discretereading`.
    DiscreteReading,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn makers_are_told_by_their_number() {
        for (number, vendor) in [
            (674, Vendor::Dell),
            (11, Vendor::Hp),
            (343, Vendor::Intel),
            (10876, Vendor::Supermicro),
            (47488, Vendor::Supermicro),
            (0, Vendor::Other),
        ] {
            assert_eq!(Vendor::of(number), vendor);
        }
    }
}
