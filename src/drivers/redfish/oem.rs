//! What makers add to the standard resources, as far as this driver reads it. Shapes only: `quirks` decides when they
//! count.

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::lenient::{lenient, list, number, resource, text};
use super::resources::Link;

/// The most makers that are looked at.
const MAX_KEYS: usize = 16;

/// `Oem` of the service root.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct RootOem {
    /// Who added something.
    pub(super) keys: Vec<String>,
    /// `Ami.RtpVersion`.
    pub(super) rtp_version: Option<String>,
}

/// Reads [`RootOem`].
pub(super) fn root_oem<'de, D: Deserializer<'de>>(from: D) -> Result<RootOem, D::Error> {
    let oem = Value::deserialize(from)?;
    let keys = oem.as_object().into_iter().flat_map(|oem| oem.keys()).take(MAX_KEYS).cloned().collect();
    let rtp_version = oem.get("Ami").and_then(|ami| ami.get("RtpVersion")).and_then(Value::as_str);
    Ok(RootOem { keys, rtp_version: rtp_version.map(str::to_owned) })
}

resource!(/// `Oem` of the `Power` resource.
PowerOem {
    fujitsu: FujitsuPower = "ts_fujitsu" by "lenient",
    public: InspurPower = "Public" by "lenient",
    hp: HpPower = "Hp" by "lenient",
    hpe: HpePower = "Hpe" by "lenient",
});

resource!(/// What Fujitsu adds to `Power`.
FujitsuPower {
    consumption: FujitsuConsumption = "ChassisPowerConsumption" by "lenient",
    sensors: Vec<FujitsuSensor> = "ChassisPowerSensors" by "list",
});

resource!(/// The whole chassis.
FujitsuConsumption {
    watts: Option<f64> = "CurrentPowerConsumptionW" by "number",
});

resource!(/// One of Fujitsu's power sensors.
FujitsuSensor {
    entity: Option<String> = "EntityId" by "text",
    designation: Option<String> = "Designation" by "text",
    watts: Option<f64> = "CurrentPowerConsumptionW" by "number",
});

resource!(/// What Inspur adds to `Power`.
InspurPower {
    total_watts: Option<f64> = "TotalPower" by "number",
});

resource!(/// What iLO 5 and newer add to `Power`.
HpePower {
    links: HpeLinks = "Links" by "lenient",
});

resource!(/// Links of iLO 5 and newer.
HpeLinks {
    power_meter: Link = "PowerMeter" by "lenient",
});

resource!(/// What iLO 4 adds to `Power`.
HpPower {
    links: HpLinks = "links" by "lenient",
});

resource!(/// Links of iLO 4.
HpLinks {
    power_meter: Href = "PowerMeter" by "lenient",
});

resource!(/// A link as iLO 4 writes them.
Href {
    href: Option<String> = "href" by "text",
});

resource!(/// HPE's `PowerMeter`: 24 hours of samples, of which only the summary is read.
PowerMeter {
    average_watts: Option<f64> = "Average" by "number",
    minimum_watts: Option<f64> = "Minimum" by "number",
    maximum_watts: Option<f64> = "Maximum" by "number",
});

resource!(/// `Oem` of a supply in `Power`.
SupplyOem {
    huawei: HuaweiSupply = "Huawei" by "lenient",
});

resource!(/// What Huawei adds to a supply.
HuaweiSupply {
    input_watts: Option<f64> = "PowerInputWatts" by "number",
});
