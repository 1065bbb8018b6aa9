//! Redfish resources as this driver needs them: typed structs, all of them read by `lenient`. Pure.
//!
//! Field names are DMTF's: ServiceRoot 1.20, Chassis 1.28, Power 1.7, PowerSubsystem 1.1, PowerSupply 1.6,
//! PowerSupplyMetrics 1.2, EnvironmentMetrics 1.5, ComputerSystem 1.27.

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::lenient::{count, flag, lenient, list, number, resource, text};
pub(super) use super::lenient::{object, parse, read};
use super::oem::{PowerOem, RootOem, SupplyOem, root_oem};

/// Whether a component is there to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Presence {
    /// `Absent`, `Disabled` or `UnavailableOffline`.
    Missing,
    /// `Enabled`.
    Enabled,
    /// Anything else, or nothing said.
    #[default]
    Unsaid,
}

/// Reads [`Presence`] from a `Status`.
pub(super) fn presence<'de, D: Deserializer<'de>>(from: D) -> Result<Presence, D::Error> {
    let status = Value::deserialize(from)?;
    Ok(match status.get("State").and_then(Value::as_str) {
        Some("Absent" | "Disabled" | "UnavailableOffline") => Presence::Missing,
        Some("Enabled") => Presence::Enabled,
        Some(_) | None => Presence::Unsaid,
    })
}

/// Whether a system or chassis is switched on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum PowerState {
    /// `Off`.
    Off,
    /// On, or on its way.
    On,
    /// Not said.
    #[default]
    Unsaid,
}

fn power_state<'de, D: Deserializer<'de>>(from: D) -> Result<PowerState, D::Error> {
    Ok(match Value::deserialize(from)?.as_str() {
        Some("Off") => PowerState::Off,
        Some("On" | "PoweringOn" | "PoweringOff" | "Paused") => PowerState::On,
        Some(_) | None => PowerState::Unsaid,
    })
}

/// What a `PowerControl` entry is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Scope {
    /// The whole chassis.
    Chassis,
    /// A part of it: processors, memory, accelerators ...
    Part,
    /// Not said.
    #[default]
    Unsaid,
}

fn scope<'de, D: Deserializer<'de>>(from: D) -> Result<Scope, D::Error> {
    Ok(match Value::deserialize(from)?.as_str() {
        Some("Chassis") => Scope::Chassis,
        Some(
            "CPU" | "CPUSubsystem" | "GPU" | "GPUSubsystem" | "Memory" | "MemorySubsystem" | "Accelerator"
            | "FPGA" | "ASIC" | "Fan" | "StorageDevice" | "StorageSubsystem" | "NetworkingDevice"
            | "ComputeBay" | "StorageBay" | "NetworkBay" | "ExpansionBay" | "PowerSupply" | "PowerSupplyBay"
            | "VoltageRegulator",
        ) => Scope::Part,
        Some(_) | None => Scope::Unsaid,
    })
}

/// How a chassis is built, as far as it matters whose power its readings are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Form {
    /// `Blade`, `Sled`, `Cartridge` or `Module`: a slot of the chassis around it feeds it.
    Slotted,
    /// Anything else, or nothing said.
    #[default]
    Other,
}

fn form<'de, D: Deserializer<'de>>(from: D) -> Result<Form, D::Error> {
    Ok(match Value::deserialize(from)?.as_str() {
        Some("Blade" | "Sled" | "Cartridge" | "Module") => Form::Slotted,
        Some(_) | None => Form::Other,
    })
}

/// What a processor is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum ProcessorKind {
    /// `CPU`.
    Cpu,
    /// `GPU`.
    Gpu,
    /// `Core`, `Thread` or `Partition` of a processor that stands for itself.
    Share,
    /// `Accelerator`, `FPGA`, `DSP` ..., or nothing said.
    #[default]
    Other,
}

fn processor_kind<'de, D: Deserializer<'de>>(from: D) -> Result<ProcessorKind, D::Error> {
    Ok(match Value::deserialize(from)?.as_str() {
        Some("CPU") => ProcessorKind::Cpu,
        Some("GPU") => ProcessorKind::Gpu,
        Some("Core" | "Thread" | "Partition") => ProcessorKind::Share,
        Some(_) | None => ProcessorKind::Other,
    })
}

resource!(/// A link.
Link {
    id: Option<String> = "@odata.id" by "text",
});

resource!(/// The service root.
Root {
    name: Option<String> = "Name" by "text",
    version: Option<String> = "RedfishVersion" by "text",
    vendor: Option<String> = "Vendor" by "text",
    product: Option<String> = "Product" by "text",
    oem: RootOem = "Oem" by "root_oem",
    chassis: Link = "Chassis" by "lenient",
    systems: Link = "Systems" by "lenient",
    power_equipment: Link = "PowerEquipment" by "lenient",
    links: RootLinks = "Links" by "lenient",
});

resource!(/// `Links` of the service root.
RootLinks {
    sessions: Link = "Sessions" by "lenient",
});

resource!(/// One page of any collection.
Collection {
    members: Vec<Link> = "Members" by "list",
    /// Text, not a link object.
    next: Option<String> = "Members@odata.nextLink" by "text",
});

resource!(/// A chassis.
Chassis {
    id: Option<String> = "Id" by "text",
    manufacturer: Option<String> = "Manufacturer" by "text",
    model: Option<String> = "Model" by "text",
    serial: Option<String> = "SerialNumber" by "text",
    form: Form = "ChassisType" by "form",
    presence: Presence = "Status" by "presence",
    power_state: PowerState = "PowerState" by "power_state",
    /// It has no supplies of its own, but takes its power from the chassis around it.
    powered_by_parent: Option<bool> = "PoweredByParent" by "flag",
    environment: Link = "EnvironmentMetrics" by "lenient",
    power: Link = "Power" by "lenient",
    subsystem: Link = "PowerSubsystem" by "lenient",
    thermal: Link = "Thermal" by "lenient",
    thermal_subsystem: Link = "ThermalSubsystem" by "lenient",
    sensors: Link = "Sensors" by "lenient",
    links: ChassisLinks = "Links" by "lenient",
});

resource!(/// `Links` of a chassis.
ChassisLinks {
    systems: Vec<Link> = "ComputerSystems" by "list",
    managers: Vec<Link> = "ManagedBy" by "list",
    contains: Vec<Link> = "Contains" by "list",
    contained_by: Link = "ContainedBy" by "lenient",
});

resource!(/// A computer system.
System {
    id: Option<String> = "Id" by "text",
    manufacturer: Option<String> = "Manufacturer" by "text",
    model: Option<String> = "Model" by "text",
    serial: Option<String> = "SerialNumber" by "text",
    sku: Option<String> = "SKU" by "text",
    hostname: Option<String> = "HostName" by "text",
    power_state: PowerState = "PowerState" by "power_state",
    processor_summary: ProcessorSummary = "ProcessorSummary" by "lenient",
    memory_summary: MemorySummary = "MemorySummary" by "lenient",
    processors: Link = "Processors" by "lenient",
    memory: Link = "Memory" by "lenient",
    links: SystemLinks = "Links" by "lenient",
});

resource!(/// `Links` of a computer system.
SystemLinks {
    chassis: Vec<Link> = "Chassis" by "list",
});

resource!(/// `ProcessorSummary` of a computer system.
ProcessorSummary {
    model: Option<String> = "Model" by "text",
    processors: Option<u32> = "Count" by "count",
    cores: Option<u32> = "CoreCount" by "count",
    threads: Option<u32> = "LogicalProcessorCount" by "count",
});

resource!(/// `MemorySummary` of a computer system.
MemorySummary {
    /// GiB.
    total_gib: Option<f64> = "TotalSystemMemoryGiB" by "number",
});

resource!(/// A processor or memory module of a computer system.
Part {
    id: Option<String> = "Id" by "text",
    presence: Presence = "Status" by "presence",
    processor: ProcessorKind = "ProcessorType" by "processor_kind",
    environment: Link = "EnvironmentMetrics" by "lenient",
});

resource!(/// A manager: the BMC itself.
Manager {
    model: Option<String> = "Model" by "text",
    firmware: Option<String> = "FirmwareVersion" by "text",
});

resource!(/// A sensor's excerpt inside another resource.
Excerpt {
    /// In the unit that the property's name says.
    reading: Option<f64> = "Reading" by "number",
    /// Energy since manufacture, in the same unit; never reset.
    lifetime: Option<f64> = "LifetimeReading" by "number",
    apparent_va: Option<f64> = "ApparentVA" by "number",
    power_factor: Option<f64> = "PowerFactor" by "number",
    /// The sensor whose excerpt this is.
    source: Option<String> = "DataSourceUri" by "text",
});

resource!(/// `EnvironmentMetrics` of a chassis or a part. An excerpt that is `null` is as absent as one that is not there.
Environment {
    power_watts: Option<Excerpt> = "PowerWatts" by "lenient",
    energy_kwh: Excerpt = "EnergykWh" by "lenient",
    energy_joules: Excerpt = "EnergyJoules" by "lenient",
    volts: Excerpt = "Voltage" by "lenient",
    amperes: Excerpt = "CurrentAmps" by "lenient",
    temperature_celsius: Excerpt = "TemperatureCelsius" by "lenient",
    ambient_celsius: Excerpt = "AmbientTemperatureCelsius" by "lenient",
    humidity_percent: Excerpt = "HumidityPercent" by "lenient",
});

resource!(/// `PowerSubsystem`.
Subsystem {
    presence: Presence = "Status" by "presence",
    capacity_watts: Option<f64> = "CapacityWatts" by "number",
    supplies: Link = "PowerSupplies" by "lenient",
});

resource!(/// A power supply of `PowerSubsystem`.
Supply {
    id: Option<String> = "Id" by "text",
    presence: Presence = "Status" by "presence",
    capacity_watts: Option<f64> = "PowerCapacityWatts" by "number",
    metrics: Link = "Metrics" by "lenient",
});

resource!(/// `Metrics` of such a power supply.
SupplyMetrics {
    presence: Presence = "Status" by "presence",
    input_watts: Excerpt = "InputPowerWatts" by "lenient",
    energy_kwh: Excerpt = "EnergykWh" by "lenient",
    input_volts: Excerpt = "InputVoltage" by "lenient",
    input_amperes: Excerpt = "InputCurrentAmps" by "lenient",
    frequency_hertz: Excerpt = "FrequencyHz" by "lenient",
});

resource!(/// The older `Power` resource.
Power {
    controls: Vec<Control> = "PowerControl" by "list",
    supplies: Vec<OldSupply> = "PowerSupplies" by "list",
    /// Of services older than the schema.
    consumed_watts: Option<f64> = "PowerConsumedWatts" by "number",
    oem: PowerOem = "Oem" by "lenient",
});

resource!(/// An entry of `PowerControl`.
Control {
    member: Option<String> = "MemberId" by "text",
    name: Option<String> = "Name" by "text",
    scope: Scope = "PhysicalContext" by "scope",
    presence: Presence = "Status" by "presence",
    consumed_watts: Option<f64> = "PowerConsumedWatts" by "number",
    capacity_watts: Option<f64> = "PowerCapacityWatts" by "number",
    window: ControlWindow = "PowerMetrics" by "lenient",
    related: Vec<Link> = "RelatedItem" by "list",
});

resource!(/// `PowerMetrics` of such an entry.
ControlWindow {
    minutes: Option<f64> = "IntervalInMin" by "number",
    average_watts: Option<f64> = "AverageConsumedWatts" by "number",
    minimum_watts: Option<f64> = "MinConsumedWatts" by "number",
    maximum_watts: Option<f64> = "MaxConsumedWatts" by "number",
});

resource!(/// An entry of `PowerSupplies` of the older `Power` resource.
OldSupply {
    member: Option<String> = "MemberId" by "text",
    name: Option<String> = "Name" by "text",
    firmware: Option<String> = "FirmwareVersion" by "text",
    oem: SupplyOem = "Oem" by "lenient",
    related: Vec<Link> = "RelatedItem" by "list",
    presence: Presence = "Status" by "presence",
    input_watts: Option<f64> = "PowerInputWatts" by "number",
    input_volts: Option<f64> = "LineInputVoltage" by "number",
    capacity_watts: Option<f64> = "PowerCapacityWatts" by "number",
});

impl Environment {
    /// Whether it is about power or energy.
    pub(super) fn meters(&self) -> bool {
        self.power_watts.is_some() || self.counts_energy()
    }

    /// Whether it shows a counter of energy.
    pub(super) fn counts_energy(&self) -> bool {
        let energy = [&self.energy_kwh, &self.energy_joules];
        energy.iter().any(|excerpt| excerpt.reading.or(excerpt.lifetime).is_some())
    }
}

impl SupplyMetrics {
    /// Whether there is anything in it to read.
    pub(super) fn has_readings(&self) -> bool {
        [&self.input_watts, &self.energy_kwh, &self.input_volts, &self.input_amperes, &self.frequency_hertz]
            .iter()
            .any(|excerpt| excerpt.reading.or(excerpt.lifetime).is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_read_once_and_unknown_ones_say_nothing() {
        for (json, want) in [
            (r#"{"State":"Absent"}"#, Presence::Missing),
            (r#"{"State":"Disabled"}"#, Presence::Missing),
            (r#"{"State":"UnavailableOffline"}"#, Presence::Missing),
            (r#"{"State":"Enabled"}"#, Presence::Enabled),
            (r#"{"State":"StandbySpare"}"#, Presence::Unsaid),
            (r#"{}"#, Presence::Unsaid),
            ("null", Presence::Unsaid),
        ] {
            let supply: Supply = parse(format!(r#"{{"Status":{json}}}"#).as_bytes()).unwrap();
            assert_eq!(supply.presence, want, "{json}");
        }
    }
}
