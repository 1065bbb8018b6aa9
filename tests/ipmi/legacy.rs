//! Sessions of IPMI 1.5 with OpenIPMI's ipmi_sim: values equal to ipmitool's and FreeIPMI's of the same moment, what is
//! allowed, and a network that misbehaves.

use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use wattribute::drivers::Driver;
use wattribute::drivers::ipmi::{Authentication, KeepSession, Privilege, Readings, Settings};
use wattribute::model::{ErrorKind, PollError, Quantity};

use super::network::{Act, Network};
use super::peers::{Simulator, open, settings, shared};
use super::real::{first_poll, level, number, simulator_shows};
use super::value;

const BOTH: [Authentication; 2] = [Authentication::Md5, Authentication::Password];

fn admin(address: &str, how: Authentication) -> Settings {
    Settings {
        legacy: vec![how],
        privilege: Privilege::Administrator,
        readings: Readings::Dcmi,
        request_timeout: Duration::from_millis(300),
        ..settings(address, "admin", "secret")
    }
}

fn ipmitool(settings: &Settings, how: Authentication, command: &[&str]) -> String {
    let (host, port) = settings.address.rsplit_once(':').unwrap();
    let level = if level(settings) == "ADMIN" { "ADMINISTRATOR" } else { level(settings) };
    let out = Command::new("ipmitool")
        .args(["-I", "lan", "-H", host, "-p", port, "-U", &settings.user, "-P", "secret"])
        .args(["-L", level, "-A", &how.name().to_uppercase()])
        .args(command)
        .output()
        .expect("ipmitool is missing: `make test` installs it (Debian package ipmitool)");
    String::from_utf8(out.stdout).unwrap()
}

fn freeipmi(settings: &Settings, how: Authentication) -> Option<f64> {
    let path = format!("{}:/usr/sbin", std::env::var("PATH").unwrap_or_default());
    let how = match how {
        Authentication::Md5 => "MD5",
        Authentication::Password => "STRAIGHT_PASSWORD_KEY",
    };
    let out = Command::new("ipmi-dcmi")
        .env("PATH", path)
        .args(["-D", "LAN", "-h", &settings.address, "-u", &settings.user, "-p", "secret"])
        .args(["-l", level(settings), "-a", how, "--get-system-power-statistics"])
        .output()
        .expect("ipmi-dcmi is missing: `make test` installs it (Debian package freeipmi-tools)");
    number(&String::from_utf8(out.stdout).unwrap(), "Current Power", ':', 1)
}

#[tokio::test(flavor = "multi_thread")]
async fn ipmi_sim_is_read_as_ipmitool_and_freeipmi_read_it() {
    for (how, watts) in [(Authentication::Md5, 348), (Authentication::Password, 512)] {
        let simulator = Simulator::legacy("md5 straight");
        simulator.watts(watts, 240);
        let settings = Settings { readings: Readings::Auto, ..admin(&simulator.address, how) };
        let batch = simulator_shows(&settings, 240.0).await;
        let input = value(&batch, "input", Quantity::Power);
        assert_eq!(input, Some(f64::from(watts)));
        let dcmi = ipmitool(&settings, how, &["dcmi", "power", "reading"]);
        assert_eq!(input, number(&dcmi, "Instantaneous power reading", ':', 1), "{dcmi}");
        assert_eq!(input, freeipmi(&settings, how));
        let list = ipmitool(&settings, how, &["sdr", "elist", "full"]);
        for (channel, name, quantity) in [
            ("sensor/system-power", "System Power", Quantity::Power),
            ("sensor/ps1-input-power", "PS1 Input Power", Quantity::Power),
            ("sensor/inlet-temp", "Inlet Temp", Quantity::Temperature),
            ("sensor/ps1-curr-out", "PS1 Curr Out", Quantity::Current),
        ] {
            assert_eq!(value(&batch, channel, quantity), number(&list, name, '|', 4), "{channel}: {list}");
        }
        assert_eq!(batch.identity.unwrap().profile, format!("dcmi, IPMI 1.5 ({})", how.name()));
    }
}

/// Its table has 63 places: a hundred sessions only fit one after the other.
#[tokio::test(flavor = "multi_thread")]
async fn every_session_is_given_back() {
    let simulator = Simulator::legacy("md5");
    let settings =
        Settings { keep_session: KeepSession::No, ..admin(&simulator.address, Authentication::Md5) };
    let mut driver = open(settings.clone(), &shared());
    first_poll(&settings).await;
    for watts in 100..150 {
        simulator.watts(watts, 0);
        let batch = driver.poll().await.unwrap();
        assert_eq!(value(&batch, "input", Quantity::Power), Some(f64::from(watts)));
    }
    for _ in 0..50 {
        let mut dropped =
            open(Settings { keep_session: KeepSession::ByPolls, ..settings.clone() }, &shared());
        dropped.poll().await.unwrap();
    }
    driver.poll().await.unwrap();
}

async fn refused(settings: Settings) -> PollError {
    let mut driver = open(settings, &shared());
    driver.poll().await.unwrap_err()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_allowed_or_not_right_is_refused_and_never_printed() {
    let simulator = Simulator::legacy("md5");
    let network = Network::to(&simulator.address).await;
    // ipmi_sim denies IPMI 2.0 and speaks it all the same: this one does not.
    network.behave(|reply| if reply[4] == 6 { Act::Drop } else { Act::Pass });
    let good = admin(&network.address, Authentication::Md5);
    // It is up when it is read.
    first_poll(&good).await;
    for (settings, kind, says) in [
        (
            Settings { legacy: Vec::new(), ..good.clone() },
            ErrorKind::Protocol,
            "or allow what it offers, which encrypts nothing: `allow_ipmi_1_5: [md5]`",
        ),
        (
            Settings { legacy: vec![Authentication::Password], ..good.clone() },
            ErrorKind::Protocol,
            "speaks IPMI 1.5 only",
        ),
        (
            Settings { user: "nobody".into(), ..good.clone() },
            ErrorKind::Auth,
            "does not know user \"nobody\"",
        ),
        (
            Settings { password: "hunter2".to_owned().into(), ..good.clone() },
            ErrorKind::Auth,
            "check the password",
        ),
        (
            Settings { user: "monitor".into(), password: "m0nitor-pass".to_owned().into(), ..good.clone() },
            ErrorKind::Auth,
            "does not grant administrator to user \"monitor\"",
        ),
    ] {
        let error = refused(settings.clone()).await;
        assert_eq!(error.kind, kind, "{error}");
        assert!(format!("{error} {}", error.fix).contains(says), "{error}");
        assert!(!format!("{error} {error:?} {settings:?}").contains("hunter2"), "{error}");
    }
    first_poll(&good).await;
}

/// Makes every BMC deny IPMI 2.0 in Get Channel Authentication Capabilities, as a forger could: nothing protects it.
fn forge(reply: &[u8]) -> Act {
    if reply[4] != 0 || reply.get(19) != Some(&0x38) {
        return Act::Pass;
    }
    let mut forged = reply.to_vec();
    forged[22] &= 0x7f;
    let sum = forged[17..forged.len() - 1].iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
    *forged.last_mut().unwrap() = sum.wrapping_neg();
    Act::Send(vec![forged])
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_talks_us_down_to_ipmi_15_once_ipmi_20_worked() {
    let simulator = Simulator::speaking("md5 straight", "guid a123456789abcdefa123456789abcdef\n");
    let network = Network::to(&simulator.address).await;
    let settings =
        Settings { legacy: BOTH.to_vec(), keep_session: KeepSession::No, ..admin(&network.address, BOTH[0]) };
    first_poll(&Settings { address: simulator.address.clone(), ..settings.clone() }).await;
    let mut driver = open(settings.clone(), &shared());
    let mut profile = async |behaviour: fn(&[u8]) -> Act| {
        network.behave(behaviour);
        driver.poll().await.unwrap().identity.map(|identity| identity.profile)
    };
    // Before that it is believed, which is what allowing IPMI 1.5 means.
    assert_eq!(profile(forge).await.as_deref(), Some("dcmi, IPMI 1.5 (MD5)"));
    assert_eq!(profile(|_| Act::Pass).await.as_deref(), Some("dcmi, cipher suite 3"));
    for _ in 0..3 {
        assert_eq!(profile(forge).await, None, "nothing has changed");
    }
    // And where it is not allowed, it is not believed at all.
    network.behave(forge);
    let mut driver = open(Settings { legacy: Vec::new(), ..settings }, &shared());
    assert_eq!(driver.poll().await.unwrap().identity.unwrap().profile, "dcmi, cipher suite 3");
}

/// A BMC behind a network, a driver that reads DCMI only, and watts that never repeat.
struct Rig {
    simulator: Simulator,
    network: Network,
    driver: Box<dyn Driver>,
    watts: u32,
}

impl Rig {
    async fn new(how: Authentication) -> Self {
        let simulator = Simulator::legacy("md5 straight");
        first_poll(&admin(&simulator.address, how)).await;
        let network = Network::to(&simulator.address).await;
        let settings = Settings {
            request_timeout: Duration::from_millis(250),
            retries: 3,
            ..admin(&network.address, how)
        };
        Self { simulator, network, driver: open(settings, &shared()), watts: 100 }
    }

    async fn poll(&mut self) -> Result<bool, PollError> {
        self.watts += 1;
        self.simulator.watts(self.watts, 0);
        let batch = self.driver.poll().await?;
        Ok(value(&batch, "input", Quantity::Power) == Some(f64::from(self.watts)))
    }

    async fn good(&mut self, after: &str) {
        self.network.behave(|_| Act::Pass);
        assert_eq!(self.poll().await.map_err(|e| e.to_string()), Ok(true), "after {after}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn late_repeated_and_foreign_datagrams_never_become_a_reading() {
    for how in BOTH {
        let mut rig = Rig::new(how).await;
        rig.network.behave(|reply| Act::Send(vec![reply.to_vec(); 5]));
        assert_eq!(rig.poll().await, Ok(true), "every datagram of the setup five times");
        for round in 0..70 {
            let (asked, mut heard) = tokio::sync::mpsc::unbounded_channel();
            rig.network.behave(move |_| {
                let _ = asked.send(());
                Act::HoldForNext
            });
            tokio::select! {
                result = rig.poll() => panic!("{result:?}"),
                _ = heard.recv() => {}
            }
            rig.good(&format!("dropped poll, round {round}")).await;
        }
        // Everything that was ever said comes again before each new reply and behind it.
        let all: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
        for round in 0..20 {
            let all = Arc::clone(&all);
            rig.network.behave(move |reply| {
                let mut all = all.lock().unwrap();
                let mut flood: Vec<_> = all.iter().rev().take(8).cloned().collect();
                flood.push(reply.to_vec());
                flood.extend(all.iter().rev().take(4).cloned());
                all.push(reply.to_vec());
                Act::Send(flood)
            });
            assert_eq!(rig.poll().await, Ok(true), "round {round}");
        }
        rig.network.behave(|_| Act::Foreign);
        assert_eq!(rig.poll().await.unwrap_err().kind, ErrorKind::Timeout);
        rig.good("foreign replies").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_cut_or_flipped_is_never_a_reading() {
    for how in BOTH {
        let mut rig = Rig::new(how).await;
        rig.good("the start").await;
        // The header byte by byte, then AuthCode and message here and there.
        for at in (4..14).chain((14..56).step_by(5)) {
            for bit in [0x01, 0x40] {
                let mut first = true;
                rig.network.behave(move |reply| {
                    let mut flipped = reply.to_vec();
                    let at = at.min(flipped.len() - 1);
                    flipped[at] ^= bit;
                    let cut = reply[..at].to_vec();
                    if std::mem::take(&mut first) {
                        Act::Send(vec![flipped, cut, Vec::new(), reply.to_vec()])
                    } else {
                        Act::Pass
                    }
                });
                assert_eq!(rig.poll().await, Ok(true), "byte {at}, bit {bit:02x}, {}", how.name());
            }
        }
    }
}

/// Activate Session is sent as it was, so an answer that is late still counts.
#[tokio::test(flavor = "multi_thread")]
async fn each_message_of_the_setup_may_be_lost_once() {
    for how in BOTH {
        // Greeting, challenge, activation, level.
        for command in [0x38, 0x39, 0x3a, 0x3b] {
            let mut rig = Rig::new(how).await;
            let mut first = true;
            rig.network.behave(move |reply| {
                let at = if reply[4] == 0 { 14 } else { 30 };
                if reply.get(at + 5) == Some(&command) && std::mem::take(&mut first) {
                    Act::Drop
                } else {
                    Act::Pass
                }
            });
            assert_eq!(rig.poll().await, Ok(true), "{command:02x}");
            rig.good("a loss").await;
            rig.driver.close().await;
        }
    }
}

/// ipmi_sim opens one session for each Activate Session, and its table has 63 places: those not used are closed as well.
#[tokio::test(flavor = "multi_thread")]
async fn an_activation_that_was_only_slow_leaves_no_session_behind() {
    let simulator = Simulator::legacy("md5");
    let network = Network::to(&simulator.address).await;
    let settings = Settings {
        request_timeout: Duration::from_millis(50),
        retries: 5,
        ..admin(&network.address, Authentication::Md5)
    };
    first_poll(&settings).await;
    for round in 0..100 {
        let mut first = true;
        network.behave(move |reply| {
            let activation = reply.get(35) == Some(&0x3a) && reply[4] == 2;
            if activation && std::mem::take(&mut first) { Act::HoldForNext } else { Act::Pass }
        });
        let mut driver = open(settings.clone(), &shared());
        driver.poll().await.unwrap_or_else(|error| panic!("round {round}: {error}"));
        driver.close().await;
    }
}
