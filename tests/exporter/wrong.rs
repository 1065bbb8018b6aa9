//! Everything that a configuration cannot tell is wrong, at once: each is said with device, address, cause and fix; the
//! good devices go on, and no secret gets out.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::Value;
use tokio::net::TcpListener;

use crate::nginx::{Nginx, PASSWORD, USER, certificate};
use crate::process::{Exporter, free_address, get, in_repository};
use crate::snmp::{Peer, snmpd};

const AUTH: &str = "right-authentication";
const PRIVACY: &str = "right-privacy-word";
const COMMUNITY: &str = "right-community";
const WRONG_PASSWORD: &str = "wrong-bmc-password";
const WRONG_AUTH: &str = "wrong-authentication";
const SECRETS: [&str; 6] = [PASSWORD, AUTH, PRIVACY, COMMUNITY, WRONG_PASSWORD, WRONG_AUTH];

/// A PDU of one outlet.
fn pdu() -> Peer {
    let mut conf = format!(
        "sysobjectid 1.3.6.1.4.1.318.1.3.4.6\nrocommunity {COMMUNITY}\n\
         createUser monitor SHA {AUTH} AES {PRIVACY}\nrouser monitor priv\n"
    );
    for (oid, value) in
        [("4.3.1.2.1", 1), ("4.3.1.5.1", 114), ("9.4.3.1.2.1", 1), ("9.4.3.1.4.1", 1), ("9.4.3.1.7.1", 107)]
    {
        writeln!(conf, "override 1.3.6.1.4.1.318.1.1.26.{oid} integer {value}").unwrap();
    }
    snmpd(&conf)
}

/// A device: its name, its address as the exporter shows it, which poll result counts it, and what is said of it.
struct Bad {
    name: &'static str,
    address: String,
    driver: &'static str,
    result: &'static str,
    cause: &'static str,
    fix: &'static str,
}

/// The bad devices, and their configuration with that of two good ones.
fn devices(dir: &Path, bmc: &Nginx, pdu: &str, silent: &str) -> (Vec<Bad>, String) {
    let secret = |name: &str, text: &str| std::fs::write(dir.join(name), text).unwrap();
    for (name, text) in [
        ("bmc", PASSWORD),
        ("bmc.wrong", WRONG_PASSWORD),
        ("community", COMMUNITY),
        ("auth", AUTH),
        ("auth.wrong", WRONG_AUTH),
        ("privacy", PRIVACY),
    ] {
        secret(name, text);
    }
    secret("ca.pem", &bmc.certificate.pem);
    secret("other-ca.pem", &certificate().pem);
    let (url, closed) = (bmc.url.as_str(), free_address());
    let print = |digest: &[u8; 32]| hex::encode_upper(digest);
    let right = print(&bmc.certificate.fingerprint);
    let wrong = print(&[0xAB; 32]);
    let mut meters = format!(
        "  - name: bmc-good\n    redfish: {{url: '{url}', username: {USER}, password_file: bmc, fingerprint: 'sha256:{right}'}}\n\
         \x20 - name: pdu-good\n    snmp: {{address: '{pdu}', version: 3, user: monitor, \
         auth: {{protocol: sha, password_file: auth}}, privacy: {{protocol: aes128, password_file: privacy}}}}\n"
    );
    let mut bad = Vec::new();
    let mut add = |name, driver, address: &str, keys: String, (result, cause, fix)| {
        let place = if driver == "redfish" { "url" } else { "address" };
        writeln!(meters, "  - name: {name}\n    {driver}: {{{place}: '{address}', {keys}}}").unwrap();
        bad.push(Bad { name, address: address.to_owned(), driver, result, cause, fix });
    };
    let redfish =
        |password: &str, trust: &str| format!("username: {USER}, password_file: {password}, {trust}");
    let good_ca = || redfish("bmc", "ca_file: ca.pem");
    add("bmc-ca", "redfish", url, redfish("bmc", "ca_file: other-ca.pem"), ("tls", "certificate", "ca_file"));
    add(
        "bmc-fingerprint",
        "redfish",
        url,
        redfish("bmc", &format!("fingerprint: 'sha256:{wrong}'")),
        ("tls", "fingerprint", "fingerprint"),
    );
    add(
        "bmc-password",
        "redfish",
        url,
        redfish("bmc.wrong", "ca_file: ca.pem, login: basic"),
        ("auth", USER, "password"),
    );
    add(
        "bmc-closed",
        "redfish",
        &format!("https://{closed}"),
        good_ca(),
        ("unreachable", "refused", "address"),
    );
    add(
        "bmc-silent",
        "redfish",
        &format!("https://{silent}"),
        // Well before the poll's own deadline, whose message is another.
        format!("{}, timeout: 500ms", good_ca()),
        ("timeout", "no complete answer", "check the network"),
    );
    let v3 = |password: &str| {
        format!(
            "version: 3, user: monitor, timeout: 400ms, auth: {{protocol: sha, password_file: {password}}}, privacy: {{protocol: aes128, password_file: privacy}}"
        )
    };
    add("pdu-password", "snmp", pdu, v3("auth.wrong"), ("auth", "refused the authentication", "password"));
    add(
        "pdu-closed",
        "snmp",
        &closed.to_string(),
        "community_file: community, timeout: 200ms, retries: 0".into(),
        ("timeout", "no answer", "check"),
    );
    add(
        "pdu-profile",
        "snmp",
        pdu,
        "community_file: community, profile: no-such".into(),
        ("no_reading", "there is no profile \"no-such\"", "wattribute profile list"),
    );
    (bad, meters)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_wrong_device_is_told_with_cause_and_fix_the_good_ones_go_on_and_no_secret_gets_out() {
    let dir = tempfile::tempdir().unwrap();
    let (bmc, pdu) = (Nginx::serve(&in_repository("tests/redfish/server")), pdu());
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (bad, meters) = devices(dir.path(), &bmc, &pdu.address, &silent.local_addr().unwrap().to_string());
    let config = dir.path().join("wattribute.yaml");
    let hosts = "hosts:\n  - {name: good, feeds: [[bmc-good/input]]}\n  - {name: lost, feeds: [[pdu-good/outlet/99]]}\n";
    std::fs::write(&config, format!("poll: {{interval: 1s}}\nmeters:\n{meters}{hosts}")).unwrap();
    let arguments = ["--log.format=json", "--log.level=debug"];
    let mut exporter = Exporter::start_with(&config, "127.0.0.1:0", &arguments).await;

    // Each failure is counted by its kind, in as many polls at least as there are devices with it.
    exporter
        .until("every failure is counted", |page| {
            bad.iter().all(|of| {
                let labels = [("driver", of.driver), ("result", of.result)];
                let devices = bad.iter().filter(|b| (b.driver, b.result) == (of.driver, of.result)).count();
                page.find("wattribute_polls_total", &labels).is_some_and(|s| s.number() >= devices as f64)
            })
        })
        .await;
    let page = exporter
        .until("the good ones go on", |page| {
            page.find("wattribute_host_energy_joules_total", &[("host", "good")])
                .is_some_and(|s| s.microjoules() > 400_000_000)
        })
        .await;
    for meter in page.of("wattribute_meter_up") {
        let good = meter.label("meter").ends_with("-good");
        assert_eq!(meter.value, if good { "1" } else { "0" }, "{meter:?}");
    }
    let lost = exporter.program.until("the lost feed is said", async |p| {
        messages(&p.output()).into_iter().find(|m| m.contains("outlet/99"))
    });
    let lost = lost.await;
    assert!(
        lost.contains("wattribute.yaml:")
            && lost.contains("pdu-good")
            && lost.contains("input")
            && lost.contains("outlet/1"),
        "{lost}"
    );

    let landing = unescaped(get(exporter.address, "/", "").await.text());
    let log = messages(&exporter.program.output());
    let text = std::fs::read_to_string(&config).unwrap();
    let line = |of: &str| text.lines().position(|line| line.contains(of)).unwrap() + 1;
    for device in &bad {
        let Bad { name, address, driver, cause, fix, .. } = device;
        let said = log.iter().find(|m| m.starts_with(&format!("{name} ({driver} {address}, ")));
        let said = said.unwrap_or_else(|| panic!("nothing about {name} in {log:#?}"));
        println!("{said}");
        let (who, error) = said.split_once("): ").unwrap();
        assert!(who.ends_with(&format!("wattribute.yaml:{}", line(&format!("- name: {name}")))), "{said}");
        let (told, todo) = error.split_once("; ").unwrap_or_else(|| panic!("no fix in {said}"));
        assert!(told.contains(cause), "{said}: no {cause:?}");
        assert!(todo.contains(fix), "{said}: no {fix:?} in the fix");
        let row = landing.lines().find(|line| line.contains(&format!("<td>{name}</td>")));
        let row = row.unwrap_or_else(|| panic!("no {name} in {landing}"));
        assert!(row.contains(address.as_str()) && row.contains("down"), "{row}");
        assert!(row.contains(error), "{row} does not say {error}");
    }
    let mut all = String::new();
    for path in ["/", "/metrics", "/-/ready", "/-/healthy", "/no-such-page"] {
        all += get(exporter.address, path, "").await.text();
    }
    assert!(exporter.program.terminate().await.0.success());
    all += &exporter.program.output();
    for secret in SECRETS {
        assert!(!all.contains(secret), "{secret} got out");
    }
    drop(silent);
}

/// What the log's lines say.
fn messages(log: &str) -> Vec<String> {
    log.lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter_map(|line| Some(line["message"].as_str()?.to_owned()))
        .collect()
}

fn unescaped(html: &str) -> String {
    let mut text = html.to_owned();
    for (entity, character) in
        [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&amp;", "&")]
    {
        text = text.replace(entity, character);
    }
    text
}
