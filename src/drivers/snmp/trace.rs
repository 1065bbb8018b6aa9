//! One poll that keeps what it asked: where each reading stood and what stood there. For people who write profiles.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::device::Device;
use super::oid::Oid;
use super::profile::{Limits, Profile, Profiles};
use super::session::{Following, Session, Value};
use crate::drivers::{Trace, Traced};
use crate::model::{BoxFuture, Clock, PollError};

/// Polls the device behind `session` once, by the `chosen` profile or the one that fits.
///
/// # Errors
/// As [`super::device::Device::poll`].
pub async fn trace(
    session: &dyn Session,
    profiles: &Profiles,
    chosen: Option<Arc<Profile>>,
    clock: Arc<dyn Clock>,
) -> Result<Trace, PollError> {
    let witness = Witness { session, seen: Mutex::default() };
    let mut device = Device::new(Arc::new(profiles.clone()), clock, chosen);
    let batch = device.poll(&witness).await?;
    let seen = witness.seen.into_inner().unwrap_or_else(PoisonError::into_inner);
    let plan = device.plan();
    let readings = batch.readings.into_iter().map(|reading| {
        let quantity = reading.measure.quantity();
        let point = plan.and_then(|plan| Some((plan, plan.point(&reading.channel, quantity)?)));
        let oids: Vec<&Oid> = point.map(|(plan, point)| plan.sources(point).collect()).unwrap_or_default();
        let raw = oids.iter().map(|oid| seen.get(*oid).map_or_else(String::new, shown));
        Traced {
            source: oids.iter().map(ToString::to_string).collect::<Vec<_>>().join(" + "),
            raw: raw.collect::<Vec<_>>().join(" + "),
            reading,
        }
    });
    Ok(Trace {
        readings: readings.collect(),
        identity: batch.identity,
        channels: batch.channels,
        dropped: Vec::new(),
    })
}

fn shown(value: &Value) -> String {
    match value {
        Value::Number(number) => number.to_string(),
        Value::Real(figure) => figure.value.to_string(),
        Value::Text(text) => format!("{text:?}"),
        Value::Oid(oid) => oid.to_string(),
        Value::Absent => "absent".to_owned(),
        Value::Unusable => "unusable".to_owned(),
    }
}

/// A session that remembers the latest value of every variable.
struct Witness<'s> {
    session: &'s dyn Session,
    seen: Mutex<HashMap<Oid, Value>>,
}

impl Session for Witness<'_> {
    fn limit(&self, limits: Limits) {
        self.session.limit(limits);
    }

    fn patience(&self) -> Duration {
        self.session.patience()
    }

    fn width(&self) -> usize {
        self.session.width()
    }

    fn get<'a>(&'a self, oids: &'a [Oid]) -> BoxFuture<'a, Result<Vec<Value>, PollError>> {
        Box::pin(async move {
            let values = self.session.get(oids).await?;
            let rows = oids.iter().cloned().zip(values.iter().cloned());
            self.seen.lock().unwrap_or_else(PoisonError::into_inner).extend(rows);
            Ok(values)
        })
    }

    fn next<'a>(&'a self, after: &'a [Oid]) -> BoxFuture<'a, Result<Vec<Following>, PollError>> {
        self.session.next(after)
    }
}
