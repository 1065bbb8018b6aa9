//! [`Session`] over UDP with `async-snmp`: one client for each device on sockets that all devices share.
//! Request ids, retries, SNMPv3 and late replies are the library's; limits and what an answer must look like are ours.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_snmp::{
    Client, Error, ErrorStatus, MasterKeys, OidOrdering, Retry, UdpHandle, UsmConfig, WalkMethod, WalkOptions,
};
use secrecy::{ExposeSecret, SecretString};

use super::errors;
use super::oid::Oid;
use super::profile::Limits;
use super::session::{MAX_WALK_ROWS, Row, Session, Value};
use super::sockets::Lease;
use super::{Auth, AuthProtocol, PrivacyProtocol, Settings};
use crate::model::{BoxFuture, ErrorKind, PollError};

/// More variables than this do not fit into one datagram without fragments.
const MAX_OIDS: usize = 48;
/// Rows asked for by one GETBULK; agents in PDUs die of more.
const MAX_REPETITIONS: usize = 25;
/// The library's own limit.
const MAX_RETRIES: u32 = async_snmp::MAX_RETRIES;

/// Credentials in the library's form. Passwords become keys here, once: that costs a megabyte of hashing each.
#[derive(Clone)]
pub struct Credentials(async_snmp::Auth);

impl Credentials {
    /// Checks and derives.
    ///
    /// # Errors
    /// `Auth` for what SNMPv3 forbids: passwords under 8 characters, privacy without authentication, an odd user name.
    pub fn new(auth: &Auth) -> Result<Self, PollError> {
        match auth {
            Auth::V1(community) => Ok(Self(async_snmp::Auth::v1(community.expose_secret().to_owned()))),
            Auth::V2c(community) => Ok(Self(async_snmp::Auth::v2c(community.expose_secret().to_owned()))),
            Auth::V3 { user, auth, privacy, context } => {
                if user.is_empty() || user.len() > 32 {
                    return Err(refused("an SNMPv3 user name has 1 to 32 bytes", "correct `user`"));
                }
                let usm = UsmConfig::new(user.clone()).context_name(context.clone());
                let keys = match (auth, privacy) {
                    (None, None) => return Ok(Self(usm.into())),
                    (None, Some(_)) => {
                        return Err(refused(
                            "SNMPv3 has no privacy without authentication",
                            "add the authentication protocol and password",
                        ));
                    }
                    (Some(auth), None) => master_keys(auth)?,
                    (Some(auth), Some((protocol, password))) => master_keys(auth)?
                        .with_privacy(privacy_protocol(*protocol), password.expose_secret().as_bytes())
                        .map_err(|e| {
                            refused(&format!("privacy: {e}"), "correct the privacy password or protocol")
                        })?,
                };
                let usm = usm.with_master_keys(keys);
                usm.map(|usm| Self(usm.into()))
                    .map_err(|e| refused(&format!("SNMPv3 keys: {e}"), "correct the SNMPv3 settings"))
            }
        }
    }
}

fn master_keys((protocol, password): &(AuthProtocol, SecretString)) -> Result<MasterKeys, PollError> {
    let protocol = match protocol {
        AuthProtocol::Md5 => async_snmp::AuthProtocol::Md5,
        AuthProtocol::Sha => async_snmp::AuthProtocol::Sha1,
        AuthProtocol::Sha224 => async_snmp::AuthProtocol::Sha224,
        AuthProtocol::Sha256 => async_snmp::AuthProtocol::Sha256,
        AuthProtocol::Sha384 => async_snmp::AuthProtocol::Sha384,
        AuthProtocol::Sha512 => async_snmp::AuthProtocol::Sha512,
    };
    MasterKeys::new(protocol, password.expose_secret().as_bytes()).map_err(|e| {
        refused(&format!("authentication: {e}"), "correct the authentication password or protocol")
    })
}

/// AES-192 and AES-256 extend short keys as net-snmp and most PDUs do (Blumenthal), not as Cisco does (Reeder).
const fn privacy_protocol(protocol: PrivacyProtocol) -> async_snmp::PrivProtocol {
    match protocol {
        PrivacyProtocol::Aes128 => async_snmp::PrivProtocol::Aes128,
        PrivacyProtocol::Aes192 => async_snmp::PrivProtocol::Aes192Blumenthal,
        PrivacyProtocol::Aes256 => async_snmp::PrivProtocol::Aes256Blumenthal,
    }
}

fn refused(cause: &str, fix: &str) -> PollError {
    PollError::new(ErrorKind::Auth, cause, fix)
}

/// One device's client.
pub struct UdpSession {
    client: Client<UdpHandle>,
    settings: Settings,
    /// Most variables in one request.
    max_oids: AtomicUsize,
    /// Most rows in one GETBULK.
    max_repetitions: AtomicUsize,
    lease: Lease,
    /// Whether walks go by GETNEXT: set once an agent was silent to GETBULK and answered GETNEXT.
    stepwise: AtomicBool,
}

impl UdpSession {
    /// A client for `peer` on a shared socket; sends nothing yet.
    ///
    /// # Errors
    /// If the library refuses the settings.
    pub async fn connect(
        settings: &Settings,
        credentials: &Credentials,
        lease: Lease,
        peer: SocketAddr,
    ) -> Result<Self, PollError> {
        let retries = settings.retries.min(MAX_RETRIES);
        let retry = Retry::fixed(retries, Duration::ZERO).unwrap_or_else(|_| Retry::none());
        let max_oids = settings.max_oids.clamp(1, MAX_OIDS);
        let client = Client::builder(peer, credentials.0.clone())
            .request_timeout(settings.request_timeout)
            .retry(retry)
            .max_oids_per_request(max_oids)
            // A reply from another address never counts, although a device with several may send one.
            .strict_source(true)
            // Agents cannot sign "unknown user" or "wrong digest". Without this the library drops such reports, and a
            // wrong password would look like silence. Values still count only at the full security level.
            .allow_unauthenticated_v3_time_correction(true)
            .build_with(&lease.transport)
            .await
            .map_err(|e| errors::map(&e, settings))?;
        // GETBULK saves round trips; where one variable a request is all the agent takes, so is one row.
        let stepwise = AtomicBool::new(max_oids == 1 || matches!(settings.auth, Auth::V1(_)));
        let max_repetitions = AtomicUsize::new(max_oids.min(MAX_REPETITIONS));
        let max_oids = AtomicUsize::new(max_oids);
        Ok(Self { client, settings: settings.clone(), max_oids, max_repetitions, lease, stepwise })
    }

    /// The library's error in our words; a socket that died under us is marked, so that the next poll gets a new one.
    fn failed(&self, error: &Error) -> PollError {
        if matches!(error.exchange_source(), Error::Closed { .. }) {
            self.lease.give_up();
        }
        errors::map(error, &self.settings)
    }

    /// One request. An error that the agent reports for one variable (`noSuchName` of SNMPv1, `genErr`) takes that
    /// variable out and asks again for the rest, so at most `oids.len()` times.
    async fn get_some(&self, oids: &[Oid]) -> Result<Vec<Row>, PollError> {
        let mut values: Vec<Option<Value>> = vec![None; oids.len()];
        loop {
            let open: Vec<usize> =
                values.iter().enumerate().filter(|(_, v)| v.is_none()).map(|(i, _)| i).collect();
            if open.is_empty() {
                break;
            }
            let asked: Vec<async_snmp::Oid> = open
                .iter()
                .filter_map(|&i| oids.get(i))
                .map(|oid| async_snmp::Oid::from_slice(oid.arcs()))
                .collect();
            match self.client.get_many(&asked).await {
                Ok(response) => {
                    for (place, value) in open.iter().zip(in_order(&asked, response.varbinds)?) {
                        if let Some(slot) = values.get_mut(*place) {
                            *slot = Some(value);
                        }
                    }
                }
                Err(error) => match blamed(&error, open.len()) {
                    Some((place, value)) => {
                        if let Some(slot) = open.get(place).and_then(|&i| values.get_mut(i)) {
                            *slot = Some(value);
                        }
                    }
                    None => return Err(self.failed(&error)),
                },
            }
        }
        Ok(oids.iter().cloned().zip(values.into_iter().map(|v| v.unwrap_or(Value::Absent))).collect())
    }

    async fn walk_column(&self, column: &Oid) -> Result<Vec<Row>, PollError> {
        if self.stepwise.load(Ordering::Relaxed) {
            return self.walk_by(column, WalkMethod::GetNext).await;
        }
        match self.walk_by(column, WalkMethod::GetBulk).await {
            // Some agents in PDUs never answer GETBULK. Those that are truly away fail the second walk as well.
            Err(error) if error.kind == ErrorKind::Timeout => {
                let rows = self.walk_by(column, WalkMethod::GetNext).await?;
                self.stepwise.store(true, Ordering::Relaxed);
                Ok(rows)
            }
            other => other,
        }
    }

    async fn walk_by(&self, column: &Oid, method: WalkMethod) -> Result<Vec<Row>, PollError> {
        let options = WalkOptions {
            method,
            max_repetitions: u32::try_from(self.max_repetitions.load(Ordering::Relaxed)).unwrap_or(1),
            ordering: OidOrdering::Strict,
            result_limit: Some(MAX_WALK_ROWS),
        };
        let root = async_snmp::Oid::from_slice(column.arcs());
        let stream = self.client.walk_with(root, options).map_err(|e| self.failed(&e))?;
        let rows = stream.collect().await.map_err(|e| self.failed(&e))?;
        let rows = rows.into_iter().filter_map(|v| Some((Oid::from_arcs(v.oid.arcs())?, value(v.value))));
        Ok(rows.filter(|(oid, _)| oid.after(column).is_some()).collect())
    }
}

impl Session for UdpSession {
    fn limit(&self, limits: Limits) {
        if let Some(max_oids) = limits.max_oids {
            self.max_oids.fetch_min(max_oids.max(1), Ordering::Relaxed);
        }
        if let Some(rows) = limits.max_repetitions {
            self.max_repetitions.fetch_min(rows.max(1), Ordering::Relaxed);
            self.stepwise.fetch_or(rows <= 1, Ordering::Relaxed);
        }
    }

    fn get<'a>(&'a self, oids: &'a [Oid]) -> BoxFuture<'a, Result<Vec<Row>, PollError>> {
        Box::pin(async move {
            let mut rows = Vec::with_capacity(oids.len());
            for some in oids.chunks(self.max_oids.load(Ordering::Relaxed)) {
                rows.append(&mut self.get_some(some).await?);
            }
            Ok(rows)
        })
    }

    fn walk<'a>(&'a self, column: &'a Oid) -> BoxFuture<'a, Result<Vec<Row>, PollError>> {
        Box::pin(self.walk_column(column))
    }
}

/// Which variable the agent blames, counted from 0, and what it is worth then; none if the error is not about one.
fn blamed(error: &Error, asked: usize) -> Option<(usize, Value)> {
    let Error::Snmp { status, index, .. } = error.exchange_source() else { return None };
    let place = usize::try_from(*index).ok()?.checked_sub(1).filter(|place| *place < asked)?;
    match status {
        ErrorStatus::NoSuchName => Some((place, Value::Absent)),
        ErrorStatus::GenErr => Some((place, Value::Unusable)),
        _ => None,
    }
}

/// The values in the order asked. Some agents answer in another order; anything but exactly the variables asked is
/// refused whole.
fn in_order(asked: &[async_snmp::Oid], answered: Vec<async_snmp::VarBind>) -> Result<Vec<Value>, PollError> {
    let wrong = || {
        PollError::new(
            ErrorKind::Protocol,
            "the agent answered with other variables than asked",
            "update the device's firmware; if it stays, lower `max_oids`",
        )
    };
    if answered.len() != asked.len() {
        return Err(wrong());
    }
    let mut answered: Vec<Option<async_snmp::VarBind>> = answered.into_iter().map(Some).collect();
    let take = |(place, oid): (usize, &async_snmp::Oid)| {
        let is_it = |v: &Option<async_snmp::VarBind>| v.as_ref().is_some_and(|v| v.oid == *oid);
        let found = if answered.get(place).is_some_and(is_it) {
            Some(place)
        } else {
            answered.iter().position(is_it)
        };
        let row = found.and_then(|place| answered.get_mut(place)).and_then(Option::take);
        row.map(|row| value(row.value)).ok_or_else(wrong)
    };
    asked.iter().enumerate().map(take).collect()
}

fn value(value: async_snmp::Value) -> Value {
    use async_snmp::Value as V;
    match value {
        V::Integer(n) => Value::Number(n.into()),
        V::Counter32(n) | V::Gauge32(n) | V::UInteger32(n) | V::TimeTicks(n) => Value::Number(n.into()),
        V::Counter64(n) => i64::try_from(n).map_or(Value::Unusable, Value::Number),
        V::OctetString(bytes) => Value::text(&bytes),
        V::ObjectIdentifier(oid) => Oid::from_arcs(oid.arcs()).map_or(Value::Unusable, Value::Oid),
        V::Opaque(bytes) => Value::opaque(&bytes),
        V::NoSuchObject | V::NoSuchInstance | V::EndOfMibView => Value::Absent,
        _ => Value::Unusable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_snmp::VarBind;

    fn oid(last: u32) -> async_snmp::Oid {
        async_snmp::Oid::from_slice(&[1, 3, 6, last])
    }

    fn row(last: u32, n: i32) -> VarBind {
        VarBind::new(oid(last), async_snmp::Value::Integer(n))
    }

    #[test]
    fn a_reordered_answer_is_put_in_order() {
        let got = in_order(&[oid(1), oid(2)], vec![row(2, 20), row(1, 10)]).unwrap();
        assert_eq!(got, [Value::Number(10), Value::Number(20)]);
    }

    #[test]
    fn an_answer_with_other_variables_is_refused_whole() {
        for wrong in [vec![row(1, 1)], vec![row(1, 1), row(3, 3)], vec![row(1, 1), row(1, 1)], vec![]] {
            assert_eq!(in_order(&[oid(1), oid(2)], wrong).unwrap_err().kind, ErrorKind::Protocol);
        }
    }

    #[test]
    fn what_snmpv3_forbids_is_said_before_anything_is_sent() {
        let v3 = |user: &str, auth: Option<&str>, privacy: Option<&str>| Auth::V3 {
            user: user.into(),
            auth: auth.map(|p| (AuthProtocol::Sha, p.to_owned().into())),
            privacy: privacy.map(|p| (PrivacyProtocol::Aes128, p.to_owned().into())),
            context: String::new(),
        };
        for (bad, part) in [
            (v3("", None, None), "1 to 32"),
            (v3("u", Some("short"), None), "8 octets"),
            (v3("u", Some("long enough"), Some("short")), "8 octets"),
            (v3("u", None, Some("long enough")), "without authentication"),
        ] {
            let error = Credentials::new(&bad).err().unwrap();
            assert_eq!(error.kind, ErrorKind::Auth);
            assert!(error.cause.contains(part), "{error}");
            assert!(!error.to_string().contains("short "), "{error}");
        }
        assert!(Credentials::new(&v3("u", Some("long enough"), Some("long enough"))).is_ok());
    }
}
