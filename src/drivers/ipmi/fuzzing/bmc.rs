//! The honest other side of a session: answers its setup as a BMC does, opens what is sealed for it, seals what it says.

use std::sync::Arc;
use std::time::Duration;

use super::Counting;
use crate::drivers::ipmi::crypto::{Exchange, Keys, Suite};
use crate::drivers::ipmi::session::{Protection, Session, Terms};
use crate::drivers::ipmi::wire::packet::{self, Datagram, Setup};
use crate::drivers::ipmi::{KeepSession, Level, Login, Lookup, Privilege, Readings, Settings};

/// Our session id.
pub const CONSOLE: u32 = 0x1122_3344;
/// The BMC's.
pub const MANAGED: u32 = 0x5566_7788;
/// What the right BMC knows.
pub const PASSWORD: &str = "secret";

/// A session that may use `suites`; `key` is its K_G.
pub fn session(suites: &[Suite], key: Option<&str>) -> Session {
    let settings = Settings {
        address: "10.0.0.1:623".into(),
        user: "monitor".into(),
        password: PASSWORD.to_owned().into(),
        bmc_key: key.map(|key| key.to_owned().into()),
        privilege: Privilege::User,
        lookup: Lookup::Name,
        legacy: Vec::new(),
        quirks: Vec::new(),
        suites: suites.to_vec(),
        readings: Readings::Auto,
        request_timeout: Duration::from_secs(1),
        retries: 2,
        learning: Duration::ZERO,
        keep_session: KeepSession::ByPolls,
    };
    let login = Arc::new(Login::new(&settings).unwrap());
    let terms = Terms { suites: suites.to_vec(), legacy: Vec::new(), level: Level::User };
    Session::new(login, terms, CONSOLE, Arc::new(Counting::default()))
}

/// The suite of a session that is up.
pub fn suite_of(session: &Session) -> Option<Suite> {
    match session.protection()? {
        Protection::Suite(suite) => Some(suite),
        Protection::Legacy { .. } => panic!("a session of IPMI 1.5 that nobody allowed"),
    }
}

/// The BMC.
pub struct Bmc {
    /// What it takes for the user's password.
    pub password: &'static str,
    /// Its K_G.
    pub key: Option<&'static str>,
    /// Numbers of the suites that it lists.
    pub offers: Vec<u8>,
    suite: Option<Suite>,
    exchange: Option<Exchange>,
    keys: Option<Keys>,
}

impl Bmc {
    /// One that offers both suites.
    pub fn new(password: &'static str, key: Option<&'static str>) -> Self {
        Self { password, key, offers: vec![3, 17], suite: None, exchange: None, keys: None }
    }

    /// The session's keys, once there are any.
    pub const fn keys(&self) -> Option<&Keys> {
        self.keys.as_ref()
    }

    /// What it answers to a datagram of the setup. Nothing where it is none, or makes no sense to it.
    pub fn answer(&mut self, datagram: &[u8]) -> Option<Vec<u8>> {
        match Datagram::parse(datagram)? {
            Datagram::Sessionless(message) if message.get(5) == Some(&0x38) => {
                Some(packet::sessionless(&reply_to(message, 0, &[1, 0x80, 4, 2, 0, 0, 0, 0])))
            }
            Datagram::Sessionless(message) => {
                let list = self.offers.iter().flat_map(|id| [0xc0, *id, 3, 0x44, 0x81]);
                let data: Vec<u8> = std::iter::once(1).chain(list).collect();
                Some(packet::sessionless(&reply_to(message, 0, &data)))
            }
            Datagram::Setup(Setup::OpenRequest, request) => {
                let algorithms = [*request.get(12)?, *request.get(20)?, *request.get(28)?];
                self.suite =
                    [Suite::Sha1, Suite::Sha256].into_iter().find(|suite| suite.algorithms() == algorithms);
                let rest = [&MANAGED.to_le_bytes(), request.get(8..32)?].concat();
                Some(packet::setup(Setup::OpenResponse, &payload(*request.first()?, &rest)))
            }
            Datagram::Setup(Setup::Rakp1, request) => self.rakp2(request),
            Datagram::Setup(Setup::Rakp3, request) => {
                let (exchange, suite) = (self.exchange.as_ref()?, self.suite?);
                if request.get(8..)? != exchange.rakp3(suite, self.password.as_bytes()).as_slice() {
                    return None;
                }
                let value = exchange.rakp4(self.keys.as_ref()?);
                Some(packet::setup(Setup::Rakp4, &payload(*request.first()?, value.first(suite.code_len()))))
            }
            Datagram::Setup(Setup::OpenResponse | Setup::Rakp2 | Setup::Rakp4, _)
            | Datagram::Sealed(_)
            | Datagram::Coded(_) => None,
        }
    }

    fn rakp2(&mut self, request: &[u8]) -> Option<Vec<u8>> {
        let (suite, password) = (self.suite?, self.password.as_bytes());
        let exchange = Exchange {
            console: CONSOLE,
            managed: MANAGED,
            console_random: request.get(8..24)?.try_into().ok()?,
            managed_random: [0xbb; 16],
            guid: [0xcc; 16],
            role: *request.get(24)?,
            user: request.get(28..)?.to_vec(),
        };
        let code = exchange.rakp2(suite, password);
        let rest = [&exchange.managed_random, exchange.guid.as_slice(), code.as_slice()].concat();
        self.keys = Some(exchange.keys(suite, self.key.map_or(password, str::as_bytes)));
        self.exchange = Some(exchange);
        Some(packet::setup(Setup::Rakp2, &payload(*request.first()?, &rest)))
    }

    /// Opens what is sealed for it: sequence number and message.
    pub fn open(&self, datagram: &[u8]) -> Option<(u32, Vec<u8>)> {
        match Datagram::parse(datagram)? {
            Datagram::Sealed(sealed) if sealed.session == MANAGED => {
                Some((sealed.sequence, sealed.open(self.keys.as_ref()?)?))
            }
            Datagram::Sealed(_) | Datagram::Sessionless(_) | Datagram::Setup(..) | Datagram::Coded(_) => None,
        }
    }
}

/// The payload of a good setup message for us.
pub fn payload(tag: u8, rest: &[u8]) -> Vec<u8> {
    [&[tag, 0, 0, 0], CONSOLE.to_le_bytes().as_slice(), rest].concat()
}

/// The message that answers the message `request`.
pub fn reply_to(request: &[u8], code: u8, data: &[u8]) -> Vec<u8> {
    let sum = |bytes: &[u8]| bytes.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte)).wrapping_neg();
    let byte = |at: usize| request.get(at).copied().unwrap_or(0);
    let mut head = vec![0x81, byte(1) | 4];
    head.push(sum(&head));
    let mut body = vec![0x20, byte(4), byte(5), code];
    body.extend(data);
    body.push(sum(&body));
    [head, body].concat()
}

/// A session that is up, with its BMC.
pub fn opened(suite: Suite) -> (Session, Bmc) {
    let (mut session, mut bmc) = (session(&[suite], None), Bmc::new(PASSWORD, None));
    session.open();
    while let Some(datagram) = session.transmit() {
        let answer = bmc.answer(&datagram).expect("an honest BMC answers");
        session.datagram(&answer);
    }
    assert_eq!(suite_of(&session), Some(suite));
    (session, bmc)
}
