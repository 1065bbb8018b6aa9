//! What stands in the racks and goes wrong there: adapters that are unplugged, taken, or set to another rate, a reader program that
//! is missing, a meter behind a closed port, a profile with a mistake. Each is told with its fix, and all other meters go on.

use rustix::fs::{FlockOperation, flock};
use serde_json::Value;

use crate::process::{Exporter, free_address};
use crate::rig;

/// A profile whose value is of no quantity.
const BROKEN: &str = "protocol: snmp\nname: own-pdu\nabout: a PDU\nmatch: {sys_object_ids: [1.3.6.1.4.1.99999]}\nchannels:\n  - channel: input\n    values: [{quantity: watts, scalar: 1.3.6.1.4.1.99999.1.0}]\n";

#[tokio::test(flavor = "multi_thread")]
async fn each_meter_of_the_room_that_fails_says_why_and_what_to_do_and_all_others_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let (good, garbage, taken) =
        (rig::on_a_pty("wattsup", &[]), rig::on_a_pty("garbage", &[]), rig::on_a_pty("wattsup", &[]));
    let port = |peer: &rig::Peer| peer.dir.path().join("tty").display().to_string();
    let lock = std::fs::File::options().read(true).write(true).open(port(&taken)).unwrap();
    flock(&lock, FlockOperation::NonBlockingLockExclusive).unwrap();
    let closed = free_address();
    std::fs::create_dir(dir.path().join("profiles")).unwrap();
    std::fs::write(dir.path().join("profiles/own.yaml"), BROKEN).unwrap();
    std::fs::write(dir.path().join("community"), "public").unwrap();
    let program = "import time, sys\nwhile True:\n    print('watts=42.5', flush=True)\n    time.sleep(0.2)";
    let config = dir.path().join("wattribute.yaml");
    let text = format!(
        "poll: {{interval: 1s}}\nmeters:\n\
         \x20 - {{name: line-good, interval: 3s, timeout: 3s, serial: {{port: '{}', protocol: wattsup}}}}\n\
         \x20 - {{name: reader-good, command: {{run: [python3, -c, {program:?}], format: key_value, readings: [{{from: watts, channel: input, quantity: power}}]}}}}\n\
         \x20 - {{name: unplugged, serial: {{port: '{}', protocol: dsmr}}}}\n\
         \x20 - {{name: wrong-rate, serial: {{port: '{}', protocol: dsmr}}}}\n\
         \x20 - {{name: taken, serial: {{port: '{}', protocol: wattsup}}}}\n\
         \x20 - {{name: closed, modbus: {{tcp: '{closed}', profile: eastron-sdm630}}}}\n\
         \x20 - {{name: no-reader, command: {{run: [no-such-reader], format: csv, readings: [{{from: '1', channel: input, quantity: power}}]}}}}\n\
         \x20 - {{name: broken-profile, snmp: {{address: '{closed}', community_file: community, profile: own-pdu}}}}\n",
        port(&good),
        dir.path().join("by-id/usb-FTDI-port0").display(),
        port(&garbage),
        port(&taken),
    );
    std::fs::write(&config, text).unwrap();
    let profiles = dir.path().join("profiles").display().to_string();
    let arguments = ["--log.format=json", "--profiles.dir", &profiles];
    let mut exporter = Exporter::start_with(&config, "127.0.0.1:0", &arguments).await;

    let bad = [
        ("unplugged", "unreachable", "there is no device", "plug the adapter in"),
        ("wrong-rate", "protocol", "bytes came over", "check rate and parity"),
        ("taken", "busy", "in use by", "stop the other program"),
        ("closed", "unreachable", "refuse", "502"),
        ("no-reader", "unreachable", "no-such-reader", "install"),
        (
            "broken-profile",
            "no_reading",
            "own.yaml: channels entry 1 (input), value 1 (watts)",
            "correct the file",
        ),
    ];
    let page = exporter
        .until("the good ones go on, and each failure is counted", |page| {
            let good = ["line-good", "reader-good"];
            let up = |name: &str| {
                page.find("wattribute_meter_up", &[("meter", name)]).is_some_and(|s| s.value == "1")
            };
            let counted = |result: &str| {
                let polls = page.of("wattribute_polls_total").filter(|s| s.label("result") == result);
                polls.map(|s| s.number()).sum::<f64>() > 0.0
            };
            good.into_iter().all(up) && bad.iter().all(|(_, result, ..)| counted(result))
        })
        .await;
    let power = page.find("wattribute_meter_power_watts", &[("meter", "reader-good"), ("channel", "input")]);
    assert_eq!(power.map(|s| s.number()), Some(42.5));

    let said = |log: &str| -> Vec<String> {
        let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.filter_map(|line| Some(line["message"].as_str()?.to_owned())).collect()
    };
    let all_said = exporter.program.until("every failure is said", async |program| {
        let said = said(&program.output());
        bad.iter().all(|(name, ..)| said.iter().any(|m| m.starts_with(&format!("{name} (")))).then_some(said)
    });
    let log = all_said.await;
    let mut wrong = Vec::new();
    for (name, _, cause, fix) in bad {
        let line = log.iter().find(|message| message.starts_with(&format!("{name} ("))).unwrap();
        println!("{line}");
        let (told, todo) = line.split_once("; ").unwrap_or((line, ""));
        if !(told.contains("wattribute.yaml:") && told.contains(cause) && todo.contains(fix)) {
            wrong.push(format!("{line}: not {cause:?} and {fix:?}"));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    assert!(log.iter().any(|m| m.starts_with("profile left out: ") && m.contains("own.yaml")), "{log:#?}");
    assert!(exporter.program.terminate().await.0.success());
    drop(lock);
}
