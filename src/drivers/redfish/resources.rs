//! Redfish resources as this driver needs them. Bytes in, typed structs out; pure.
//!
//! Services differ in what they leave out, so nothing here fails: a property that is absent, `null` or of another type
//! than the schema says is simply not there. Numbers may come as strings, texts as numbers. Field names are DMTF's:
//! ServiceRoot 1.20, Chassis 1.28, Power 1.7, PowerSubsystem 1.1, PowerSupply 1.6, PowerSupplyMetrics 1.2,
//! EnvironmentMetrics 1.5, ComputerSystem 1.27.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// The most elements of a list that are kept.
const MAX_ELEMENTS: usize = 256;
/// The longest text that is kept; a longer one is not there.
const MAX_TEXT_BYTES: usize = 2048;

/// The JSON object in `body`, or nothing if it is anything else.
pub(super) fn object(body: &[u8]) -> Option<Value> {
    // Some services begin with a byte order mark.
    let body = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
    serde_json::from_slice(body).ok().filter(Value::is_object)
}

/// What `document` says of a `T`.
pub(super) fn read<T: DeserializeOwned + Default>(document: &Value) -> T {
    T::deserialize(document).unwrap_or_default()
}

/// Both in one.
pub(super) fn parse<T: DeserializeOwned + Default>(body: &[u8]) -> Option<T> {
    object(body).map(|document| read(&document))
}

/// Any value that does not fit is the default.
pub(super) fn lenient<'de, D: Deserializer<'de>, T: DeserializeOwned + Default>(
    from: D,
) -> Result<T, D::Error> {
    Ok(T::deserialize(Value::deserialize(from)?).unwrap_or_default())
}

/// As [`lenient`] for each element: a broken one keeps its place, since places name some elements.
pub(super) fn list<'de, D: Deserializer<'de>, T: DeserializeOwned + Default>(
    from: D,
) -> Result<Vec<T>, D::Error> {
    Ok(match Value::deserialize(from)? {
        Value::Array(elements) => {
            let elements = elements.into_iter().take(MAX_ELEMENTS);
            elements.map(|element| T::deserialize(element).unwrap_or_default()).collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => Vec::new(),
    })
}

pub(super) fn number<'de, D: Deserializer<'de>>(from: D) -> Result<Option<f64>, D::Error> {
    Ok(number_in(&Value::deserialize(from)?))
}

pub(super) fn number_in(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
    .filter(|number: &f64| number.is_finite())
}

pub(super) fn text<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    Ok(match Value::deserialize(from)? {
        Value::String(text) => {
            Some(text).filter(|text| text.len() <= MAX_TEXT_BYTES && !text.trim().is_empty())
        }
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    })
}

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

macro_rules! resource {
    ($(#[$doc:meta])* $name:ident { $($(#[$meta:meta])* $field:ident: $type:ty = $key:literal by $how:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Default, PartialEq, serde::Deserialize)]
        #[serde(default)]
        pub(super) struct $name {
            $($(#[$meta])* #[serde(rename = $key, deserialize_with = $how)] pub(super) $field: $type,)*
        }
    };
}

pub(super) use resource;

resource!(/// A link.
Link {
    id: Option<String> = "@odata.id" by "text",
});

resource!(/// The service root.
Root {
    vendor: Option<String> = "Vendor" by "text",
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
    presence: Presence = "Status" by "presence",
    power_state: PowerState = "PowerState" by "power_state",
    environment: Link = "EnvironmentMetrics" by "lenient",
    power: Link = "Power" by "lenient",
    subsystem: Link = "PowerSubsystem" by "lenient",
    links: ChassisLinks = "Links" by "lenient",
});

resource!(/// `Links` of a chassis.
ChassisLinks {
    systems: Vec<Link> = "ComputerSystems" by "list",
    managers: Vec<Link> = "ManagedBy" by "list",
});

resource!(/// A computer system.
System {
    manufacturer: Option<String> = "Manufacturer" by "text",
    model: Option<String> = "Model" by "text",
    serial: Option<String> = "SerialNumber" by "text",
    power_state: PowerState = "PowerState" by "power_state",
    links: SystemLinks = "Links" by "lenient",
});

resource!(/// `Links` of a computer system.
SystemLinks {
    chassis: Vec<Link> = "Chassis" by "list",
});

resource!(/// A manager: the BMC itself.
Manager {
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
});

resource!(/// `EnvironmentMetrics` of a chassis. An excerpt that is `null` is as absent as one that is not there.
Environment {
    power_watts: Option<Excerpt> = "PowerWatts" by "lenient",
    energy_kwh: Excerpt = "EnergykWh" by "lenient",
    energy_joules: Excerpt = "EnergyJoules" by "lenient",
    temperature_celsius: Excerpt = "TemperatureCelsius" by "lenient",
});

resource!(/// `PowerSubsystem`.
Subsystem {
    presence: Presence = "Status" by "presence",
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
});

resource!(/// An entry of `PowerControl`.
Control {
    member: Option<String> = "MemberId" by "text",
    name: Option<String> = "Name" by "text",
    scope: Scope = "PhysicalContext" by "scope",
    presence: Presence = "Status" by "presence",
    consumed_watts: Option<f64> = "PowerConsumedWatts" by "number",
    capacity_watts: Option<f64> = "PowerCapacityWatts" by "number",
});

resource!(/// An entry of `PowerSupplies` of the older `Power` resource.
OldSupply {
    member: Option<String> = "MemberId" by "text",
    presence: Presence = "Status" by "presence",
    input_watts: Option<f64> = "PowerInputWatts" by "number",
    input_volts: Option<f64> = "LineInputVoltage" by "number",
    capacity_watts: Option<f64> = "PowerCapacityWatts" by "number",
});

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

    fn power(json: &str) -> Power {
        parse(json.as_bytes()).unwrap()
    }

    #[test]
    fn a_number_is_a_number_or_a_string_that_is_one() {
        for (json, want) in [
            ("429", Some(429.0)),
            ("429.5", Some(429.5)),
            (r#""429""#, Some(429.0)),
            (r#"" 429.5 ""#, Some(429.5)),
            ("null", None),
            (r#""""#, None),
            (r#""N/A""#, None),
            (r#""NaN""#, None),
            (r#""inf""#, None),
            (r#""1e999""#, None),
            ("true", None),
            ("[429]", None),
            (r#"{"Reading":429}"#, None),
        ] {
            let power = power(&format!(r#"{{"PowerControl":[{{"PowerConsumedWatts":{json}}}]}}"#));
            assert_eq!(power.controls[0].consumed_watts, want, "{json}");
        }
    }

    #[test]
    fn a_broken_element_keeps_its_place_and_hurts_no_other() {
        let power =
            power(r#"{"PowerControl":[null, 7, {"MemberId":0,"PowerConsumedWatts":10}],"PowerSupplies":{}}"#);
        assert_eq!(power.controls.len(), 3);
        assert_eq!(power.controls[0], Control::default());
        assert_eq!(power.controls[2].member.as_deref(), Some("0"));
        assert_eq!(power.supplies, []);
    }

    #[test]
    fn null_members_are_an_empty_collection() {
        let page: Collection = parse(br#"{"Members":null,"Members@odata.nextLink":null}"#).unwrap();
        assert_eq!(page, Collection::default());
    }

    #[test]
    fn what_is_no_object_is_no_resource() {
        let deep = "[".repeat(10_000);
        for body in ["", "[]", "7", "<html>", "{", "{}{}", r#"{"a":1}x"#, deep.as_str()] {
            assert!(object(body.as_bytes()).is_none(), "{body:.20}");
        }
        assert!(object(b"\xEF\xBB\xBF{}").is_some());
    }

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
