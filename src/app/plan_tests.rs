//! From a small file to its plan.

use std::fs;
use std::time::Duration;

use super::*;
use crate::inventory::Feed;
use crate::model::Ratio;
use crate::model::Watts;

const FILE: &str = r#"
poll: {interval: 10s, timeout: 4s, stale_after: 25s, max_gap: 40s}
datacenters:
  - {name: dc1, facility: {utility: [main/input, main/unit/2/input]}, price: {value: 0.24, currency: EUR}}
  - {name: dc2}
meters:
  - name: bmc
    datacenter: dc1
    redfish: {url: "https://10.0.0.1", username: root, password_env: SECRET, login: basic, timeout: 2s}
  - name: pdu
    datacenter: dc1
    interval: 5s
    snmp:
      address: 10.0.0.2
      version: 3
      user: monitor
      auth: {protocol: sha256, password_env: SECRET}
      privacy: {protocol: aes192, password_env: SECRET}
      profile: apc-rpdu2
      max_oids: 7
  - {name: main, datacenter: dc1, snmp: {address: 10.0.0.3, community_env: SECRET}}
hosts:
  - {name: bare, datacenter: dc2, feeds: [{rated: 500 W, power_factor: 0.5}]}
  - name: node
    datacenter: dc1
    feeds: [[pdu/outlet/1, pdu/outlet/2], bmc/input]
    idle_power: 120 W
    overcommit: {cpu: 4.0}
    hypervisor: {libvirt: {tcp: node, interval: 2s, timeout: 1s}}
  - {name: even, datacenter: dc1, idle_power: none, feeds: [bmc/psu/1]}
tenants: [{project_id: p1, name: atlas, domains: ["infra-*"]}]
"#;

const SECRET: &str = "hunter2-hunter2";

fn planned() -> Plan {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("main.yaml");
    fs::write(&file, FILE).unwrap();
    let config = config::load(&file, &|name| (name == "SECRET").then(|| SECRET.to_owned()));
    plan(&config.unwrap_or_else(|errors| panic!("{errors}")))
}

fn channel(meter: &str, channel: &str) -> (MeterId, ChannelId) {
    (MeterId::new(meter).unwrap(), ChannelId::new(channel).unwrap())
}

#[test]
fn meters_get_their_own_times_or_the_common_ones() {
    let plan = planned();
    let times = |n: usize| {
        let MeterPlan { settings, timing, .. } = &plan.meters[n];
        [timing.interval, timing.deadline, settings.stale_after, settings.max_gap].map(|t| t.as_secs())
    };
    assert_eq!(times(0), [10, 4, 25, 40]);
    assert_eq!(times(1)[..2], [5, 4]);
    let addresses: Vec<_> =
        plan.meters.iter().map(|m| (m.settings.driver, m.settings.address.as_str())).collect();
    assert_eq!(
        addresses,
        [("redfish", "https://10.0.0.1"), ("snmp", "10.0.0.2:161"), ("snmp", "10.0.0.3:161")]
    );
    assert!(plan.meters[1].defined.ends_with("main.yaml:10"), "{}", plan.meters[1].defined);
}

#[test]
fn drivers_get_what_the_file_says() {
    let plan = planned();
    let DriverPlan::Redfish(bmc) = &plan.meters[0].driver else { panic!("{:?}", plan.meters[0]) };
    assert!(matches!((&bmc.login, &bmc.trust), (redfish::Login::Basic, redfish::Trust::WebPki)), "{bmc:?}");
    assert_eq!(bmc.credentials.as_ref().unwrap().0, "root");
    assert_eq!(bmc.request_timeout, Duration::from_secs(2));
    let DriverPlan::Snmp(pdu) = &plan.meters[1].driver else { panic!("{:?}", plan.meters[1]) };
    assert_eq!((pdu.profile.as_deref(), pdu.max_oids), (Some("apc-rpdu2"), 7));
    let snmp::Auth::V3 { user, auth: Some((auth, _)), privacy: Some((privacy, _)), .. } = &pdu.auth else {
        panic!("{pdu:?}")
    };
    assert_eq!(user, "monitor");
    assert!(
        matches!((auth, privacy), (snmp::AuthProtocol::Sha256, snmp::PrivacyProtocol::Aes192)),
        "{pdu:?}"
    );
    let DriverPlan::Snmp(main) = &plan.meters[2].driver else { panic!("{:?}", plan.meters[2]) };
    assert!(matches!(main.auth, snmp::Auth::V2c(_)), "{main:?}");
}

#[test]
fn hosts_keep_their_feeds_in_order_and_find_their_hypervisor() {
    let plan = planned();
    let [bare, node, even] = plan.inventory.hosts.as_slice() else { panic!("{:?}", plan.inventory) };
    // Half of 500 W.
    assert!(
        matches!(bare.feeds.as_slice(), [Feed::Rated(w)] if *w == Watts::new(250.0).unwrap()),
        "{bare:?}"
    );
    let [Feed::Channels(outlets), Feed::Channels(bmc)] = node.feeds.as_slice() else { panic!("{node:?}") };
    assert_eq!(outlets, &[channel("pdu", "outlet/1"), channel("pdu", "outlet/2")]);
    assert_eq!(bmc, &[channel("bmc", "input")]);
    assert!(matches!(bare.idle, Idle::Learned) && matches!(even.idle, Idle::None));
    assert!(matches!(node.idle, Idle::Fixed(w) if w == Watts::new(120.0).unwrap()), "{node:?}");
    assert_eq!((node.cpu_overcommit.get(), node.memory_overcommit), (4.0, Ratio::ONE));

    assert_eq!(plan.host_sources, [None, Some(SourceIndex(0)), None]);
    let [source] = plan.sources.as_slice() else { panic!("{:?}", plan.sources) };
    assert_eq!((source.settings.host.as_str(), source.settings.address.as_str()), ("node", "node:16509"));
    assert_eq!(source.timing.interval, Duration::from_secs(2));
    let Reached::Libvirt(libvirt) = &source.reached else { panic!("{source:?}") };
    assert!(source.timing.deadline >= libvirt.call_timeout, "a call ends before the sample does");
}

#[test]
fn buildings_and_tenants_are_as_written() {
    let plan = planned();
    let [point] = plan.inventory.facility.as_slice() else { panic!("{:?}", plan.inventory) };
    assert_eq!(point.channels, [channel("main", "input"), channel("main", "unit/2/input")]);
    let [price] = plan.inventory.prices.as_slice() else { panic!("{:?}", plan.inventory) };
    assert_eq!((price.datacenter.as_str(), price.per_kilowatt_hour), ("dc1", 0.24));
    let project = plan.inventory.tenants.owner("infra-dns", &[]).unwrap();
    assert_eq!(plan.inventory.tenants.name(&project), Some("atlas"));
    let place = &plan.named[&channel("pdu", "outlet/2")];
    assert!(place.ends_with("main.yaml:26"), "{place}");
}

#[test]
fn no_secret_is_shown_however_a_plan_is_printed() {
    let plan = planned();
    for text in [plan.to_string(), format!("{plan:?}"), format!("{plan:#?}")] {
        assert!(text.contains("10.0.0.2") && !text.contains("hunter2"), "{text}");
    }
}

#[test]
fn an_ipmi_session_is_kept_where_that_costs_the_bmc_less() {
    use config::KeepSession::{Always, Auto, Never};
    use ipmi::KeepSession::{ByKeepAlive, ByPolls, No};
    for (wanted, seconds, kept) in [
        (Auto, 1, ByPolls),
        (Auto, 45, ByPolls),
        (Auto, 46, ByKeepAlive),
        (Auto, 300, ByKeepAlive),
        (Auto, 301, No),
        (Always, 10, ByPolls),
        (Always, 3600, ByKeepAlive),
        (Never, 1, No),
    ] {
        assert_eq!(keep_session(wanted, Duration::from_secs(seconds)), kept, "{wanted:?} at {seconds} s");
    }
}
