//! The temperature of the air that a machine takes in, from whichever thermal resource has it. Pure.

use super::lenient::{lenient, list, number, resource, text};
use super::resources::{Excerpt, Link, Presence, presence};

resource!(/// `ThermalSubsystem`.
ThermalSubsystem {
    metrics: Link = "ThermalMetrics" by "lenient",
});

resource!(/// `ThermalMetrics`.
ThermalMetrics {
    summary: ThermalSummary = "TemperatureSummaryCelsius" by "lenient",
    temperatures: Vec<DeviceTemperature> = "TemperatureReadingsCelsius" by "list",
});

resource!(/// `TemperatureSummaryCelsius`.
ThermalSummary {
    intake: Excerpt = "Intake" by "lenient",
    ambient: Excerpt = "Ambient" by "lenient",
});

resource!(/// One of `TemperatureReadingsCelsius`.
DeviceTemperature {
    name: Option<String> = "DeviceName" by "text",
    context: Option<String> = "PhysicalContext" by "text",
    celsius: Option<f64> = "Reading" by "number",
});

resource!(/// The older `Thermal` resource.
Thermal {
    temperatures: Vec<Temperature> = "Temperatures" by "list",
});

resource!(/// One of its temperatures.
Temperature {
    name: Option<String> = "Name" by "text",
    context: Option<String> = "PhysicalContext" by "text",
    presence: Presence = "Status" by "presence",
    celsius: Option<f64> = "ReadingCelsius" by "number",
});

impl ThermalMetrics {
    /// Degrees Celsius of the air that comes in.
    pub(super) fn inlet_celsius(&self) -> Option<f64> {
        let named = self.temperatures.iter().map(|t| (t.context.as_deref(), t.name.as_deref(), t.celsius));
        self.summary.intake.reading.or_else(|| inlet(named)).or(self.summary.ambient.reading)
    }
}

impl Thermal {
    /// Degrees Celsius of the air that comes in.
    pub(super) fn inlet_celsius(&self) -> Option<f64> {
        let there = self.temperatures.iter().filter(|t| t.presence != Presence::Missing);
        inlet(there.map(|t| (t.context.as_deref(), t.name.as_deref(), t.celsius)))
    }
}

/// The first with the context `Intake`, else the first that is called so: several makers file it under `SystemBoard`.
fn inlet<'a>(
    all: impl Iterator<Item = (Option<&'a str>, Option<&'a str>, Option<f64>)> + Clone,
) -> Option<f64> {
    let called = |words: &'static [&'static str]| {
        all.clone().find_map(|(_, name, celsius)| {
            let name = name?.to_ascii_lowercase();
            words.iter().any(|word| name.contains(word)).then_some(celsius)?
        })
    };
    all.clone()
        .find_map(|(context, _, celsius)| (context == Some("Intake")).then_some(celsius)?)
        .or_else(|| called(&["inlet", "intake"]))
        .or_else(|| called(&["ambient"]))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::resources::read;
    use super::*;

    #[test]
    fn the_inlet_is_found_by_context_then_by_name() {
        let t = |name: &str, context: &str, celsius: Value| json!({ "Name": name, "PhysicalContext": context, "ReadingCelsius": celsius });
        for (temperatures, want) in [
            (vec![t("CPU1 Temp", "CPU", json!(40)), t("01-Inlet Ambient", "Intake", json!(19))], Some(19.0)),
            (vec![t("Inlet", "Intake", json!(null)), t("Front", "Intake", json!("21.5"))], Some(21.5)),
            (vec![t("System Board Inlet Temp", "SystemBoard", json!(23))], Some(23.0)),
            (vec![t("Ambient Temp", "Room", json!(24)), t("PCH intake", "Other", json!(30))], Some(30.0)),
            (vec![t("Ambient", "SystemBoard", json!(24))], Some(24.0)),
            (vec![t("CPU1 Temp", "CPU", json!(40))], None),
            (vec![], None),
        ] {
            let thermal: Thermal = read(&json!({ "Temperatures": temperatures }));
            assert_eq!(thermal.inlet_celsius(), want, "{thermal:?}");
        }
        let absent = json!({ "Temperatures": [{ "PhysicalContext": "Intake", "ReadingCelsius": 0,
            "Status": { "State": "Absent" } }] });
        assert_eq!(read::<Thermal>(&absent).inlet_celsius(), None);
    }

    #[test]
    fn the_newer_resource_names_its_intake() {
        for (metrics, want) in [
            (
                json!({ "TemperatureSummaryCelsius": { "Intake": { "Reading": 24.8 }, "Ambient": { "Reading": 22.5 } } }),
                Some(24.8),
            ),
            (
                json!({ "TemperatureSummaryCelsius": { "Ambient": { "Reading": 22.5 } },
                "TemperatureReadingsCelsius": [{ "PhysicalContext": "Intake", "Reading": 19 }] }),
                Some(19.0),
            ),
            (json!({ "TemperatureSummaryCelsius": { "Ambient": { "Reading": 22.5 } } }), Some(22.5)),
            (json!({ "TemperatureReadingsCelsius": [{ "DeviceName": "Exhaust", "Reading": 40 }] }), None),
            (json!({ "TemperatureSummaryCelsius": null, "TemperatureReadingsCelsius": {} }), None),
        ] {
            assert_eq!(read::<ThermalMetrics>(&metrics).inlet_celsius(), want, "{metrics}");
        }
    }
}
