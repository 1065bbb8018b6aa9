//! The files of `deploy/` that nothing else holds: a whole building's configuration, and what systemd reads.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn deploy(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(name)
}

#[test]
fn the_whole_building_is_a_good_configuration() {
    let file = deploy("facility.yaml");
    let mut check = Command::new(env!("CARGO_BIN_EXE_wattribute"));
    let output =
        check.arg("check").arg(&file).env("WATTRIBUTE_COMMUNITY", "secret-community").output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && err.is_empty(), "{out}{err}");
    assert_eq!(out, format!("{}: good: 13 meters, 1 hosts\n", file.display()));
}

/// What the example is for: each point of a building that there is.
#[test]
fn the_whole_building_has_every_point() {
    let text = fs::read_to_string(deploy("facility.yaml")).unwrap();
    let config: serde_json::Value = serde_saphyr::from_str(&text).unwrap();
    let facility = config["datacenters"][0]["facility"].as_object().unwrap();
    let schema = Command::new(env!("CARGO_BIN_EXE_wattribute")).arg("schema").output().unwrap().stdout;
    let schema: serde_json::Value = serde_json::from_slice(&schema).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    assert!(validator.is_valid(&config), "{:?}", validator.iter_errors(&config).next());
    let known = &schema["$defs"]["Facility"]["properties"];
    for point in known.as_object().expect("the points of the schema").keys() {
        assert!(facility.contains_key(point), "{point}");
    }
}

#[test]
fn systemd_understands_the_unit_with_and_without_serial_ports() {
    for drop_in in [None, Some("wattribute-serial.conf")] {
        let dir = tempfile::tempdir().unwrap();
        let unit = fs::read_to_string(deploy("wattribute.service")).unwrap();
        // The program must be there, and is not installed here.
        let program = env!("CARGO_BIN_EXE_wattribute");
        let unit = unit.replace("/usr/local/bin/wattribute", program);
        assert!(unit.contains(program));
        let path = dir.path().join("wattribute.service");
        fs::write(&path, unit).unwrap();
        if let Some(name) = drop_in {
            let folder = dir.path().join("wattribute.service.d");
            fs::create_dir(&folder).unwrap();
            fs::copy(deploy(name), folder.join("serial.conf")).unwrap();
        }
        let output = Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&path).output();
        let output = output.unwrap_or_else(|e| {
            panic!("cannot run systemd-analyze ({e}): it is in the Debian package systemd, which `make test` installs")
        });
        let said = String::from_utf8_lossy(&output.stderr);
        // Units of the machine itself may have faults of their own.
        let ours: Vec<_> = said.lines().filter(|line| line.contains("wattribute")).collect();
        assert!(output.status.success() && ours.is_empty(), "{drop_in:?}: {said}");
    }
}
