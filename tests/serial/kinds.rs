//! Each kind of meter once, and its values beside those that others read of the same bytes.

use std::path::PathBuf;
use std::time::Duration;

use wattribute::drivers::serial::line::{Format, Line};
use wattribute::drivers::serial::{Asking, Measuring, PowerSign, Protocol, Settings};
use wattribute::model::{Batch, Quality, Quantity, Watts};

use super::rig::{self, lines, open, settings, value};

fn lmg(channels: &[u8]) -> Protocol {
    let quantities = vec![Quantity::Power, Quantity::Voltage, Quantity::PowerFactor];
    Protocol::Lmg450(Measuring { channels: channels.to_vec(), quantities, cycle: Duration::from_millis(100) })
}

#[tokio::test]
async fn a_watts_up_is_started_read_and_stopped() {
    let peer = rig::on_a_pty("wattsup", &["watts=DIR/watts", "log=DIR/log"]);
    peer.set_watts(123.4);
    let mut meter = open(settings(&peer.address, Protocol::WattsUp));
    let got = lines(&meter.poll().await.unwrap());
    assert_eq!((value(&got, "input power"), value(&got, "input voltage")), (123.4, 230.4));
    // 123.4 W at 230.4 V are 0.5356 A, which it counts in mA.
    assert_eq!(value(&got, "input current"), 0.536);
    meter.close().await;
    let stop = hex_of(b"#L,R,0;");
    let deadline = tokio::time::Instant::now() + Duration::from_secs(5);
    while !std::fs::read_to_string(peer.dir.path().join("log")).unwrap().trim().ends_with(&stop) {
        assert!(tokio::time::Instant::now() < deadline, "it was not told to stop");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_watts_up_says_its_class_once_and_an_lmg450_none() {
    let peer = rig::on_a_pty("wattsup", &["watts=DIR/watts"]);
    peer.set_watts(200.0);
    let mut meter = open(settings(&peer.address, Protocol::WattsUp));
    let first = meter.poll().await.unwrap();
    let [info] = first.channels.as_slice() else { panic!("{:?}", first.channels) };
    // 1.5 % of 200 W, and half a step of 0.1 W.
    let off = info.accuracy.unwrap().error_of(Watts::new(200.0).unwrap()).get();
    assert_eq!((info.channel.as_str(), (off * 1000.0).round()), ("input", 3050.0));
    assert_eq!(meter.poll().await.unwrap().channels, []);
    meter.close().await;

    let peer = rig::on_a_pty("lmg", &["watts=DIR/watts"]);
    peer.set_watts(200.0);
    let mut meter = open(settings(&peer.address, lmg(&[1])));
    assert_eq!(meter.poll().await.unwrap().channels, [], "its error depends on a range that it does not say");
    meter.close().await;
}

fn hex_of(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[tokio::test]
async fn an_lmg450_gives_the_channels_that_are_asked_for_and_goes_to_local() {
    let peer = rig::on_a_pty("lmg", &["watts=DIR/watts", "log=DIR/log"]);
    peer.set_watts(812.5);
    let mut meter = open(settings(&peer.address, lmg(&[1, 3])));
    let batch = meter.poll().await.unwrap();
    let want = [
        "channel/1 power 812.5",
        "channel/1 voltage 230.4",
        "channel/1 power_factor 0.98",
        "channel/3 power 812.5",
        "channel/3 voltage 230.4",
        "channel/3 power_factor 0.98",
    ];
    assert_eq!(lines(&batch), want);
    let who = batch.identity.unwrap();
    assert_eq!(
        (who.model.as_str(), who.serial.as_str(), who.firmware.as_str()),
        ("LMG450", "12345678", "3.110")
    );
    meter.close().await;
    let end = hex_of(b"CONT OFF\r\nGTL\r\n");
    let deadline = tokio::time::Instant::now() + Duration::from_secs(5);
    while !std::fs::read_to_string(peer.dir.path().join("log")).unwrap().replace('\n', "").ends_with(&end) {
        assert!(tokio::time::Instant::now() < deadline, "it was not given back");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_dsmr_telegram_has_the_values_that_dsmr_parser_reads() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("telegram");
    let telegram = "/ISK5\\2M550T-1012\r\n\r\n1-3:0.2.8(50)\r\n0-0:1.0.0(261122084000W)\r\n0-0:96.1.1(4530303434303037)\r\n\
        1-0:1.8.1(001581.123*kWh)\r\n1-0:1.8.2(001435.706*kWh)\r\n1-0:2.8.1(000012.250*kWh)\r\n1-0:2.8.2(000000.500*kWh)\r\n\
        0-0:96.14.0(0002)\r\n1-0:1.7.0(01.193*kW)\r\n1-0:2.7.0(00.000*kW)\r\n1-0:32.7.0(230.1*V)\r\n1-0:31.7.0(005*A)\r\n\
        1-0:21.7.0(01.193*kW)\r\n1-0:22.7.0(00.000*kW)\r\n!";
    let crc = telegram.bytes().fold(0u16, |crc, byte| {
        (0..8).fold(crc ^ u16::from(byte), |crc, _| if crc & 1 == 1 { (crc >> 1) ^ 0xa001 } else { crc >> 1 })
    });
    std::fs::write(&file, format!("{telegram}{crc:04X}\r\n")).unwrap();
    let file = file.display().to_string();
    let theirs = rig::oracle(&["dsmr", &file]);
    let peer = rig::on_a_pty("play", &[&format!("file={file}")]);
    let ours = lines(&open(settings(&peer.address, Protocol::Dsmr)).poll().await.unwrap());
    let their = |name: &str| value(&theirs, name);
    let near =
        |ours: f64, theirs: f64| assert!((ours - theirs).abs() <= theirs * 1e-12, "{ours} is not {theirs}");
    let imported = their("ELECTRICITY_USED_TARIFF_1") + their("ELECTRICITY_USED_TARIFF_2");
    let exported = their("ELECTRICITY_DELIVERED_TARIFF_1") + their("ELECTRICITY_DELIVERED_TARIFF_2");
    for (ours_of, theirs_of) in [
        ("input energy", imported),
        ("export energy", exported),
        ("input power", their("CURRENT_ELECTRICITY_USAGE")),
        ("export power", their("CURRENT_ELECTRICITY_DELIVERY")),
        ("phase/L1 voltage", their("INSTANTANEOUS_VOLTAGE_L1")),
        ("phase/L1 current", their("INSTANTANEOUS_CURRENT_L1")),
        ("phase/L1 power", their("INSTANTANEOUS_ACTIVE_POWER_L1_POSITIVE")),
    ] {
        near(value(&ours, ours_of), theirs_of);
    }
}

#[tokio::test]
async fn an_optical_meter_has_the_values_that_iec62056_21_reads() {
    let peer = rig::over_tcp("d0", &["watts=DIR/watts"]);
    peer.set_watts(812.25);
    let theirs = rig::oracle(&["d0", peer.tcp_port()]);
    let asking = Asking { address: String::new(), keep_baud: true };
    let mut meter = open(settings(&peer.address, Protocol::Iec62056(asking)));
    let batch = meter.poll().await.unwrap();
    let ours = lines(&batch);
    assert_eq!(value(&ours, "input power"), value(&theirs, "1-0:16.7.0*255"));
    assert_eq!(value(&ours, "input energy"), value(&theirs, "1-0:1.8.0*255"));
    assert_eq!(value(&ours, "phase/L1 voltage"), value(&theirs, "1-0:32.7.0*255"));
    assert_eq!(ours.len(), 3, "values of past periods are not counted: {ours:?}");
    let who = batch.identity.unwrap();
    assert_eq!(
        (who.vendor.as_str(), who.model.as_str(), who.serial.as_str()),
        ("EMH", "201LMZ2216700", "12345678")
    );
}

#[tokio::test]
async fn an_optical_head_that_echoes_is_read_all_the_same() {
    let peer = rig::on_a_pty("d0", &["watts=DIR/watts", "echo=1", "log=DIR/log"]);
    peer.set_watts(812.25);
    let asking = Asking { address: "12345678".to_owned(), keep_baud: false };
    let mut meter = open(settings(&peer.address, Protocol::Iec62056(asking)));
    for watts in [812.25, 700.0] {
        peer.set_watts(watts);
        assert_eq!(value(&lines(&meter.poll().await.unwrap()), "input power"), watts);
    }
    let sent = std::fs::read_to_string(peer.dir.path().join("log")).unwrap().replace('\n', "");
    let once = [&b"/?12345678!\r\n"[..], b"\x06050\r\n"].map(hex_of).concat();
    assert_eq!(sent, once.repeat(2));
}

#[tokio::test]
async fn parity_by_software_is_put_on_and_taken_off() {
    // Each character of this telegram bears even parity in its eighth bit.
    let telegram =
        "/EMH5\\@201LMZ22\r\n\r\n1-0:1.8.0*255(001581.123*kWh)\r\n1-0:16.7.0*255(000812.25*W)\r\n!\r\n";
    let coded: Vec<u8> =
        telegram.bytes().map(|b| if b.count_ones() % 2 == 1 { b | 0x80 } else { b }).collect();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("telegram");
    std::fs::write(&file, coded).unwrap();
    let peer = rig::on_a_pty("play", &[&format!("file={}", file.display())]);
    let line = Line { format: Format::EIGHT_NONE_ONE, ..Line::at(2400) };
    let software =
        Settings { line, software_parity: true, ..settings(&peer.address, Protocol::Iec62056Push) };
    let got = lines(&open(software).poll().await.unwrap());
    assert_eq!(got, ["input power 812.25", "input energy 5692042800"]);
}

#[tokio::test]
async fn a_ups_that_answers_q1_has_estimated_watts_if_its_rating_is_known() {
    let peer = rig::on_a_pty("megatec", &[]);
    let rated = Some(Watts::new(900.0).unwrap());
    let mut meter = open(settings(&peer.address, Protocol::Megatec(rated)));
    let batch = meter.poll().await.unwrap();
    let power = batch.readings.iter().find(|r| r.measure.quantity() == Quantity::Power).unwrap();
    // 1 % of 900 W at the first question.
    assert_eq!(
        (power.channel.as_str(), power.measure.value(), power.quality),
        ("output", 9.0, Quality::Estimated)
    );
    assert_eq!(value(&lines(&batch), "input voltage"), 226.0);
}

#[tokio::test]
async fn an_eaton_ups_says_what_it_measures() {
    let peer = rig::on_a_pty("xcp", &["watts=DIR/watts"]);
    peer.set_watts(812.5);
    let mut meter = open(settings(&peer.address, Protocol::EatonXcp));
    let batch = meter.poll().await.unwrap();
    assert_eq!(batch.identity.as_ref().unwrap().model, "9PX 3000");
    let want = [
        "output power 812.5",
        "input power 862.5",
        "output apparent_power 832",
        "input frequency 50",
        "input voltage 231.5",
        "output voltage 230",
    ];
    assert_eq!(lines(&batch), want);
    peer.set_watts(640.0);
    assert_eq!(value(&lines(&meter.poll().await.unwrap()), "output power"), 640.0);
}

/// `CODE` of libsml, where we file it, and its factor to the base unit.
const SML: [(&str, &str, f64); 7] = [
    ("1-0:1.8.0", "input energy", 3600.0),
    ("1-0:2.8.0", "export energy", 3600.0),
    ("1-0:15.7.0", "input power", 1.0),
    ("1-0:16.7.0", "input power", 1.0),
    ("1-0:36.7.0", "phase/L1 power", 1.0),
    ("1-0:56.7.0", "phase/L2 power", 1.0),
    ("1-0:76.7.0", "phase/L3 power", 1.0),
];

#[tokio::test]
async fn recorded_sml_has_the_values_that_libsml_reads() {
    let Some(recordings) = std::env::var_os("WATTRIBUTE_RECORDINGS").map(PathBuf::from) else {
        println!("WATTRIBUTE_RECORDINGS is not set: recorded SML is not read");
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let mut compared = 0;
    for entry in std::fs::read_dir(recordings.join("sml")).unwrap() {
        let file = entry.unwrap().path();
        let theirs = rig::libsml(&file, dir.path());
        // Once, with its end, so that every frame of the file is read once.
        let peer = rig::on_a_pty("play", &[&format!("file={}", file.display()), "period=1"]);
        let mut meter = open(settings(&peer.address, Protocol::Sml(PowerSign::Auto)));
        let mut ours: Vec<Vec<String>> = Vec::new();
        while ours.len() < theirs.len() {
            let batch = meter.poll().await.unwrap();
            ours.extend(
                batch.earlier.into_iter().map(|e| lines(&Batch { readings: e.readings, ..Batch::default() })),
            );
            if !batch.readings.is_empty() {
                ours.push(lines(&Batch { readings: batch.readings, ..Batch::default() }));
            }
        }
        for (ours, theirs) in ours.iter().zip(&theirs) {
            for line in theirs {
                let mut words = line.split(' ');
                let (code, theirs) = (words.next().unwrap(), words.next().unwrap().parse::<f64>().unwrap());
                if let Some((_, name, factor)) = SML.iter().find(|(of, ..)| *of == code) {
                    let (ours, theirs) = (value(ours, name), (theirs * factor).max(0.0));
                    assert!(
                        (ours - theirs).abs() <= theirs * 1e-9,
                        "{code} in {}: {ours}, {theirs}",
                        file.display()
                    );
                    compared += 1;
                }
            }
        }
        println!("{}: {} frames", file.display(), theirs.len());
    }
    assert!(compared > 0, "nothing was compared");
    println!("{compared} values are those of libsml");
}
