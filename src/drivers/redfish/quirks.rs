//! Whose BMC it is, decided once, and what differs with it: one method per quirk, named after what it works around.
//!
//! No other file looks at a maker's name. What several makers do (numbers as strings, a rating shown as a reading,
//! parts beside the whole, stubs of the newer model) is met for everyone, by `lenient`, `select` and `discover`.

use super::draft::Draft;
use super::resources::{OldSupply, Power, Root, System};

/// A BMC's family: services with the same quirks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Maker {
    /// Dell iDRAC.
    Idrac,
    /// HPE iLO 4.
    Ilo4,
    /// HPE iLO 5.
    Ilo5,
    /// HPE iLO 6 and newer.
    Ilo6,
    /// Lenovo XClarity Controller.
    Xcc,
    /// Supermicro.
    Supermicro,
    /// OpenBMC's bmcweb where no maker put its own name on it.
    OpenBmc,
    /// Cisco CIMC.
    Cimc,
    /// Fujitsu (Fsas) iRMC.
    Irmc,
    /// Inspur (IEIT).
    Inspur,
    /// Huawei, xFusion.
    Huawei,
    /// AMI `MegaRAC` under other makers' boards.
    Ami,
    /// The AMI BMC of NVIDIA's DGX H100 ("Viking").
    AmiViking,
    /// The AMI BMC of NVIDIA's GB300 hosts.
    AmiGb300,
    /// NVIDIA's own BMCs.
    Nvidia,
    /// None of these, or not said.
    #[default]
    Unknown,
}

impl Maker {
    /// What the service root alone tells.
    pub(super) fn of_root(root: &Root) -> Self {
        let vendor = root.vendor.iter().chain(&root.oem.keys).chain(&root.product);
        let named = vendor.filter_map(|text| Self::named(text)).next().unwrap_or_default();
        match named {
            Self::Ilo5 => generation(root, None),
            // Source: NVIDIA/nv-redfish, redfish/src/bmc_quirks.rs, which tells the two by the same properties.
            Self::Ami if root.version.as_deref() == Some("1.11.0") => Self::AmiViking,
            Self::Ami if root.oem.rtp_version.as_deref() == Some("13.09.1") => Self::AmiGb300,
            Self::Ami | Self::Idrac | Self::Ilo4 | Self::Ilo6 | Self::Xcc | Self::Supermicro => named,
            Self::OpenBmc | Self::Cimc | Self::Irmc | Self::Inspur | Self::Huawei => named,
            Self::AmiViking | Self::AmiGb300 | Self::Nvidia | Self::Unknown => named,
        }
    }

    /// What all that was found tells.
    pub(super) fn of(draft: &Draft) -> Self {
        let mut maker = Self::of_root(&draft.root);
        if maker == Self::Unknown {
            let systems = draft.systems.iter().filter_map(|(_, system)| system.manufacturer.as_ref());
            let chassis = draft.chassis.iter().filter_map(|draft| draft.chassis.manufacturer.as_ref());
            let texts = draft.manager.model.iter().chain(systems).chain(chassis);
            maker = texts.filter_map(|text| Self::named(text)).next().unwrap_or_default();
        }
        if maker == Self::Ilo5 {
            let manager = draft.manager.firmware.as_deref().or(draft.manager.model.as_deref());
            return generation(&draft.root, manager);
        }
        maker
    }

    /// The maker that `text` names: the service's `Vendor` or `Product`, a key of `Oem`, a manufacturer.
    fn named(text: &str) -> Option<Self> {
        let text = text.to_ascii_lowercase();
        let word = |wanted: &str| text.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| word == wanted);
        let has = |part: &str| text.contains(part);
        Some(match () {
            () if word("dell") || has("idrac") => Self::Idrac,
            () if word("hpe") || word("hp") || has("hewlett") || word("proliant") => Self::Ilo5,
            () if has("lenovo") => Self::Xcc,
            () if has("supermicro") || has("super micro") => Self::Supermicro,
            () if has("cisco") => Self::Cimc,
            () if has("fujitsu") || word("fsas") => Self::Irmc,
            () if word("inspur") || word("ieit") => Self::Inspur,
            () if has("huawei") || has("xfusion") || has("kunlun") => Self::Huawei,
            () if has("nvidia") => Self::Nvidia,
            () if word("ami") || has("american megatrends") => Self::Ami,
            () if has("openbmc") => Self::OpenBmc,
            () => return None,
        })
    }

    /// The identity's profile.
    pub(super) const fn profile(self) -> &'static str {
        match self {
            Self::Idrac => "redfish idrac",
            Self::Ilo4 => "redfish ilo4",
            Self::Ilo5 => "redfish ilo5",
            Self::Ilo6 => "redfish ilo6",
            Self::Xcc => "redfish xcc",
            Self::Supermicro => "redfish supermicro",
            Self::OpenBmc => "redfish openbmc",
            Self::Cimc => "redfish cimc",
            Self::Irmc => "redfish irmc",
            Self::Inspur => "redfish inspur",
            Self::Huawei => "redfish huawei",
            Self::Ami => "redfish ami",
            Self::AmiViking => "redfish ami-viking",
            Self::AmiGb300 => "redfish ami-gb300",
            Self::Nvidia => "redfish nvidia",
            Self::Unknown => "redfish",
        }
    }

    /// `$expand` drops required properties of the members it puts in.
    /// Source: NVIDIA/nv-redfish, `expand_is_not_working_properly`.
    pub(super) const fn expand_drops_properties(self) -> bool {
        matches!(self, Self::AmiViking | Self::AmiGb300)
    }

    /// The number that is on the machine's label, and in its maker's papers, stands in `SKU`: Dell's service tag.
    /// Source: dell/iDRAC-Redfish-Scripting, whose scripts print `SKU` as "Service Tag".
    pub(super) fn serial(self, system: &System) -> Option<&String> {
        let sku = if self == Self::Idrac { system.sku.as_ref() } else { None };
        sku.or(system.serial.as_ref())
    }

    /// The total stands elsewhere than in `PowerControl`, W.
    ///
    /// - iLO 4: `PowerConsumedWatts` of `Power` itself. Source: HPE's iLO 4 resource definitions; a recording in the crate
    ///   libredfish.
    /// - iRMC: `Oem.ts_fujitsu.ChassisPowerConsumption`. Source: mrlhansen/idrac_exporter issue 121.
    /// - Inspur: `Oem.Public.TotalPower`. Source: mrlhansen/idrac_exporter, `RefreshPowerOld`.
    pub(super) const fn total_elsewhere(self, power: &Power) -> Option<f64> {
        match self {
            Self::Ilo4 => power.consumed_watts,
            Self::Irmc => power.oem.fujitsu.consumption.watts,
            Self::Inspur => power.oem.public.total_watts,
            Self::Idrac | Self::Ilo5 | Self::Ilo6 | Self::Xcc | Self::Supermicro | Self::OpenBmc => None,
            Self::Cimc | Self::Huawei | Self::Ami | Self::AmiViking | Self::AmiGb300 => None,
            Self::Nvidia | Self::Unknown => None,
        }
    }

    /// A supply's input stands elsewhere than in `PowerInputWatts`, W.
    ///
    /// - Huawei: the supply's `Oem.Huawei.PowerInputWatts`. Source: mrlhansen/idrac_exporter, `RefreshPowerOld`.
    /// - iRMC: the sensor of `Oem.ts_fujitsu.ChassisPowerSensors` named after the supply. Source: its issue 121.
    pub(super) fn supply_elsewhere(self, supply: &OldSupply, power: &Power) -> Option<f64> {
        match self {
            Self::Huawei => supply.oem.huawei.input_watts,
            Self::Irmc => {
                let name = supply.name.as_deref()?;
                let sensors = &power.oem.fujitsu.sensors;
                let found = sensors.iter().find(|sensor| {
                    let designation = sensor.designation.as_deref().and_then(|d| d.strip_prefix(name));
                    // "PSU1" must not find "PSU10 Power".
                    let whole =
                        designation.is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_digit()));
                    sensor.entity.as_deref() == Some("Power Supply") && whole
                });
                found?.watts
            }
            Self::Idrac | Self::Ilo4 | Self::Ilo5 | Self::Ilo6 | Self::Xcc | Self::Supermicro => None,
            Self::OpenBmc | Self::Cimc | Self::Inspur | Self::Ami | Self::AmiViking => None,
            Self::AmiGb300 | Self::Nvidia | Self::Unknown => None,
        }
    }

    /// An empty bay is listed as a supply that is enabled, with firmware 0.00.
    /// Source: mrlhansen/idrac_exporter issue 116.
    pub(super) fn is_phantom(self, supply: &OldSupply) -> bool {
        self == Self::Ilo4 && supply.firmware.as_deref() == Some("0.00")
    }

    /// Where HPE keeps 24 hours of power: a window that `PowerControl` has not. `FastPowerMeter` holds the 20 minutes that
    /// `PowerControl` sums up already, so it is not asked for.
    /// Source: HPE's iLO resource definitions, `HpePowerMeter` and `HpPowerMeter`.
    pub(super) fn day_of_power(self, power: &Power) -> Option<&str> {
        match self {
            Self::Ilo4 => power.oem.hp.links.power_meter.href.as_deref(),
            Self::Ilo5 | Self::Ilo6 => power.oem.hpe.links.power_meter.id.as_deref(),
            Self::Idrac | Self::Xcc | Self::Supermicro | Self::OpenBmc | Self::Cimc | Self::Irmc => None,
            Self::Inspur | Self::Huawei | Self::Ami | Self::AmiViking | Self::AmiGb300 => None,
            Self::Nvidia | Self::Unknown => None,
        }
    }

    /// The sensor of the total does not say `ElectricalContext`; it is known by its name.
    /// Source: openbmc/bmcweb, `redfish-core/lib/power.hpp`, which takes `PowerConsumedWatts` from `total_power`.
    pub(super) fn is_total_sensor(self, id: &str) -> bool {
        // Its root and its systems do not say that it is OpenBMC, and its manager may be out of reach.
        matches!(self, Self::OpenBmc | Self::Nvidia | Self::Unknown)
            && id.to_ascii_lowercase().ends_with("total_power")
    }

    /// `Systems` lists the GPU baseboard beside the server it is built into: its processors are the server's.
    /// Source: NVIDIA's DPS guide, "Redfish"; NVIDIA/nv-redfish.
    pub(super) fn is_baseboard(self, system: &str) -> bool {
        matches!(self, Self::Nvidia | Self::AmiViking | Self::AmiGb300) && system.starts_with("HGX_")
    }

    /// `Systems` lists what is no system at all, beside `DGX` and the baseboard.
    /// Source: NVIDIA/nv-redfish, `filter_computer_system_odata_ids`.
    pub(super) fn is_no_system(self, system: &str) -> bool {
        self == Self::AmiViking && !matches!(system, "DGX" | "HGX_Baseboard_0")
    }
}

/// Which iLO it is: its manager says so, else the machine's generation.
/// Source: mrlhansen/idrac_exporter tells iLO 4 by the root's name; HPE's resource definitions tell it by `Oem.Hp`.
fn generation(root: &Root, manager: Option<&str>) -> Maker {
    let says = |text: Option<&str>, part: &str| text.is_some_and(|t| t.to_ascii_lowercase().contains(part));
    let product = root.product.as_deref();
    let old = says(root.name.as_deref(), "hp restful") || root.oem.keys.iter().any(|key| key == "Hp");
    if says(manager, "ilo 4") || old {
        Maker::Ilo4
    } else if says(manager, "ilo 5") {
        Maker::Ilo5
    } else if says(manager, "ilo ") || says(product, "gen11") || says(product, "gen12") {
        Maker::Ilo6
    } else {
        Maker::Ilo5
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::resources::read;
    use super::*;

    fn maker(root: Value, manager: Value, manufacturer: Option<&str>) -> Maker {
        let mut draft = Draft { root: read(&root), manager: read(&manager), ..Draft::default() };
        let path = super::super::origin::ResourcePath::service_root();
        draft.systems.push((path, read(&json!({ "Manufacturer": manufacturer }))));
        Maker::of(&draft)
    }

    #[test]
    fn the_maker_is_told_by_the_root_then_the_manager_then_the_machine() {
        let none = || json!({});
        for (root, manager, manufacturer, want) in [
            (json!({ "Vendor": "Dell" }), none(), None, Maker::Idrac),
            (json!({ "Oem": { "Dell": {} } }), none(), Some("Contoso"), Maker::Idrac),
            (json!({}), none(), Some("Dell Inc."), Maker::Idrac),
            (json!({ "Name": "HP RESTful Root Service" }), none(), Some("HPE"), Maker::Ilo4),
            (json!({ "Oem": { "Hp": {} } }), json!({ "FirmwareVersion": "iLO 4 v2.70" }), None, Maker::Ilo4),
            (json!({ "Vendor": "HPE" }), json!({ "FirmwareVersion": "iLO 5 v2.72" }), None, Maker::Ilo5),
            (json!({ "Vendor": "HPE" }), json!({ "FirmwareVersion": "iLO 6 v1.55" }), None, Maker::Ilo6),
            (json!({ "Vendor": "HPE", "Product": "ProLiant DL380 Gen11" }), none(), None, Maker::Ilo6),
            (json!({ "Vendor": "HPE", "Product": "ProLiant DL380 Gen10" }), none(), None, Maker::Ilo5),
            (json!({ "Vendor": "Lenovo" }), none(), None, Maker::Xcc),
            (json!({ "Vendor": "Supermicro" }), none(), None, Maker::Supermicro),
            (json!({}), none(), Some("Super Micro Computer, Inc."), Maker::Supermicro),
            (json!({}), json!({ "Model": "OpenBmc" }), Some("Quanta"), Maker::OpenBmc),
            (json!({ "Vendor": "Cisco Systems Inc." }), none(), None, Maker::Cimc),
            (json!({ "Oem": { "ts_fujitsu": {} } }), none(), None, Maker::Irmc),
            (json!({}), none(), Some("Fsas Technologies"), Maker::Irmc),
            (json!({ "Oem": { "Public": {} } }), none(), Some("IEIT SYSTEMS"), Maker::Inspur),
            (json!({ "Oem": { "Huawei": {} } }), none(), None, Maker::Huawei),
            (json!({ "Vendor": "xFusion" }), none(), None, Maker::Huawei),
            (json!({ "Vendor": "AMI", "RedfishVersion": "1.8.0" }), none(), None, Maker::Ami),
            (json!({ "Vendor": "AMI", "RedfishVersion": "1.11.0" }), none(), None, Maker::AmiViking),
            (json!({ "Oem": { "Ami": { "RtpVersion": "13.09.1" } } }), none(), None, Maker::AmiGb300),
            (json!({ "Vendor": "NVIDIA" }), none(), None, Maker::Nvidia),
            (json!({ "Vendor": "Contoso" }), none(), Some("Amico"), Maker::Unknown),
            (json!({ "Vendor": ["Dell"], "Oem": 7 }), none(), None, Maker::Unknown),
        ] {
            assert_eq!(maker(root.clone(), manager, manufacturer), want, "{root}");
        }
    }

    #[test]
    fn a_fujitsu_supply_is_found_by_its_whole_name() {
        let power: Power = read(&json!({ "Oem": { "ts_fujitsu": { "ChassisPowerSensors": [
            { "EntityId": "Power Supply", "Designation": "PSU10 Power", "CurrentPowerConsumptionW": 10 },
            { "EntityId": "System Board", "Designation": "PSU1 Power", "CurrentPowerConsumptionW": 5 },
            { "EntityId": "Power Supply", "Designation": "PSU1 Power", "CurrentPowerConsumptionW": 120 }] } } }));
        let supply = |name: Value| read::<OldSupply>(&json!({ "Name": name }));
        assert_eq!(Maker::Irmc.supply_elsewhere(&supply(json!("PSU1")), &power), Some(120.0));
        assert_eq!(Maker::Irmc.supply_elsewhere(&supply(json!("PSU2")), &power), None);
        assert_eq!(Maker::Irmc.supply_elsewhere(&supply(Value::Null), &power), None);
        assert_eq!(Maker::Unknown.supply_elsewhere(&supply(json!("PSU1")), &power), None);
    }

    #[test]
    fn only_the_makers_that_need_it_are_treated_apart() {
        let system: System = read(&json!({ "SKU": "7XK2Q13", "SerialNumber": "CNIVC0091500" }));
        assert_eq!(Maker::Idrac.serial(&system).map(String::as_str), Some("7XK2Q13"));
        assert_eq!(Maker::Xcc.serial(&system).map(String::as_str), Some("CNIVC0091500"));
        let power: Power = read(&json!({ "PowerConsumedWatts": 590 }));
        assert_eq!(
            (Maker::Ilo4.total_elsewhere(&power), Maker::Ilo5.total_elsewhere(&power)),
            (Some(590.0), None)
        );
        assert!(
            Maker::AmiViking.is_no_system("HGX_FabricManager_0") && !Maker::Nvidia.is_no_system("System_0")
        );
        assert!(Maker::AmiGb300.expand_drops_properties() && !Maker::Idrac.expand_drops_properties());
    }
}
