//! Good configurations, defaults, includes, secrets, the JSON Schema, and hostile text. Bad files: `tests/config_errors`.
//! Long, since all are read by the same few lines.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use proptest::prelude::*;
use secrecy::ExposeSecret;
use tempfile::TempDir;

use super::*;
use crate::model::ProjectId;

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn no_env(_: &str) -> Option<String> {
    None
}

/// `BMC_PASSWORD` is there.
fn env(name: &str) -> Option<String> {
    (name == "BMC_PASSWORD").then(|| "from the environment".to_owned())
}

/// A folder with the file `main.yaml`.
fn folder(main: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("main.yaml"), main).unwrap();
    folder
}

fn load_text(main: &str) -> Config {
    let folder = folder(main);
    load(&folder.path().join("main.yaml"), &env).unwrap_or_else(|errors| panic!("{errors}"))
}

/// Writes what `key_file: /etc/wattribute/NAME` lines of `text` name, under `folder`; returns the text that says so.
fn with_files(text: &str, folder: &Path) -> String {
    let certificate = rcgen::generate_simple_self_signed(vec!["bmc".to_owned()]).unwrap();
    for line in text.lines() {
        let Some((key, path)) = line.split_once("_file: /etc/wattribute/") else { continue };
        let content = match key.trim_start_matches(['#', ' ', '{']).rsplit(' ').next().unwrap() {
            "ca" | "cert" => certificate.cert.pem(),
            "key" => certificate.signing_key.serialize_pem(),
            _ => "s3cret\n".to_owned(),
        };
        let file = folder.join(path.split([',', '}', ' ']).next().unwrap());
        fs::write(&file, content).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    }
    text.replace("/etc/wattribute", &folder.display().to_string())
}

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The `yaml` blocks of the pages on configuration, but those of Prometheus.
fn examples() -> Vec<String> {
    let page = |path| fs::read_to_string(repository(path)).unwrap();
    let pages = page("docs/configuration.md") + &page("docs/probe.md") + &page("docs/workloads/inside.md");
    let blocks = pages.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap().to_owned());
    blocks.filter(|block| !block.starts_with("scrape_configs")).collect()
}

fn schema() -> serde_json::Value {
    serde_json::from_str(&json_schema()).unwrap()
}

fn schema_accepts(text: &str) -> Result<(), String> {
    let value: serde_json::Value = serde_saphyr::from_str(text).unwrap();
    let validator = jsonschema::validator_for(&schema()).unwrap();
    let errors: Vec<_> =
        validator.iter_errors(&value).map(|e| format!("{}: {e}", e.instance_path())).collect();
    if errors.is_empty() { Ok(()) } else { Err(errors.join("\n")) }
}

#[test]
fn every_example_in_the_docs_loads_and_fits_the_schema() {
    let examples = examples();
    assert!(examples.len() >= 5, "{}", examples.len());
    for text in examples {
        let folder = tempfile::tempdir().unwrap();
        let text = with_files(&text, folder.path());
        fs::create_dir(folder.path().join("meters.d")).unwrap();
        fs::write(folder.path().join("main.yaml"), &text).unwrap();
        load(&folder.path().join("main.yaml"), &env).unwrap_or_else(|errors| panic!("{text}\n{errors}"));
        schema_accepts(&text).unwrap_or_else(|errors| panic!("{text}\n{errors}"));
    }
}

#[test]
fn the_example_to_deploy_loads_without_a_warning_and_fits_the_schema() {
    let folder = tempfile::tempdir().unwrap();
    let text = with_files(&fs::read_to_string(repository("deploy/wattribute.yaml")).unwrap(), folder.path());
    fs::create_dir(folder.path().join("meters.d")).unwrap();
    fs::write(folder.path().join("meters.d/rack-2.yaml"), "meters: []\n").unwrap();
    fs::write(folder.path().join("wattribute.yaml"), &text).unwrap();
    let config = load(&folder.path().join("wattribute.yaml"), &no_env).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(config.warnings, []);
    assert!(config.meters.len() >= 4 && config.hosts.len() >= 3);
    schema_accepts(&text).unwrap();
}

#[test]
fn the_schema_refuses_what_the_program_refuses() {
    let meter = "meters: [{name: a, snmp: {address: h, community_env: C}, redfish: {url: 'https://h'}}]";
    for bad in [
        meter,
        "meters: [{name: a}]",
        "meterz: []",
        "hosts: [{name: a, feeds: []}]",
        "hosts: [{name: a, feeds: [{rated: 500 kWh}]}]",
        "hosts: [{name: a, feeds: [pdu-a]}]",
        "poll: {interval: 10}",
        "meters: [{name: a, snmp: {address: h, community_env: C, retries: 99}}]",
        "meters: [{name: a, snmp: {address: h, version: 4}}]",
        "probe: {modules: []}",
        "probe: {modules: [{name: a, snmp: {address: h, community_env: C}}]}",
        "probe: {modules: [{name: a, redfish: {url: 'https://h'}}]}",
    ] {
        assert!(schema_accepts(bad).is_err(), "{bad}");
    }
}

#[test]
fn every_key_of_the_schema_is_explained_in_it_and_named_in_the_docs() {
    let page = fs::read_to_string(repository("docs/configuration.md")).unwrap();
    let mut undocumented = Vec::new();
    properties(&schema(), &mut |key, about| {
        if about.get("description").is_none() && about.get("$ref").is_none() {
            undocumented.push(format!("{key} has no doc comment"));
        }
        if !page.contains(&format!("`{key}`")) {
            undocumented.push(format!("{key} is not in docs/configuration.md"));
        }
    });
    assert!(undocumented.is_empty(), "{}", undocumented.join("\n"));
}

/// Visits every property that a schema defines.
fn properties(schema: &serde_json::Value, visit: &mut dyn FnMut(&str, &serde_json::Value)) {
    if let Some(map) = schema.get("properties").and_then(serde_json::Value::as_object) {
        map.iter().for_each(|(key, about)| visit(key, about));
    }
    match schema {
        serde_json::Value::Object(map) => map.values().for_each(|inner| properties(inner, visit)),
        serde_json::Value::Array(list) => list.iter().for_each(|inner| properties(inner, visit)),
        _ => {}
    }
}

#[test]
fn the_smallest_meter_gets_every_default() {
    let config = load_text("meters: [{name: pdu-a, snmp: {address: 10.0.0.9, community_env: BMC_PASSWORD}}]");
    let meter = &config.meters[0];
    assert_eq!(meter.datacenter.as_str(), "default");
    let poll =
        Poll { interval: seconds(10), timeout: seconds(5), stale_after: seconds(30), max_gap: seconds(30) };
    assert_eq!(meter.poll, poll);
    let Device::Snmp(snmp) = &meter.device else { panic!("{meter:?}") };
    assert_eq!((snmp.address.as_str(), snmp.retries, snmp.max_oids), ("10.0.0.9:161", 2, 48));
    assert_eq!(snmp.request_timeout, seconds(1));
    assert!(
        matches!(&snmp.auth, SnmpAuth::V2c(secret) if secret.origin == Origin::Env("BMC_PASSWORD".into()))
    );
    assert_eq!(config.datacenters.len(), 1);
}

#[test]
fn the_smallest_host_gets_every_default() {
    let host = load_text(
        "hosts: [{name: a, feeds: [{rated: 1.2 kW, power_factor: 0.5}], hypervisor: {libvirt: {}}}]",
    );
    let host = &host.hosts[0];
    assert_eq!(host.component, Component::Compute);
    assert_eq!(host.idle, Idle::Learned);
    assert_eq!((host.overcommit.cpu.get(), host.overcommit.memory.get()), (1.0, 1.0));
    assert!(matches!(host.feeds[..], [Feed::Rated(power)] if power.get() == 600.0));
    let Some(Hypervisor::Libvirt(libvirt)) = host.hypervisor.clone() else { panic!("{host:?}") };
    assert_eq!(libvirt.uri, "qemu:///system");
    assert_eq!(libvirt.address, LibvirtAddress::Unix("/run/libvirt/libvirt-sock-ro".into()));
    assert_eq!((libvirt.interval, libvirt.call_timeout), (seconds(10), seconds(2)));
}

#[test]
fn a_fast_meter_cuts_default_deadlines_and_keeps_its_own() {
    let config = load_text(
        "poll: {interval: 20s, timeout: 8s}\n\
         meters:\n\
         - {name: fast, interval: 500ms, redfish: {url: 'https://h'}}\n\
         - {name: own, interval: 4s, timeout: 1s, stale_after: 1m, redfish: {url: 'https://[2001:db8::1]:8443/'}}\n\
         - {name: usual, redfish: {url: 'https://h', login: basic}}\n",
    );
    let [fast, own, usual] = &config.meters[..] else { panic!() };
    assert_eq!(fast.poll.timeout, Duration::from_millis(500));
    assert_eq!(fast.poll.stale_after, Duration::from_millis(1500));
    assert_eq!(
        (own.poll.timeout, own.poll.stale_after, own.poll.max_gap),
        (seconds(1), seconds(60), seconds(12))
    );
    assert_eq!((usual.poll.timeout, usual.poll.stale_after), (seconds(8), seconds(60)));
    let Device::Redfish(redfish) = &own.device else { panic!() };
    assert_eq!((redfish.url.as_str(), redfish.request_timeout), ("https://[2001:db8::1]:8443", seconds(1)));
    assert!(redfish.credentials.is_none() && redfish.trust == Trust::WebPki);
}

#[test]
fn feeds_keep_their_order_and_their_sums() {
    let config = load_text(
        "meters:\n\
         - {name: pdu-a, snmp: {address: h, community_env: BMC_PASSWORD}}\n\
         - {name: bmc, redfish: {url: 'https://h'}}\n\
         hosts:\n\
         - {name: a, feeds: [[pdu-a/outlet/1, pdu-a/outlet/2], bmc/input, {rated: 500 W, power_factor: 1}], idle_power: 120 W}\n",
    );
    let names = |feed: &Feed| match feed {
        Feed::Measured(channels) => channels.iter().map(ToString::to_string).collect::<Vec<_>>().join("+"),
        Feed::Rated(power) => power.to_string(),
        Feed::Modelled(model) => format!("{model:?}"),
    };
    let feeds: Vec<_> = config.hosts[0].feeds.iter().map(names).collect();
    assert_eq!(feeds, ["pdu-a/outlet/1+pdu-a/outlet/2", "bmc/input", "500 W"]);
}

#[test]
fn a_data_centre_keeps_factors_prices_and_points() {
    let config = load_text(
        "datacenters:\n\
         - name: dc1\n  emission_factors: [{basis: location, value: 0.38 kg/kWh, tier: national}]\n  \
         price: {value: 0.3, currency: EUR}\n  facility: {it: [m/a, m/b], utility: m/main}\n\
         meters: [{name: m, snmp: {address: h, community_env: BMC_PASSWORD}}]\n",
    );
    let datacenter = &config.datacenters[0];
    assert_eq!(datacenter.emission_factors[0].value.get(), 380.0);
    assert_eq!(datacenter.price.as_ref().unwrap().currency, "EUR");
    let points: Vec<_> = datacenter.facility.iter().map(|(point, of)| (point.name(), of.len())).collect();
    assert_eq!(points, [("utility", 1), ("it", 2)]);
    assert_eq!(config.meters[0].datacenter.as_str(), "dc1");
}

#[test]
fn a_project_id_of_digits_stays_as_it_is_written() {
    let config = load_text(
        "tenants: [{project_id: 0012e5}, {project_id: 12e5, name: web, domains: ['web-*']}, \
         {project_id: 99999999999999999999999999999999}]\nmeters: []",
    );
    let ids: Vec<_> = config
        .tenants
        .iter()
        .filter_map(|tenant| tenant.project_id.as_ref())
        .map(ProjectId::as_str)
        .collect();
    assert_eq!(ids, ["0012e5", "12e5", "99999999999999999999999999999999"]);
    assert_eq!(config.tenants[1].domains, [glob::Pattern::new("web-*").unwrap()]);
}

#[test]
fn anchors_and_merge_keys_work() {
    let config = load_text(
        "meters:\n\
         - {name: a, snmp: &snmp {address: h, community_env: BMC_PASSWORD, retries: 4}}\n\
         - {name: b, snmp: {<<: *snmp, address: i}}\n",
    );
    let Device::Snmp(snmp) = &config.meters[1].device else { panic!() };
    assert_eq!((snmp.address.as_str(), snmp.retries), ("i:161", 4));
}

#[test]
fn includes_come_in_the_order_of_their_names_and_refer_across_files() {
    let folder = folder(
        "include: ['meters.d/*.yaml', hosts.yaml]\n\
         meters: [{name: first, snmp: {address: h, community_env: BMC_PASSWORD}}]\n",
    );
    let at = |name: &str| folder.path().join(name);
    fs::create_dir(at("meters.d")).unwrap();
    let meter = |name: &str| format!("meters: [{{name: {name}, snmp: {{address: h, community_file: c}}}}]\n");
    fs::write(at("meters.d/20.yaml"), meter("third")).unwrap();
    fs::write(at("meters.d/10.yaml"), meter("second")).unwrap();
    fs::write(at("meters.d/c"), "next to the file that names it").unwrap();
    fs::write(at("hosts.yaml"), "hosts: [{name: a, feeds: [third/outlet/1]}]\n").unwrap();
    let config = load(&at("main.yaml"), &env).unwrap();
    let names: Vec<_> = config.meters.iter().map(|meter| meter.id.as_str()).collect();
    assert_eq!(names, ["first", "second", "third"]);
    assert_eq!(config.hosts.len(), 1);
}

#[test]
fn an_include_without_files_is_a_warning() {
    let config = load_text("include: ['none.d/*.yaml']\nmeters: []\n");
    assert!(config.warnings[0].to_string().contains("`include` matches no file"), "{:?}", config.warnings);
}

#[test]
fn secrets_come_from_files_and_the_environment_and_never_print() {
    let folder = folder(
        "meters:\n\
         - {name: a, redfish: {url: 'https://h', username: u, password_file: pw}}\n\
         - {name: b, redfish: {url: 'https://h', username: u, password_env: BMC_PASSWORD}}\n",
    );
    let file = folder.path().join("pw");
    fs::write(&file, "  from the file \r\n\n").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let config = load(&folder.path().join("main.yaml"), &env).unwrap();
    let secrets = config.meters.iter().map(|meter| match &meter.device {
        Device::Redfish(redfish) => redfish.credentials.as_ref().unwrap().1.value.expose_secret().to_owned(),
        _ => panic!("{meter:?}"),
    });
    let secrets: Vec<_> = secrets.collect();
    assert_eq!(secrets, ["  from the file ", "from the environment"]);
    let printed = format!("{config:?} {config:#?}");
    assert!(!printed.contains("from the"), "{printed}");
    assert_eq!(config.warnings, []);
}

#[test]
fn ipmi_asks_for_the_least_and_allows_the_best_only_unless_told_otherwise() {
    let folder = folder(
        "meters:\n\
         - {name: a, ipmi: {address: h, username: u, password_file: pw}}\n\
         - {name: b, ipmi: {address: h2, username: u, password_file: pw, privilege: operator,\n\
            user_lookup: name_and_privilege, allow_ipmi_1_5: [md5, password]}}\n",
    );
    let file = folder.path().join("pw");
    fs::write(&file, "sixteen-bytes-xx").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let config = load(&folder.path().join("main.yaml"), &env).unwrap();
    let asked = config.meters.iter().map(|meter| match &meter.device {
        Device::Ipmi(ipmi) => (ipmi.privilege, ipmi.user_lookup, ipmi.allow_ipmi_1_5.clone()),
        _ => panic!("{meter:?}"),
    });
    let told = vec![IpmiLegacy::Md5, IpmiLegacy::Password];
    let wanted = [
        (Privilege::Auto, UserLookup::Name, Vec::new()),
        (Privilege::Operator, UserLookup::NameAndPrivilege, told),
    ];
    assert_eq!(asked.collect::<Vec<_>>(), wanted);
}

#[test]
fn a_secret_that_everyone_may_read_is_a_warning() {
    let folder = folder("meters: [{name: a, snmp: {address: h, community_file: pw}}]\n");
    let file = folder.path().join("pw");
    fs::write(&file, "secret").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let config = load(&folder.path().join("main.yaml"), &env).unwrap();
    let warning = config.warnings[0].to_string();
    assert!(warning.contains("main.yaml:1:55: meter a: `community_file`: everyone"), "{warning}");
    assert!(warning.contains("chmod o-r"), "{warning}");
}

#[test]
fn a_file_that_is_not_there_is_an_error_without_a_line() {
    let errors = load(Path::new("/nowhere/wattribute.yaml"), &no_env).unwrap_err();
    let said = errors.to_string();
    assert_eq!(
        said,
        "/nowhere/wattribute.yaml: the file cannot be read (no such file or directory); \
         check the path and who may read it"
    );
}

#[test]
fn ten_thousand_meters_fit() {
    let mut text = String::from("meters:\n");
    for n in 0..10_000 {
        text.push_str(&format!(
            "  - name: pdu-{n}\n    interval: 5s\n    snmp:\n      address: 10.0.0.9\n      version: 3\n      user: u\n      \
             auth: {{protocol: sha256, password_env: BMC_PASSWORD}}\n      \
             privacy: {{protocol: aes128, password_env: BMC_PASSWORD}}\n      timeout: 1s\n",
        ));
    }
    assert_eq!(load_text(&text).meters.len(), 10_000);
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in "\\PC{0,200}|([a-z]{1,5}: ?|- |\\[|\\{|\\]|\\}|,|\n|  |&a |\\*a|!x |'|\"|[0-9]){0,60}") {
        let folder = folder(&text);
        let _ = load(&folder.path().join("main.yaml"), &no_env);
    }

    #[test]
    fn no_value_makes_the_checks_panic(value in "\\PC{0,40}") {
        let value = serde_json::Value::String(value);
        let folder = folder(&format!(
            "poll: {{interval: {value}}}\nmeters: [{{name: {value}, snmp: {{address: {value}}}}},\
             {{name: b, redfish: {{url: {value}, fingerprint: {value}}}}}]\n\
             hosts: [{{name: h, feeds: [{value}, {{rated: {value}}}], idle_power: {value}}}]\n\
             tenants: [{{project_id: {value}, domains: [{value}]}}, {{pattern: {value}, label: {{key: {value}}}}}]\n"
        ));
        let _ = load(&folder.path().join("main.yaml"), &no_env);
    }
}

#[test]
fn a_module_is_a_meter_without_its_address() {
    let text = "probe:\n  targets: [10.0.0.0/24]\n  modules:\n\
                \x20 - {name: bmc, ipmi: {username: u, password_env: BMC_PASSWORD, readings: dcmi}}\n\
                \x20 - {name: web, timeout: 2s, targets: [any], redfish: {}}\n";
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("main.yaml"), text).unwrap();
    let probe = load(&folder.path().join("main.yaml"), &env).unwrap().probe.unwrap();
    assert_eq!((probe.concurrency, probe.modules.len()), (100, 2));
    let [bmc, web] = probe.modules.as_slice() else { panic!() };
    assert!(matches!(&bmc.device, Device::Ipmi(i) if i.readings == IpmiReadings::Dcmi));
    // The default of a request is cut to the module's deadline, as a meter's is to its own.
    assert!(matches!(&web.device, Device::Redfish(r) if r.request_timeout == web.timeout));
    let targets = |module: &Module| module.targets.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!((targets(bmc), targets(web)), (vec!["10.0.0.0/24".to_owned()], vec!["any".to_owned()]));
    schema_accepts(text).unwrap();
}
