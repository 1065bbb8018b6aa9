//! Real sockets and a network between the driver and a BMC that misbehaves. After each fault the next good reading is right, a
//! wrong datagram never becomes one, and no session is left behind. Every fault, without waiting, is in `faults`.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::UdpSocket;
use wattribute::drivers::Driver;
use wattribute::drivers::ipmi::{Readings, Settings};
use wattribute::model::{ErrorKind, PollError, Quantity};

use super::peers::{Bmc, open, settings, shared};
use super::value;

/// What the network does with a reply of the BMC.
pub enum Act {
    Pass,
    Drop,
    /// These instead.
    Send(Vec<Vec<u8>>),
    /// It arrives after the next request was sent.
    HoldForNext,
    /// It arrives from another address.
    Foreign,
}

type Behaviour = Arc<Mutex<Box<dyn FnMut(&[u8]) -> Act + Send>>>;

/// Relays datagrams between the driver and the BMC, and does as told with the replies.
pub struct Network {
    pub address: String,
    behaviour: Behaviour,
    task: tokio::task::JoinHandle<()>,
}

impl Network {
    pub async fn to(bmc: &str) -> Self {
        Self::between("127.0.0.1:0", bmc).await
    }

    /// With the driver's side at `at`.
    pub async fn between(at: &str, bmc: &str) -> Self {
        let front = UdpSocket::bind(at).await.unwrap();
        let back = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let foreign = UdpSocket::bind(at).await.unwrap();
        back.connect(bmc).await.unwrap();
        let address = front.local_addr().unwrap().to_string();
        let behaviour: Behaviour = Arc::new(Mutex::new(Box::new(|_| Act::Pass)));
        let shared = Arc::clone(&behaviour);
        let task = tokio::spawn(async move {
            let (mut request, mut reply) = ([0; 2048], [0; 2048]);
            let (mut client, mut held) = (None, Vec::<Vec<u8>>::new());
            loop {
                tokio::select! {
                    Ok((len, from)) = front.recv_from(&mut request) => {
                        client = Some(from);
                        for late in held.drain(..) {
                            front.send_to(&late, from).await.unwrap();
                        }
                        let _ = back.send(&request[..len]).await;
                    }
                    Ok(len) = back.recv(&mut reply) => {
                        let (reply, Some(client)) = (&reply[..len], client) else { continue };
                        let act = (shared.lock().unwrap())(reply);
                        match act {
                            Act::Pass => drop(front.send_to(reply, client).await.unwrap()),
                            Act::Drop => {}
                            Act::Send(datagrams) => for datagram in datagrams {
                                front.send_to(&datagram, client).await.unwrap();
                            },
                            Act::HoldForNext => held.push(reply.to_vec()),
                            Act::Foreign => drop(foreign.send_to(reply, client).await.unwrap()),
                        }
                    }
                }
            }
        });
        Self { address, behaviour, task }
    }

    pub fn behave(&self, behaviour: impl FnMut(&[u8]) -> Act + Send + 'static) {
        *self.behaviour.lock().unwrap() = Box::new(behaviour);
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Payload type of a datagram: 11h, 13h, 15h in setup, C0h in a session, 0 outside.
pub fn kind(datagram: &[u8]) -> u8 {
    if datagram.get(4) == Some(&6) { datagram[5] } else { 0 }
}

/// A BMC behind a network, a driver that reads DCMI only, and watts that never repeat.
pub struct Rig {
    pub bmc: Bmc,
    pub network: Network,
    pub driver: Box<dyn Driver>,
    watts: u32,
}

impl Rig {
    pub async fn new() -> Self {
        let bmc = Bmc::start();
        let network = Network::to(&bmc.address).await;
        let settings = Settings {
            readings: Readings::Dcmi,
            request_timeout: Duration::from_millis(250),
            retries: 3,
            ..settings(&network.address, "admin", "password")
        };
        let driver = open(settings, &shared());
        Self { bmc, network, driver, watts: 100 }
    }

    /// Other watts, then a poll through whatever the network does.
    pub async fn poll(&mut self) -> Result<bool, PollError> {
        self.watts += 1;
        self.bmc.set("watts", self.watts);
        let batch = self.driver.poll().await?;
        Ok(value(&batch, "input", Quantity::Power) == Some(f64::from(self.watts)))
    }

    /// A reading comes, at once, and is right.
    pub async fn good(&mut self, after: &str) {
        self.network.behave(|_| Act::Pass);
        assert_eq!(self.poll().await.map_err(|e| e.to_string()), Ok(true), "after {after}");
    }

    pub async fn end(mut self, sessions: usize) {
        self.driver.close().await;
        self.bmc.all_closed(sessions).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poll_dropped_half_way_leaves_its_late_reply_unread() {
    let mut rig = Rig::new().await;
    rig.good("the start").await;
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
    assert_eq!(rig.bmc.opened(), 1, "all on one session");
    rig.end(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn duplicates_and_replays_never_become_the_next_reading() {
    let mut rig = Rig::new().await;
    rig.network.behave(|reply| Act::Send(vec![reply.to_vec(); 5]));
    assert_eq!(rig.poll().await, Ok(true), "every datagram of the setup five times");
    for _ in 0..5 {
        assert_eq!(rig.poll().await, Ok(true));
    }
    // Everything that was ever said comes again before each new reply, in both orders.
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
    assert_eq!(rig.bmc.opened(), 1);
    rig.end(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_cut_or_flipped_or_garbage_is_never_a_reading() {
    let mut rig = Rig::new().await;
    rig.good("the start").await;
    // Every cut and every flipped byte of the same reply, and only then the reply.
    rig.network.behave(|reply| {
        let mut bad = vec![Vec::new(), vec![6], vec![6, 0, 0xff, 7], vec![0; 1500]];
        for at in [4, 5, 6, 9, 10, 13, 14, 16, 31, 32, reply.len() - 14, reply.len() - 13, reply.len() - 1] {
            let mut flipped = reply.to_vec();
            flipped[at] ^= 1;
            bad.push(flipped);
            bad.push(reply[..at].to_vec());
        }
        // Not more at once than a session's queue holds.
        bad.truncate(12);
        bad.push(reply.to_vec());
        Act::Send(bad)
    });
    for _ in 0..5 {
        assert_eq!(rig.poll().await, Ok(true));
    }
    for flip in 4..64 {
        let mut first = true;
        rig.network.behave(move |reply| {
            let mut flipped = reply.to_vec();
            let at = flip.min(flipped.len() - 1);
            flipped[at] ^= 0x40;
            if std::mem::take(&mut first) { Act::Send(vec![flipped, Vec::new()]) } else { Act::Pass }
        });
        assert_eq!(rig.poll().await, Ok(true), "byte {flip}");
    }
    assert_eq!(rig.bmc.opened(), 1);
    rig.end(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_from_another_address_does_not_count() {
    let mut rig = Rig::new().await;
    rig.good("the start").await;
    rig.network.behave(|_| Act::Foreign);
    let error = rig.poll().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Timeout, "{error}");
    rig.good("foreign replies").await;
    rig.end(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_is_a_timeout_and_the_next_poll_is_right() {
    let mut rig = Rig::new().await;
    rig.network.behave(|_| Act::Drop);
    let error = rig.poll().await.unwrap_err();
    assert_eq!((error.kind, error.cause.contains("no answer from")), (ErrorKind::Timeout, true), "{error}");
    rig.good("silence from the start").await;
    for losses in 1..=2 {
        let mut left = losses;
        rig.network.behave(move |_| {
            left -= 1;
            if left >= 0 { Act::Drop } else { Act::Pass }
        });
        assert_eq!(rig.poll().await, Ok(true), "{losses} replies lost");
    }
    assert_eq!(rig.bmc.opened(), 1, "a lost reply does not cost the session");
    rig.network.behave(|_| Act::Drop);
    assert!(rig.poll().await.is_err());
    rig.good("silence").await;
    rig.end(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bmc_that_restarts_is_read_again_within_the_same_poll() {
    let mut rig = Rig::new().await;
    rig.good("the start").await;
    rig.bmc.set("forget", 0);
    rig.good("restart").await;
    assert_eq!(rig.bmc.opened(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bmc_that_hangs_over_one_command_still_gives_its_power() {
    // Get Sensor Reading, Read FRU Data, Get SDR.
    for command in [0x2d, 0x11, 0x23] {
        let mut bmc = Bmc::start();
        bmc.set("mute", command);
        let settings = Settings {
            request_timeout: Duration::from_millis(50),
            ..settings(&bmc.address, "admin", "password")
        };
        let mut driver = open(settings, &shared());
        for watts in [150, 160, 170] {
            bmc.set("watts", watts);
            let batch = driver.poll().await.unwrap();
            assert_eq!(value(&batch, "input", Quantity::Power), Some(f64::from(watts)), "{command:02x}");
        }
        bmc.set("mute", -1);
        driver.poll().await.unwrap();
        assert_eq!(driver.poll().await.unwrap().readings.len(), 4);
        driver.close().await;
        bmc.all_closed(1).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bmc_is_read_over_ipv6() {
    let bmc = Bmc::start();
    let network = Network::between("[::1]:0", &bmc.address).await;
    let mut driver = open(settings(&network.address, "admin", "password"), &shared());
    for _ in 0..2 {
        assert_eq!(value(&driver.poll().await.unwrap(), "input", Quantity::Power), Some(245.0));
    }
    network.behave(|_| Act::Foreign);
    assert!(driver.poll().await.is_err());
}
