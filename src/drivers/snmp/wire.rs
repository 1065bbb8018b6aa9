//! [`Session`] over UDP with `async-snmp`: one client for each device on sockets that all devices share.
//! Request ids, retries, SNMPv3 and late replies are the library's; limits and what an answer must look like are ours.

use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use async_snmp::{Client, Error, Retry, UdpHandle};

use super::Settings;
use super::answers::{blamed, bulk_rows, in_order, next_rows, other_variables};
use super::credentials::Credentials;
use super::errors;
use super::manners::Manners;
use super::oid::Oid;
use super::profile::Limits;
use super::session::{Following, Session, Value};
use super::sockets::Lease;
use crate::model::{BoxFuture, Clock, ErrorKind, PollError};

/// One device's client.
pub struct UdpSession {
    client: Client<UdpHandle>,
    settings: Settings,
    manners: Arc<Manners>,
    clock: Arc<dyn Clock>,
    lease: Lease,
}

impl UdpSession {
    /// A client for `peer` on a shared socket; sends nothing yet.
    ///
    /// # Errors
    /// If the library refuses the settings.
    pub async fn connect(
        settings: &Settings,
        credentials: &Credentials,
        (manners, clock): (Arc<Manners>, Arc<dyn Clock>),
        lease: Lease,
        peer: SocketAddr,
    ) -> Result<Self, PollError> {
        let client = Client::builder(peer, credentials.get().clone())
            .request_timeout(settings.request_timeout)
            // Requests are sent again at the device's own pace: see `patiently`.
            .retry(Retry::none())
            .max_oids_per_request(manners.max_oids())
            // A reply from another address never counts, although a device with several may send one.
            .strict_source(true)
            // Agents cannot sign "unknown user" or "wrong digest". Without this the library drops such reports, and a
            // wrong password would look like silence. Values still count only at the full security level.
            .allow_unauthenticated_v3_time_correction(true)
            .build_with(&lease.transport)
            .await
            .map_err(|e| errors::map(&e, settings))?;
        Ok(Self { client, settings: settings.clone(), manners, clock, lease })
    }

    /// The library's error in our words; a socket that died under us is marked, so that the next poll gets a new one.
    fn failed(&self, error: &Error) -> PollError {
        if matches!(error.exchange_source(), Error::Closed { .. }) {
            self.lease.give_up();
        }
        errors::map(error, &self.settings)
    }

    /// Sends a request until it is answered. Each time it has another request id, so that an answer to an earlier one is nobody's.
    async fn patiently<T, F>(&self, send: impl Fn() -> F) -> Result<T, Failed>
    where
        F: Future<Output = Result<T, Failed>>,
    {
        let waits = self.manners.pace.waits(self.settings.request_timeout, self.settings.retries);
        for wait in &waits {
            let start = self.clock.now();
            match tokio::time::timeout(*wait, send()).await {
                Err(_) => {}
                Ok(Err(failed)) if failed.is_silence() => {}
                Ok(answer) => {
                    self.manners.pace.answered(self.clock.now().since(start));
                    return answer;
                }
            }
        }
        Err(Failed::Silence(waits.len()))
    }

    /// The same in our words.
    fn refused(&self, failed: &Failed) -> PollError {
        match failed {
            Failed::Silence(sent) => errors::timeout(&self.settings, *sent),
            Failed::Error(_, error) => self.failed(error),
        }
    }

    /// One request of `kind`, or several where the agent finds it too big: the variables of the answer as they came, and how many
    /// were asked for at once.
    async fn send(
        &self,
        kind: Kind,
        asked: &[async_snmp::Oid],
    ) -> Result<(Vec<async_snmp::VarBind>, usize), Failed> {
        let chunks = match kind {
            Kind::Get => self.client.get_many_chunks(asked),
            Kind::GetNext => self.client.get_next_many_chunks(asked),
        };
        let mut chunks = chunks.map_err(|error| Failed::Error(0..asked.len(), error))?;
        let mut answered = Vec::with_capacity(asked.len());
        let mut largest = 0;
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(|error| Failed::Error(error.failed_request_range, error.source))?;
            largest = largest.max(chunk.request_range.len());
            answered.extend(chunk.response.varbinds);
        }
        Ok((answered, largest))
    }

    /// The same until it is answered; remembers what the agent takes at once.
    async fn exchange(
        &self,
        kind: Kind,
        asked: &[async_snmp::Oid],
    ) -> Result<Vec<async_snmp::VarBind>, Blame> {
        match self.patiently(|| self.send(kind, asked)).await {
            Ok((answered, largest)) => {
                if largest < asked.len() {
                    self.manners.at_most(largest);
                }
                self.manners.answered(largest);
                Ok(answered)
            }
            Err(Failed::Error(range, error)) => Err(match blamed(&error, range.len()) {
                Some((place, value)) => Blame::One(range.start.saturating_add(place), value),
                None => Blame::All(self.failed(&error)),
            }),
            Err(failed) => Err(Blame::All(self.refused(&failed))),
        }
    }

    /// One request. An error that the agent reports for one variable (`noSuchName` of SNMPv1, `genErr`) takes that
    /// variable out and asks again for the rest, so at most `oids.len()` times.
    async fn ask<T>(
        &self,
        kind: Kind,
        oids: &[Oid],
        read: impl Fn(&[async_snmp::Oid], Vec<async_snmp::VarBind>) -> Result<Vec<T>, PollError>,
        instead: impl Fn(Value) -> T,
    ) -> Result<Vec<T>, PollError> {
        let mut answers: Vec<Option<T>> = oids.iter().map(|_| None).collect();
        loop {
            let open: Vec<usize> =
                answers.iter().enumerate().filter(|(_, v)| v.is_none()).map(|(i, _)| i).collect();
            if open.is_empty() {
                break;
            }
            let asked: Vec<async_snmp::Oid> = open.iter().filter_map(|&i| oids.get(i)).map(theirs).collect();
            match self.exchange(kind, &asked).await {
                Ok(varbinds) => {
                    for (place, answer) in open.iter().zip(read(&asked, varbinds)?) {
                        if let Some(slot) = answers.get_mut(*place) {
                            *slot = Some(answer);
                        }
                    }
                }
                Err(Blame::One(place, value)) => match open.get(place).and_then(|&i| answers.get_mut(i)) {
                    Some(slot) => *slot = Some(instead(value)),
                    None => return Err(other_variables()),
                },
                Err(Blame::All(error)) => return Err(error),
            }
        }
        Ok(answers.into_iter().flatten().collect())
    }

    async fn get_some(&self, oids: &[Oid]) -> Result<Vec<Value>, PollError> {
        self.ask(Kind::Get, oids, in_order, |value| value).await
    }

    /// As many of `oids` as the agent takes. A request that it silently drops is made smaller if it answers a small one.
    async fn get_first(&self, oids: &[Oid]) -> Result<Vec<Value>, PollError> {
        loop {
            let some = first(oids, self.manners.max_oids());
            match self.get_some(some).await {
                Err(error) if error.kind == ErrorKind::Timeout && self.manners.doubts(some.len()) => {
                    if self.get_some(first(oids, 1)).await.is_err() {
                        return Err(error);
                    }
                    self.manners.at_most(some.len() / 2);
                }
                other => return other,
            }
        }
    }

    /// By GETNEXT: one row of each column.
    async fn step(&self, after: &[Oid]) -> Result<Vec<Following>, PollError> {
        match self.ask(Kind::GetNext, after, next_rows, |_| Following::End).await {
            Err(error) if error.kind == ErrorKind::Timeout && self.manners.doubts(after.len()) => {
                let one = self.ask(Kind::GetNext, first(after, 1), next_rows, |_| Following::End).await;
                self.manners.at_most(after.len() / 2);
                one.map_err(|_| error)
            }
            other => other,
        }
    }

    /// By GETBULK: some rows of each column; none if what the agent answers is none.
    async fn bulk(&self, after: &[Oid], rows: usize) -> Result<Option<Vec<Following>>, PollError> {
        let asked: Vec<async_snmp::Oid> = after.iter().map(theirs).collect();
        let repetitions = u32::try_from(rows).unwrap_or(1);
        let send = async || {
            let answer = self.client.get_bulk(&asked, 0, repetitions).await;
            answer.map_err(|error| Failed::Error(0..asked.len(), error))
        };
        let answer = self.patiently(send).await.map_err(|failed| self.refused(&failed))?;
        Ok(bulk_rows(after, rows, answer))
    }

    async fn following(&self, after: &[Oid]) -> Result<Vec<Following>, PollError> {
        let after = first(after, self.manners.width());
        let Some(rows) = self.manners.repetitions(after.len()) else { return self.step(after).await };
        match self.bulk(after, rows).await {
            Ok(Some(following)) => {
                self.manners.bulk_answered();
                Ok(following)
            }
            // Some agents in PDUs never answer GETBULK, others wrongly. Those that are truly away fail the step as well.
            Ok(None) => self.step_from_now_on(after).await,
            Err(error) if error.kind == ErrorKind::Timeout && !self.manners.doubts_bulk() => Err(error),
            Err(error) if matches!(error.kind, ErrorKind::Timeout | ErrorKind::Protocol) => {
                self.step_from_now_on(after).await
            }
            Err(error) => Err(error),
        }
    }

    async fn step_from_now_on(&self, after: &[Oid]) -> Result<Vec<Following>, PollError> {
        let following = self.step(after).await?;
        self.manners.step_from_now_on();
        Ok(following)
    }
}

impl Session for UdpSession {
    fn limit(&self, limits: Limits) {
        self.manners.limit(limits);
    }

    fn patience(&self) -> Duration {
        self.settings.request_timeout
    }

    fn width(&self) -> usize {
        self.manners.width()
    }

    fn get<'a>(&'a self, oids: &'a [Oid]) -> BoxFuture<'a, Result<Vec<Value>, PollError>> {
        Box::pin(async move {
            let mut values = Vec::with_capacity(oids.len());
            while let Some(rest) = oids.get(values.len()..).filter(|rest| !rest.is_empty()) {
                values.append(&mut self.get_first(rest).await?);
            }
            Ok(values)
        })
    }

    fn next<'a>(&'a self, after: &'a [Oid]) -> BoxFuture<'a, Result<Vec<Following>, PollError>> {
        Box::pin(self.following(after))
    }
}

/// What is asked of single variables.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Get,
    GetNext,
}

/// Why a request brought no answer.
enum Failed {
    /// Nothing came, although it was sent so many times.
    Silence(usize),
    /// An error about these of its variables.
    Error(Range<usize>, Box<Error>),
}

impl Failed {
    fn is_silence(&self) -> bool {
        match self {
            Self::Silence(_) => true,
            Self::Error(_, error) => matches!(error.exchange_source(), Error::Timeout { .. }),
        }
    }
}

/// What an error is about.
enum Blame {
    /// One of the variables asked, and what it is worth then.
    One(usize, Value),
    /// The request.
    All(PollError),
}

fn first(oids: &[Oid], most: usize) -> &[Oid] {
    oids.get(..most).unwrap_or(oids)
}

fn theirs(oid: &Oid) -> async_snmp::Oid {
    async_snmp::Oid::from_slice(oid.arcs())
}
