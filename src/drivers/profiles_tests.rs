//! Claims about profiles of whatever protocol.

use super::*;

const METER: &str = "protocol: snmp\nname: own\nabout: a meter\nmatch: {sys_object_ids: [1.3.6.1.4.1.318.1.3.4]}\nchannels:\n\
                     - {channel: input, values: [{quantity: power, scalar: 1.3.6.1.9.0}]}\n";

#[test]
fn a_value_of_the_wrong_kind_is_shown_with_its_place() {
    for (right, wrong, said) in [
        ("0}]}", "0, scale: ten}]}", "where `ten` stands"),
        ("values: [", "values: [3, ", "where `3` stands"),
        ("about: a meter", "about: [a]", "where `[a` stands"),
    ] {
        let error = snmp::Profile::parse(&METER.replace(right, wrong)).unwrap_err();
        assert!(error.ends_with(said) && error.contains(" at line "), "{error}");
    }
}

#[test]
fn what_a_mistake_quotes_breaks_no_line() {
    let file = METER.replace("quantity: power", "quantity: \"po\\nwer\"");
    for error in
        [snmp::Profile::parse(&file), snmp::Profile::parse(&file.replace("name: own", "name: \"a\\nb\""))]
    {
        let error = error.unwrap_err();
        assert!(!error.contains(char::is_control), "{error:?}");
    }
    let name = "\"a\\u0085b\"";
    let modbus = format!(
        "protocol: modbus\nname: {name}\nabout: a\nchannels: [{{channel: {name}, values: [{{quantity: {name}, register: 0}}]}}]\n"
    );
    let error = modbus::Profile::parse(&modbus).unwrap_err();
    assert!(!error.contains(char::is_control), "{error:?}");
}

#[test]
fn every_profile_in_the_binary_can_be_used() {
    let profiles = Profiles::built_in();
    assert_eq!(profiles.refused(), []);
    let files = [snmp::BUILT_IN.len(), modbus::BUILT_IN.len(), http::BUILT_IN.len()];
    let used = [profiles.snmp.iter().count(), profiles.modbus.iter().count(), profiles.http.iter().count()];
    assert_eq!(files, used);
    // A file is found by the name that messages say.
    for (file, text) in snmp::BUILT_IN.iter().chain(modbus::BUILT_IN).chain(http::BUILT_IN) {
        let head: Head = parse(text).unwrap();
        assert_eq!(head.name.map(|name| name + ".yaml").as_deref(), Some(*file));
    }
}

#[test]
fn an_operators_profile_takes_the_place_of_one_in_the_binary() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("snmp")).unwrap();
    std::fs::write(dir.path().join("snmp/mine.yml"), METER.replace("own", "ups-mib")).unwrap();
    std::fs::write(dir.path().join("notes.txt"), "not a profile").unwrap();
    let profiles = Profiles::load(Some(dir.path()));
    assert_eq!(profiles.refused(), []);
    assert_eq!(profiles.snmp.named("ups-mib").unwrap().about, "a meter");
    assert_eq!(profiles.snmp.iter().next().unwrap().name, "ups-mib");
    assert!(profiles.snmp.chosen("eaton-epdu").is_ok());
}

#[test]
fn a_broken_profile_is_left_out_and_nothing_else_reads_by_its_name() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("a.yaml"), METER).unwrap();
    std::fs::write(dir.path().join("b.yaml"), METER.replace("own", "ups-mib").replace("power", "watts"))
        .unwrap();
    std::fs::write(dir.path().join("c.yaml"), "name: x\n").unwrap();
    std::fs::write(dir.path().join("d.yaml"), "protocol: ftp\n").unwrap();
    let profiles = Profiles::load(Some(dir.path()));
    let said: Vec<String> = profiles.refused().iter().map(ToString::to_string).collect();
    assert_eq!(said.len(), 3, "{said:?}");
    assert!(
        said[0].contains("b.yaml: channels entry 1 (input), value 1 (watts): is not a quantity"),
        "{said:?}"
    );
    assert!(said[1].ends_with("c.yaml: `protocol` is missing; write snmp, modbus or http"), "{said:?}");
    assert!(said[2].contains("d.yaml: protocol: \"ftp\" has no profiles"), "{said:?}");
    assert!(profiles.snmp.chosen("own").is_ok());
    assert!(profiles.snmp.chosen("ups-mib").unwrap_err().cause.contains("b.yaml"));
    let none = Profiles::load(Some(&dir.path().join("none")));
    assert!(none.refused()[0].problem.starts_with("cannot be read"));
}

#[test]
fn a_file_that_is_no_yaml_still_takes_the_place_of_what_it_was_to_replace() {
    let mut profiles = Profiles::built_in();
    let broken = METER.replace("own", "\"ups-mib\" # mine") + "  - [\n";
    assert!(profiles.add("some/file.yaml", &broken).is_err());
    assert!(profiles.snmp.chosen("ups-mib").unwrap_err().cause.contains("some/file.yaml"));
    assert!(profiles.add("some/eastron-sdm630.yaml", "channels: [").is_err());
    assert!(profiles.modbus.chosen("eastron-sdm630").is_err());
    assert!(profiles.snmp.chosen("eaton-epdu").is_ok());
}

#[test]
fn two_files_of_one_name_are_a_mistake_and_neither_is_used() {
    let mut profiles = Profiles::built_in();
    profiles.add("a.yaml", METER).unwrap();
    let error = profiles.add("b.yaml", METER).unwrap_err().to_string();
    assert_eq!(error, "b.yaml: another file of this folder has the name own too");
    assert!(profiles.snmp.chosen("own").is_err());
    assert!(profiles.add("third.yaml", METER).is_err(), "nor is a third");
    assert!(profiles.snmp.chosen("own").is_err());
    profiles.add("c.yaml", &METER.replace("own", "other")).unwrap();
    assert_eq!(profiles.snmp.iter().next().unwrap().name, "other");
}

#[test]
fn every_profile_in_the_binary_fits_the_json_schema_and_a_wrong_one_does_not() {
    let schema: serde_json::Value = serde_json::from_str(&json_schema()).unwrap();
    jsonschema::meta::validate(&schema).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let value = |text: &str| serde_saphyr::from_str::<serde_json::Value>(text).unwrap();
    for (file, text) in snmp::BUILT_IN.iter().chain(modbus::BUILT_IN).chain(http::BUILT_IN) {
        let wrong: Vec<String> = validator.iter_errors(&value(text)).map(|e| e.to_string()).collect();
        assert!(wrong.is_empty(), "{file}: {wrong:?}");
    }
    assert!(validator.is_valid(&value(METER)));
    for wrong in [
        METER.replace("snmp", "modbus"),
        METER.replace("channels", "canals"),
        METER.replace("power", "watts"),
        METER.replace("protocol: snmp\n", ""),
    ] {
        assert!(!validator.is_valid(&value(&wrong)), "{wrong}");
    }
}
