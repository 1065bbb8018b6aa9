//! What is read on several machines, value by value.

use wattribute::model::ErrorKind;

use crate::{Host, lines, tree};

const RAPL: &str = "devices/virtual/powercap/intel-rapl";

#[tokio::test]
async fn two_sockets_show_packages_memory_and_platform_once_each() {
    let mut host = Host::of("intel_2_sockets");
    let first = host.poll().await;
    let none = |channel: &str| format!("{channel} energy 0");
    let channels = ["package/0", "package/0/dram", "package/1", "package/1/dram", "psys"];
    assert_eq!(lines(&first), channels.map(none), "energy begins at its first sight, power needs two");
    let identity = first.identity.unwrap();
    assert_eq!((identity.vendor.as_str(), identity.model.as_str()), ("Example Systems", "Twin 2U"));
    assert_eq!(identity.firmware, "1.2.3");

    // Over two seconds. Package 0 wraps: 328,850 µJ to its range, one step of 61 µJ to 0, 99,671,089 µJ on: 100 J.
    host.set(&format!("{RAPL}/intel-rapl:0/energy_uj"), "99671089");
    host.set(&format!("{RAPL}/intel-rapl:1/energy_uj"), "245000000"); // 240 J
    host.set(&format!("{RAPL}/intel-rapl:0/intel-rapl:0:0/energy_uj"), "21000000"); // 20 J
    host.set(&format!("{RAPL}/intel-rapl:2/energy_uj"), "500000000"); // 500 J; the second memory rests
    let second = host.poll_after(2).await.unwrap();
    assert_eq!(
        lines(&second),
        [
            "package/0 energy 100",
            "package/0 power 50",
            "package/0/dram energy 20",
            "package/0/dram power 10",
            "package/1 energy 240",
            "package/1 power 120",
            "package/1/dram energy 0",
            "package/1/dram power 0",
            "psys energy 500",
            "psys power 250",
        ]
    );
    assert!(second.identity.is_none(), "who it is was said");
    assert!(second.earlier.is_empty(), "the first power speaks of a time that the counter alone knows");
    let third = host.poll_after(1).await.unwrap();
    let earlier = &third.earlier[0];
    assert_eq!((earlier.readings.len(), earlier.at.nanos()), (5, 3_001_000_000));
}

#[tokio::test]
async fn an_amd_server_shows_dies_counters_and_the_graphics_card() {
    let mut host = Host::of("amd_server");
    assert_eq!(
        lines(&host.poll().await),
        [
            "amd_energy@amd_energy.0/energy1 energy 0",
            "amd_energy@amd_energy.0/energy2 energy 0",
            "amdgpu@0000:03:00.0/in0 voltage 0.881",
            "amdgpu@0000:03:00.0/power1 power 31",
            "amdgpu@0000:03:00.0/temp1 temperature 47.5",
            "package/0/die/0 energy 0",
            "package/0/die/0/core energy 0",
            "package/0/die/1 energy 0",
        ]
    );
    host.set("class/hwmon/hwmon2/energy2_input", "9007199404740993"); // 150 J above 2^53
    host.set("class/hwmon/hwmon10/power1_average", "");
    let second = host.poll_after(1).await.unwrap();
    let said = lines(&second);
    assert!(said.contains(&"amd_energy@amd_energy.0/energy2 power 150".to_owned()), "{said:?}");
    assert!(
        said.contains(&"amdgpu@0000:03:00.0/power1 power 35".to_owned()),
        "the mean has no value: {said:?}"
    );
}

#[tokio::test]
async fn names_of_channels_are_those_that_the_kernel_has() {
    let batch = Host::of("amd_server").poll().await;
    let name = |channel: &str| {
        let info = batch.channels.iter().find(|info| info.channel.as_str() == channel);
        info.map(|info| info.name.clone()).unwrap_or_default()
    };
    assert_eq!(name("amdgpu@0000:03:00.0/power1"), "PPT");
    assert_eq!(name("amd_energy@amd_energy.0/energy2"), "Esocket0");
    assert_eq!(name("package/0/die/0/core"), "core");
}

#[tokio::test]
async fn a_laptop_shows_what_its_battery_gives_and_nothing_of_mice() {
    let mut host = Host::of("laptop");
    let batch = host.poll().await;
    let said: Vec<_> = lines(&batch).into_iter().filter(|line| !line.starts_with("package/")).collect();
    assert_eq!(
        said,
        [
            "battery/BAT0 current 0.75",
            "battery/BAT0 power 9", // 12 V × 0.75 A
            "battery/BAT0 voltage 12",
            "battery/BAT1 voltage 11.5", // it is charged: what flows is not drawn
            "~usb/ucsi-source-psy-USBC000:001 current 3.25",
            "~usb/ucsi-source-psy-USBC000:001 voltage 20",
        ]
    );
    let name = batch.channels.iter().find(|info| info.channel.as_str() == "battery/BAT0");
    assert_eq!(name.unwrap().name, "ACME 45N1");

    host.set("class/power_supply/BAT0/status", "Full");
    host.set("class/power_supply/BAT1/status", "Discharging");
    host.set("class/power_supply/ucsi-source-psy-USBC000:001/online", "0");
    let said: Vec<_> = lines(&host.poll_after(1).await.unwrap());
    let said: Vec<_> =
        said.into_iter().filter(|line| line.contains("power 4") || line.contains("usb")).collect();
    assert_eq!(said, ["battery/BAT1 power 4.5"]);
}

#[tokio::test]
async fn an_acpi_meter_and_a_supply_show_their_points_with_accuracy_and_without_a_broken_sensor() {
    let batch = Host::of("acpi_meter").poll().await;
    assert_eq!(
        lines(&batch),
        [
            "dps1600@1-0058/in current 1.01",
            "dps1600@1-0058/in power 226",
            "dps1600@1-0058/in voltage 230.25",
            "dps1600@1-0058/out1 power 205.5",
            "dps1600@1-0058/out1 voltage 12.11",
            "dps1600@1-0058/temp1 temperature 41.25",
            "power_meter@ACPI000D:00/power1 power 231.5",
        ]
    );
    let meter = batch.channels.iter().find(|info| info.channel.as_str().starts_with("power_meter")).unwrap();
    assert_eq!(meter.name, "Chassis input");
    // 98.5 % accurate: 1.5 % may be wrong.
    assert_eq!(meter.accuracy.unwrap().share.get(), 0.015);
}

#[test]
fn the_best_feed_of_a_host_is_its_meter_then_its_platform_then_its_parts() {
    let channels = |name: &str| {
        let root = tree(name);
        let feed = wattribute::drivers::sysfs::feed(root.path())?;
        Some(feed.channels.iter().map(ToString::to_string).collect::<Vec<_>>())
    };
    assert_eq!(channels("acpi_meter").unwrap(), ["power_meter@ACPI000D:00/power1"]);
    assert_eq!(channels("intel_2_sockets").unwrap(), ["psys"]);
    assert_eq!(channels("amd_server").unwrap(), ["package/0/die/0", "package/0/die/1"]);
    assert_eq!(channels("laptop").unwrap(), ["package/0"]);
    assert!(wattribute::drivers::sysfs::feed(std::path::Path::new("/no/such/folder")).is_none());
}

#[tokio::test]
async fn hostile_files_are_no_readings_and_the_others_go_on() {
    let mut host = Host::of("acpi_meter");
    host.set("class/hwmon/hwmon3/power1_input", &"9".repeat(100_000));
    host.set("class/hwmon/hwmon3/power2_input", "-5000000");
    host.set("class/hwmon/hwmon3/in1_input", "\u{1b}[31mno");
    host.set("class/hwmon/hwmon3/in2_label", &"x".repeat(5000));
    let said = lines(&host.poll().await);
    assert_eq!(said.iter().filter(|line| line.starts_with("dps1600") && line.contains(" power")).count(), 0);
    assert!(said.contains(&"power_meter@ACPI000D:00/power1 power 231.5".to_owned()), "{said:?}");
    assert!(said.iter().all(|line| line.len() < 200 && !line.contains('\u{1b}')), "{said:?}");
}

#[tokio::test]
async fn a_sensor_that_vanishes_is_no_reading_and_found_again_when_it_returns() {
    let mut host = Host::of("amd_server");
    host.poll().await;
    let (here, away) = (host.path("class/hwmon/hwmon10"), host.path("class/hwmon/away"));
    std::fs::rename(&here, &away).unwrap();
    let has = |said: &[String]| said.iter().any(|line| line.starts_with("amdgpu"));
    assert!(!has(&lines(&host.poll_after(1).await.unwrap())));
    std::fs::rename(&away, host.path("class/hwmon/hwmon11")).unwrap();
    assert!(has(&lines(&host.poll_after(1).await.unwrap())), "what was gone is looked for at the next poll");
}

#[tokio::test]
async fn a_sensor_that_is_plugged_in_later_is_found_within_five_minutes() {
    let mut host = Host::of("laptop");
    host.poll().await;
    std::fs::create_dir_all(host.path("class/hwmon/hwmon9")).unwrap();
    host.set("class/hwmon/hwmon9/name", "corsairpsu");
    host.set("class/hwmon/hwmon9/power1_input", "75000000");
    assert!(!lines(&host.poll_after(200).await.unwrap()).contains(&"corsairpsu/power1 power 75".to_owned()));
    assert!(lines(&host.poll_after(100).await.unwrap()).contains(&"corsairpsu/power1 power 75".to_owned()));
}

#[tokio::test]
async fn a_machine_without_sensors_says_so_and_what_to_do() {
    let mut host = Host::of("laptop");
    std::fs::remove_dir_all(host.path("class")).unwrap();
    let error = host.poll_after(1).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::NoReading);
    assert!(error.cause.contains("no power sensor under /"), "{error}");
    assert!(error.fix.contains("virtual machines") && error.fix.contains("`root`"), "{error}");
}
