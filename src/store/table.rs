//! Which meters there are: slots that keep their place while the configuration around them changes.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::{Meter, MeterIndex, MeterSettings};
use crate::model::MeterId;

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
    by_id: HashMap<MeterId, MeterIndex>,
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
    ) {
        let mut before = std::mem::take(&mut self.by_id);
        let kept: Vec<_> = meters.iter().map(|m| before.remove(&m.id)).collect();
        for gone in before.into_values() {
            self.remove(gone);
        }
        let mut free = (0..).zip(&self.slots).filter(|(_, s)| s.meter.is_none()).map(|(i, _)| i).collect();
        self.order.clear();
        self.by_id.reserve(meters.len());
        for (settings, kept) in meters.into_iter().zip(kept) {
            let id = settings.id.clone();
            let index = match kept.filter(|index| self.get(*index).is_some()) {
                Some(index) => {
                    let another = is_another(&id);
                    if let Some(meter) = self.get(index) {
                        meter.lock().unwrap_or_else(PoisonError::into_inner).reconfigure(settings, another);
                    }
                    index
                }
                None => self.place(Meter::new(settings), &mut free),
            };
            self.order.push(index);
            self.by_id.insert(id, index);
        }
    }

    fn remove(&mut self, index: MeterIndex) {
        let slot = usize::try_from(index.slot).ok().and_then(|slot| self.slots.get_mut(slot));
        if let Some(slot) = slot {
            slot.meter = None;
            slot.generation = slot.generation.wrapping_add(1);
        }
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
