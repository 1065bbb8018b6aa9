//! Which meters there are: slots that keep their place while the configuration around them changes.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use super::state::MAX_ABSENT_CHANNELS;
use super::{Meter, MeterIndex, MeterSettings, MeterState};
use crate::model::{MeterId, Moment, Past};

#[derive(Debug, Default)]
struct Slot {
    generation: u32,
    meter: Option<Mutex<Meter>>,
}

/// The meters by index, by name, and in configuration order.
#[derive(Debug, Default)]
pub(super) struct Table {
    slots: Vec<Slot>,
    order: Vec<MeterIndex>,
    /// Removed, but their feeds still tell.
    leaving: Vec<MeterIndex>,
    /// Removed earlier, the longest ago first.
    aside: VecDeque<Meter>,
    by_id: HashMap<MeterId, MeterIndex>,
    /// Of before the start, and not configured since.
    waiting: HashMap<MeterId, (MeterState, Past)>,
}

impl Table {
    pub(super) fn find(&self, id: &MeterId) -> Option<MeterIndex> {
        self.by_id.get(id).copied()
    }

    pub(super) fn get(&self, index: MeterIndex) -> Option<&Mutex<Meter>> {
        let slot = self.slots.get(usize::try_from(index.slot).ok()?)?;
        slot.meter.as_ref().filter(|_| slot.generation == index.generation)
    }

    /// In configuration order.
    pub(super) fn each(&self) -> impl Iterator<Item = &Mutex<Meter>> {
        self.order.iter().filter_map(|index| self.get(*index))
    }

    /// See [`super::Store::reconfigure`].
    pub(super) fn reconfigure(
        &mut self,
        meters: Vec<MeterSettings>,
        is_another: impl Fn(&MeterId) -> bool,
        now: Moment,
    ) {
        let mut before = std::mem::take(&mut self.by_id);
        let kept: Vec<_> = meters.iter().map(|m| before.remove(&m.id)).collect();
        self.leaving.extend(before.into_values());
        let mut free = (0..).zip(&self.slots).filter(|(_, s)| s.meter.is_none()).map(|(i, _)| i).collect();
        self.order.clear();
        self.by_id.reserve(meters.len());
        for (settings, kept) in meters.into_iter().zip(kept) {
            let id = settings.id.clone();
            let index = match kept.filter(|index| self.get(*index).is_some()) {
                Some(index) => {
                    let another = is_another(&id);
                    if let Some(meter) = self.get(index) {
                        let mut meter = meter.lock().unwrap_or_else(PoisonError::into_inner);
                        meter.reconfigure(settings, another, now);
                    }
                    index
                }
                None => {
                    let meter = self.come_back(settings, now);
                    self.place(meter, &mut free)
                }
            };
            self.order.push(index);
            self.by_id.insert(id, index);
        }
    }

    /// See [`super::Store::release_removed`].
    pub(super) fn release_removed(&mut self, now: Moment) {
        for index in std::mem::take(&mut self.leaving) {
            let slot = usize::try_from(index.slot).ok().and_then(|slot| self.slots.get_mut(slot));
            let Some(slot) = slot.filter(|slot| slot.generation == index.generation) else { continue };
            slot.generation = slot.generation.wrapping_add(1);
            let Some(meter) = slot.meter.take() else { continue };
            let mut meter = meter.into_inner().unwrap_or_else(PoisonError::into_inner);
            meter.leave(now);
            self.aside.push_back(meter);
        }
        let size = |meter: &Meter| meter.channels().len().max(1);
        let mut channels: usize = self.aside.iter().map(size).sum();
        let mut gone = 0_usize;
        while channels > MAX_ABSENT_CHANNELS
            && let Some(oldest) = self.aside.pop_front()
        {
            channels -= size(&oldest);
            gone += 1;
        }
        if gone > 0 {
            tracing::warn!(
                "what {gone} removed meters counted is let go: too many others are not configured"
            );
        }
    }

    /// A new meter, or the one of that name that was removed earlier.
    fn come_back(&mut self, settings: MeterSettings, now: Moment) -> Meter {
        let at = self.aside.iter().position(|meter| meter.settings().id == settings.id);
        let Some(mut meter) = at.and_then(|at| self.aside.remove(at)) else {
            let kept = self.waiting.remove(&settings.id);
            let mut meter = Meter::new(settings);
            // One of another data centre is another meter.
            if let Some((state, past)) =
                kept.filter(|(state, _)| state.datacenter == meter.settings().datacenter)
            {
                meter.resume(state, &past);
            }
            return meter;
        };
        meter.reconfigure(settings, true, now);
        meter.begin_at(now);
        meter
    }

    /// See [`super::Store::resume`].
    pub(super) fn resume(&mut self, kept: MeterState, past: &Past) {
        if let Some(meter) = self.find(&kept.meter).and_then(|index| self.get(index)) {
            let mut meter = meter.lock().unwrap_or_else(PoisonError::into_inner);
            if meter.settings().datacenter == kept.datacenter {
                meter.resume(kept, past);
                return;
            }
        }
        self.waiting.insert(kept.meter.clone(), (kept, *past));
    }

    /// See [`super::Store::begun`]. Gives how many meters were too many.
    pub(super) fn begun(&mut self, mut room: usize) -> usize {
        let all = std::mem::take(&mut self.waiting);
        let count = all.len();
        for (id, (state, past)) in all {
            if state.len() <= room {
                room -= state.len();
                self.waiting.insert(id, (state.unmissed(), past));
            }
        }
        count - self.waiting.len()
    }

    /// What is kept of meters that the configuration does not have, at `now`.
    pub(super) fn absent(&self, now: Moment) -> Vec<MeterState> {
        let aside = self.aside.iter().map(|meter| meter.kept(now));
        let leaving = self.leaving.iter().filter_map(|index| self.get(*index));
        let leaving = leaving.map(|m| m.lock().unwrap_or_else(PoisonError::into_inner).kept(now));
        aside
            .chain(leaving)
            .chain(self.waiting.values().map(|(state, _)| state.clone()))
            .filter(|m| m.len() > 0)
            .collect()
    }

    fn place(&mut self, meter: Meter, free: &mut Vec<u32>) -> MeterIndex {
        let slot = free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
        });
        let place = usize::try_from(slot).ok().and_then(|slot| self.slots.get_mut(slot));
        let generation = place.map_or(0, |place| {
            place.meter = Some(Mutex::new(meter));
            place.generation
        });
        MeterIndex { slot, generation }
    }
}
