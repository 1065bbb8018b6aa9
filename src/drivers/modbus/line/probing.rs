//! Proof that a serial line is clear: a question whose answer can be told from all that may still come.

use std::time::Duration;

use super::{Fault, Line};
use crate::drivers::modbus::pace::Terms;
use crate::drivers::modbus::wire::pdu::{Answer, Request};
use crate::model::Moment;

/// So many registers are asked for, at most, to tell an answer from all others.
const MAX_PROBE: u16 = 8;

/// What came of a probe.
pub(super) enum Probed {
    /// The answer to the question before it, late.
    Answer(Answer),
    /// Nothing that was asked before it will be answered any more.
    Clear,
    /// Nobody answered.
    Silent,
}

impl Line {
    /// Makes sure that nothing owed by `unit` can be taken for an answer to `request`: whether that worked.
    pub(super) async fn clear_line(
        &mut self,
        unit: u8,
        request: &Request,
        start: Moment,
        patience: Duration,
        terms: &Terms,
    ) -> Result<bool, Fault> {
        match self.probe(unit, request, &[], start, patience, terms).await? {
            Probed::Clear => Ok(!self.owed.could_be_confused(unit, request)),
            Probed::Silent | Probed::Answer(_) => Ok(false),
        }
    }

    /// Asks what can be told from all that is owed. `mine` are the questions whose answer counts all the same.
    pub(super) async fn probe(
        &mut self,
        unit: u8,
        request: &Request,
        mine: &[Option<u16>],
        start: Moment,
        wait: Duration,
        terms: &Terms,
    ) -> Result<Probed, Fault> {
        self.number = self.number.wrapping_add(1);
        let pace = self.paces.get(&unit).copied().unwrap_or_default();
        let echo = Request::Echo(self.number);
        let few = few_registers(request);
        // An adapter that hears itself gives our bytes back even where there is no unit.
        let probe = if self.inbox.hears_itself() {
            let Some(probe) = self.owed.distinct(unit, few) else { return Ok(Probed::Silent) };
            probe
        } else if pace.echoes() {
            echo
        } else {
            self.owed.distinct(unit, few).unwrap_or(echo)
        };
        self.put(unit, probe, terms).await?;
        let begun = self.clock.now();
        loop {
            let left = wait.saturating_sub(self.clock.now().since(begun));
            let Some((question, answer)) = self.next_answer(left).await? else {
                if matches!(probe, Request::Echo(_)) == pace.echoes() {
                    self.paces.entry(unit).or_default().saw_echo(!pace.echoes());
                }
                return Ok(Probed::Silent);
            };
            if question.unit != unit {
                continue;
            }
            // An exception may be that of the probe just as well; the question is put again.
            if matches!((&probe, &answer), (Request::Read { .. }, Answer::Exception(_))) {
                return Ok(Probed::Clear);
            }
            if !mine.is_empty() && question.request == *request && question.sent >= start {
                return Ok(Probed::Answer(answer));
            }
            if question.request == probe {
                return Ok(Probed::Clear);
            }
        }
    }
}

/// Questions for a few registers, each of another length, from where `request` begins.
fn few_registers(request: &Request) -> impl Iterator<Item = Request> + use<> {
    let place = match request {
        Request::Read { table, start, count } => Some((*table, *start, *count)),
        Request::Echo(_) | Request::Identify { .. } => None,
    };
    place.into_iter().flat_map(|(table, start, own)| {
        (1..=MAX_PROBE).filter(move |count| *count != own).map(move |count| Request::Read {
            table,
            start,
            count,
        })
    })
}
