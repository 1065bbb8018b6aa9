//! Resources of power equipment as this driver needs them; how they are read is `lenient`. Pure.
//!
//! Field names are DMTF's: PowerEquipment 1.2, PowerDistribution 1.6, PowerDistributionMetrics 1.4, Circuit 1.9,
//! Outlet 1.4, OutletGroup 1.2.

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::drivers::redfish::lenient::{lenient, resource, text};
use crate::drivers::redfish::resources::{Excerpt, Link, Presence, presence};

resource!(/// `PowerEquipment`: where each kind of equipment is listed.
Kinds {
    rack_pdus: Link = "RackPDUs" by "lenient",
    floor_pdus: Link = "FloorPDUs" by "lenient",
    transfer_switches: Link = "TransferSwitches" by "lenient",
    switchgear: Link = "Switchgear" by "lenient",
    power_shelves: Link = "PowerShelves" by "lenient",
    buses: Link = "ElectricalBuses" by "lenient",
    battery_shelves: Link = "BatteryShelves" by "lenient",
});

resource!(/// A PDU, transfer switch, power shelf: `PowerDistribution`.
Distribution {
    id: Option<String> = "Id" by "text",
    manufacturer: Option<String> = "Manufacturer" by "text",
    model: Option<String> = "Model" by "text",
    serial: Option<String> = "SerialNumber" by "text",
    firmware: Option<String> = "FirmwareVersion" by "text",
    presence: Presence = "Status" by "presence",
    metrics: Link = "Metrics" by "lenient",
    mains: Link = "Mains" by "lenient",
    branches: Link = "Branches" by "lenient",
    feeders: Link = "Feeders" by "lenient",
    subfeeds: Link = "Subfeeds" by "lenient",
    outlets: Link = "Outlets" by "lenient",
    outlet_groups: Link = "OutletGroups" by "lenient",
});

resource!(/// `Metrics` of a unit: what it takes in as a whole. An excerpt that is `null` is as absent as one that is not there.
Metrics {
    watts: Option<Excerpt> = "PowerWatts" by "lenient",
    energy_kwh: Excerpt = "EnergykWh" by "lenient",
    celsius: Excerpt = "TemperatureCelsius" by "lenient",
    humidity_percent: Excerpt = "HumidityPercent" by "lenient",
});

/// How many lines a circuit has, and whether they are measured against a neutral.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Wiring {
    /// One line and neutral.
    OnePhase,
    /// Two lines, no neutral.
    TwoLines,
    /// Two lines and neutral.
    TwoLinesNeutral,
    /// Three lines, no neutral (delta). The protective earth is the fourth wire.
    Delta,
    /// Three lines and neutral (wye).
    Wye,
    /// One line and neutral or two lines, or nothing said.
    #[default]
    Unsaid,
}

fn wiring<'de, D: Deserializer<'de>>(from: D) -> Result<Wiring, D::Error> {
    Ok(match Value::deserialize(from)?.as_str() {
        Some("OnePhase3Wire") => Wiring::OnePhase,
        Some("TwoPhase3Wire") => Wiring::TwoLines,
        Some("TwoPhase4Wire") => Wiring::TwoLinesNeutral,
        Some("ThreePhase4Wire") => Wiring::Delta,
        Some("ThreePhase5Wire") => Wiring::Wye,
        Some(_) | None => Wiring::Unsaid,
    })
}

resource!(/// A circuit, outlet or group of outlets: they call the same things by the same names.
Row {
    presence: Presence = "Status" by "presence",
    wiring: Wiring = "PhaseWiringType" by "wiring",
    watts: Option<Excerpt> = "PowerWatts" by "lenient",
    energy_kwh: Option<Excerpt> = "EnergykWh" by "lenient",
    amperes: Option<Excerpt> = "CurrentAmps" by "lenient",
    volts: Option<Excerpt> = "Voltage" by "lenient",
    hertz: Option<Excerpt> = "FrequencyHz" by "lenient",
    line_watts: Option<Lines> = "PolyPhasePowerWatts" by "lenient",
    line_energy_kwh: Option<Lines> = "PolyPhaseEnergykWh" by "lenient",
    line_amperes: Option<Currents> = "PolyPhaseCurrentAmps" by "lenient",
    line_volts: Option<Lines> = "PolyPhaseVoltage" by "lenient",
});

resource!(/// Something that is measured between lines, and between a line and neutral.
Lines {
    l1_n: Excerpt = "Line1ToNeutral" by "lenient",
    l2_n: Excerpt = "Line2ToNeutral" by "lenient",
    l3_n: Excerpt = "Line3ToNeutral" by "lenient",
    l1_l2: Excerpt = "Line1ToLine2" by "lenient",
    l2_l3: Excerpt = "Line2ToLine3" by "lenient",
    l3_l1: Excerpt = "Line3ToLine1" by "lenient",
});

resource!(/// Something that is measured in a line.
Currents {
    l1: Excerpt = "Line1" by "lenient",
    l2: Excerpt = "Line2" by "lenient",
    l3: Excerpt = "Line3" by "lenient",
});

impl Lines {
    /// Each line against neutral.
    pub(super) const fn to_neutral(&self) -> [&Excerpt; 3] {
        [&self.l1_n, &self.l2_n, &self.l3_n]
    }

    /// Each pair of lines.
    pub(super) const fn between(&self) -> [&Excerpt; 3] {
        [&self.l1_l2, &self.l2_l3, &self.l3_l1]
    }
}

impl Row {
    /// Whether it is metered at all, be a reading there at the moment or not.
    pub(super) const fn is_metered(&self) -> bool {
        self.watts.is_some()
            || self.energy_kwh.is_some()
            || self.amperes.is_some()
            || self.volts.is_some()
            || self.hertz.is_some()
            || self.line_watts.is_some()
            || self.line_energy_kwh.is_some()
            || self.line_amperes.is_some()
            || self.line_volts.is_some()
    }
}

/// The collection that a list of links is.
pub(super) type Page = crate::drivers::redfish::resources::Collection;
