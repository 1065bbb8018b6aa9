//! The resources of one simulated BMC as JSON, from a reading and a path. Pure; HTTP and sessions are in `mod.rs`.

use serde_json::{Value, json};

use super::super::endpoint::rounded;
use super::super::world::{Host, Side};

/// Which generation of the power model a BMC speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// `Power` with one entry in `PowerControl`, as older firmware has it.
    Legacy,
    /// `Power` whose `PowerControl` lists the chassis and, again, parts of it.
    LegacyParts,
    /// `EnvironmentMetrics` and `PowerSubsystem` with metrics of each supply.
    Modern,
}

/// What the BMC's sensors show at one moment.
#[derive(Debug, Clone, Copy)]
pub struct Sensors {
    /// Draw of the A and B side's supplies, W.
    pub supplies_watts: [f64; 2],
    /// Energy since the BMC was installed, J.
    pub lifetime_joules: f64,
    /// Draw of the CPUs, W: a part of the whole.
    pub cpu_watts: f64,
}

impl Sensors {
    fn total_watts(&self) -> f64 {
        self.supplies_watts.iter().sum()
    }

    fn supply_watts(&self, side: Side) -> f64 {
        let [a, b] = self.supplies_watts;
        match side {
            Side::A => a,
            Side::B => b,
        }
    }
}

/// Rated power of each of the two supplies, W.
const SUPPLY_WATTS: i32 = 800;

/// The resource at `path` (without a slash at its end); none if there is no such resource.
pub fn resource(host: &Host, style: Style, sensors: &Sensors, path: &str) -> Option<Value> {
    let path = path.strip_prefix("/redfish/v1").unwrap_or(path);
    match (path, style) {
        ("", _) => Some(root(host)),
        ("/SessionService", _) => Some(session_service()),
        ("/Chassis", _) => Some(collection("Chassis", "/redfish/v1/Chassis", &["/redfish/v1/Chassis/1"])),
        ("/Systems", _) => {
            Some(collection("ComputerSystem", "/redfish/v1/Systems", &["/redfish/v1/Systems/1"]))
        }
        ("/Chassis/1", _) => Some(chassis(host, style)),
        ("/Systems/1", _) => Some(system(host)),
        ("/Chassis/1/Power", Style::Legacy | Style::LegacyParts) => Some(power(style, sensors)),
        ("/Chassis/1/EnvironmentMetrics", Style::Modern) => Some(environment(host, sensors)),
        ("/Chassis/1/PowerSubsystem", Style::Modern) => Some(power_subsystem()),
        (_, Style::Modern) => {
            supplies(path.strip_prefix("/Chassis/1/PowerSubsystem/PowerSupplies")?, sensors)
        }
        (_, Style::Legacy | Style::LegacyParts) => None,
    }
}

fn root(host: &Host) -> Value {
    json!({
        "@odata.type": "#ServiceRoot.v1_16_0.ServiceRoot",
        "@odata.id": "/redfish/v1/",
        "Id": "RootService",
        "Name": "Root Service",
        "RedfishVersion": "1.15.0",
        "UUID": format!("00000000-0000-4000-8000-{:012}", host.outlet),
        "Vendor": "Contoso",
        "Product": "Simulated BMC",
        "ProtocolFeaturesSupported": {
            "ExpandQuery": { "ExpandAll": false, "Levels": false, "Links": false, "NoLinks": false },
            "SelectQuery": false, "FilterQuery": false, "OnlyMemberQuery": false, "ExcerptQuery": false
        },
        "Chassis": { "@odata.id": "/redfish/v1/Chassis" },
        "Systems": { "@odata.id": "/redfish/v1/Systems" },
        "SessionService": { "@odata.id": "/redfish/v1/SessionService" },
        "Links": { "Sessions": { "@odata.id": "/redfish/v1/SessionService/Sessions" } }
    })
}

fn session_service() -> Value {
    json!({
        "@odata.type": "#SessionService.v1_1_8.SessionService",
        "@odata.id": "/redfish/v1/SessionService",
        "Id": "SessionService",
        "Name": "Session Service",
        "ServiceEnabled": true,
        "SessionTimeout": 1800,
        "Sessions": { "@odata.id": "/redfish/v1/SessionService/Sessions" }
    })
}

/// A collection of `kind` at `at` with the members' paths.
pub fn collection(kind: &str, at: &str, members: &[&str]) -> Value {
    let listed: Vec<Value> = members.iter().map(|m| json!({ "@odata.id": m })).collect();
    json!({
        "@odata.type": format!("#{kind}Collection.{kind}Collection"),
        "@odata.id": at,
        "Name": format!("{kind} Collection"),
        "Members@odata.count": listed.len(),
        "Members": listed
    })
}

fn chassis(host: &Host, style: Style) -> Value {
    let mut chassis = json!({
        "@odata.type": "#Chassis.v1_23_0.Chassis",
        "@odata.id": "/redfish/v1/Chassis/1",
        "Id": "1",
        "Name": "Computer System Chassis",
        "ChassisType": "RackMount",
        "Manufacturer": "Contoso",
        "Model": "S2U-32",
        "SerialNumber": format!("SIM{:04}", host.outlet),
        "AssetTag": null,
        "PowerState": "On",
        "Location": { "Placement": { "Rack": host.rack, "RackOffset": host.outlet } },
        "Status": { "State": "Enabled", "Health": "OK" },
        "Links": { "ComputerSystems": [{ "@odata.id": "/redfish/v1/Systems/1" }] }
    });
    let links: &[&str] = match style {
        Style::Legacy | Style::LegacyParts => &["Power"],
        Style::Modern => &["EnvironmentMetrics", "PowerSubsystem"],
    };
    if let Some(object) = chassis.as_object_mut() {
        for link in links {
            object
                .insert((*link).to_owned(), json!({ "@odata.id": format!("/redfish/v1/Chassis/1/{link}") }));
        }
    }
    chassis
}

fn system(host: &Host) -> Value {
    json!({
        "@odata.type": "#ComputerSystem.v1_20_0.ComputerSystem",
        "@odata.id": "/redfish/v1/Systems/1",
        "Id": "1",
        "Name": "System",
        "SystemType": "Physical",
        "HostName": host.name,
        "Manufacturer": "Contoso",
        "Model": "S2U-32",
        "SerialNumber": format!("SIM{:04}", host.outlet),
        "BiosVersion": "1.4.2",
        "PowerState": "On",
        "ProcessorSummary": { "Count": 2, "LogicalProcessorCount": host.cpus, "CoreCount": host.cpus / 2 },
        "MemorySummary": { "TotalSystemMemoryGiB": host.memory_mib / 1024 },
        "Status": { "State": "Enabled", "Health": "OK" },
        "Links": { "Chassis": [{ "@odata.id": "/redfish/v1/Chassis/1" }] }
    })
}

/// The legacy model: whole watts. The second supply does not tell its line voltage.
fn power(style: Style, sensors: &Sensors) -> Value {
    let total = rounded(sensors.total_watts());
    let mut control = vec![control(0, "System Power Control", "Chassis", total)];
    match style {
        Style::Legacy | Style::Modern => {}
        Style::LegacyParts => {
            let cpu = rounded(sensors.cpu_watts);
            control.push(self::control(1, "CPU Sub-system Power", "CPU", cpu));
            control.push(self::control(2, "Memory Sub-system Power", "Memory", total / 8));
        }
    }
    let supplies: Vec<Value> = Side::ALL
        .iter()
        .zip(0..)
        .map(|(side, n)| {
            let input = rounded(sensors.supply_watts(*side));
            json!({
                "@odata.id": format!("/redfish/v1/Chassis/1/Power#/PowerSupplies/{n}"),
                "MemberId": n.to_string(),
                "Name": format!("PSU{} Status", n + 1),
                "PowerSupplyType": "AC",
                "LineInputVoltage": if n == 0 { json!(230) } else { Value::Null },
                "PowerCapacityWatts": SUPPLY_WATTS,
                "PowerInputWatts": input,
                "PowerOutputWatts": input * 94 / 100,
                "Status": { "State": "Enabled", "Health": "OK" }
            })
        })
        .collect();
    json!({
        "@odata.type": "#Power.v1_5_1.Power",
        "@odata.id": "/redfish/v1/Chassis/1/Power",
        "Id": "Power",
        "Name": "Power",
        "PowerControl": control,
        "PowerSupplies": supplies,
        "Voltages": [{ "MemberId": "0", "Name": "CPU1 VCORE PG", "ReadingVolts": null,
            "Status": { "State": "Enabled", "Health": null } }]
    })
}

fn control(n: i32, name: &str, context: &str, watts: i32) -> Value {
    json!({
        "@odata.id": format!("/redfish/v1/Chassis/1/Power#/PowerControl/{n}"),
        "MemberId": n.to_string(),
        "Name": name,
        "PhysicalContext": context,
        "PowerConsumedWatts": watts,
        "PowerCapacityWatts": if n == 0 { json!(2 * SUPPLY_WATTS) } else { Value::Null },
        "PowerLimit": { "LimitInWatts": null, "LimitException": null },
        "PowerMetrics": { "IntervalInMin": 1, "AverageConsumedWatts": watts,
            "MinConsumedWatts": watts * 9 / 10, "MaxConsumedWatts": watts * 11 / 10 },
        "Status": { "State": "Enabled", "Health": "OK" }
    })
}

/// The current model: tenths of watts, energy in steps of 0.001 kWh; every third BMC knows no energy.
fn environment(host: &Host, sensors: &Sensors) -> Value {
    let energy = match host.outlet % 3 {
        0 => Value::Null,
        _ => {
            json!({ "Reading": null, "LifetimeReading": thousandths(sensors.lifetime_joules / 3_600_000.0) })
        }
    };
    json!({
        "@odata.type": "#EnvironmentMetrics.v1_3_1.EnvironmentMetrics",
        "@odata.id": "/redfish/v1/Chassis/1/EnvironmentMetrics",
        "Id": "EnvironmentMetrics",
        "Name": "Chassis Environment Metrics",
        "PowerWatts": { "Reading": tenths(sensors.total_watts()) },
        "EnergykWh": energy,
        "PowerLimitWatts": { "SetPoint": null, "ControlMode": "Disabled" },
        "TemperatureCelsius": { "Reading": tenths(22.0 + sensors.cpu_watts / 40.0) }
    })
}

fn power_subsystem() -> Value {
    json!({
        "@odata.type": "#PowerSubsystem.v1_1_1.PowerSubsystem",
        "@odata.id": "/redfish/v1/Chassis/1/PowerSubsystem",
        "Id": "PowerSubsystem",
        "Name": "Power Subsystem for Chassis",
        "CapacityWatts": 2 * SUPPLY_WATTS,
        "PowerSupplies": { "@odata.id": "/redfish/v1/Chassis/1/PowerSubsystem/PowerSupplies" },
        "Status": { "State": "Enabled", "Health": "OK" }
    })
}

/// What lies below `.../PowerSupplies`: the collection, two bays and their metrics.
fn supplies(below: &str, sensors: &Sensors) -> Option<Value> {
    const AT: &str = "/redfish/v1/Chassis/1/PowerSubsystem/PowerSupplies";
    let (bay, side, metrics) = match below {
        "" => {
            return Some(collection("PowerSupply", AT, &[&format!("{AT}/Bay1"), &format!("{AT}/Bay2")]));
        }
        "/Bay1" => ("Bay1", Side::A, false),
        "/Bay2" => ("Bay2", Side::B, false),
        "/Bay1/Metrics" => ("Bay1", Side::A, true),
        "/Bay2/Metrics" => ("Bay2", Side::B, true),
        _ => return None,
    };
    let watts = sensors.supply_watts(side);
    Some(if metrics {
        json!({
            "@odata.type": "#PowerSupplyMetrics.v1_1_1.PowerSupplyMetrics",
            "@odata.id": format!("{AT}/{bay}/Metrics"),
            "Id": "Metrics",
            "Name": format!("Metrics for {bay}"),
            "InputPowerWatts": { "Reading": tenths(watts) },
            "OutputPowerWatts": { "Reading": tenths(watts * 0.94) },
            "InputVoltage": { "Reading": 230.4 },
            "InputCurrentAmps": { "Reading": thousandths(watts / 230.4 / 0.97) },
            "FrequencyHz": { "Reading": null }
        })
    } else {
        json!({
            "@odata.type": "#PowerSupply.v1_5_1.PowerSupply",
            "@odata.id": format!("{AT}/{bay}"),
            "Id": bay,
            "Name": format!("Power Supply {bay}"),
            "PowerCapacityWatts": SUPPLY_WATTS,
            "Metrics": { "@odata.id": format!("{AT}/{bay}/Metrics") },
            "Status": { "State": "Enabled", "Health": "OK" }
        })
    })
}

fn tenths(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

fn thousandths(value: f64) -> f64 {
    (value * 1000.0).floor() / 1000.0
}
