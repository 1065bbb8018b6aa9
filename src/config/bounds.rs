//! Limits of single values, as rules for garde; the numbers stand at the keys in `schema`.

use std::time::Duration;

use super::field::Field;
use super::leaf::{IdlePower, Power, Span};
use super::types::Idle;
use crate::model::Watts;

/// The most that one host may be said to draw: a slip from W to kW shows.
const MAX_HOST_WATTS: f64 = 200_000.0;

/// A duration from `min` to `max`, both in milliseconds.
pub(super) fn between(min: u64, max: u64) -> impl Fn(&Field<Span>, &()) -> garde::Result {
    let (min, max) = (Duration::from_millis(min), Duration::from_millis(max));
    move |field, ()| match field.get() {
        Some(Span(value)) if *value < min || *value > max => Err(garde::Error::new(format!(
            "is {}; choose {} to {}",
            humantime::format_duration(*value),
            humantime::format_duration(min),
            humantime::format_duration(max)
        ))),
        _ => Ok(()),
    }
}

/// A power that one host can draw.
pub(super) fn host_power(field: &Field<Power>, (): &()) -> garde::Result {
    field.get().map_or(Ok(()), |power| plausible(power.0))
}

/// As [`host_power`], for idle power.
pub(super) fn host_idle(field: &Field<IdlePower>, (): &()) -> garde::Result {
    match field.get() {
        Some(IdlePower(Idle::Power(power))) => plausible(*power),
        Some(IdlePower(Idle::Learned | Idle::None)) | None => Ok(()),
    }
}

/// Says what is wrong with a power that no host can draw.
pub(super) fn plausible(power: Watts) -> garde::Result {
    if power.get() <= 0.0 {
        return Err(garde::Error::new("is zero; write what the nameplate says"));
    }
    if power.get() > MAX_HOST_WATTS {
        return Err(garde::Error::new(format!("is {power}, more than one host can draw; check the unit")));
    }
    Ok(())
}

/// At least one item.
pub(super) fn some<T>(field: &Field<Vec<T>>, (): &()) -> garde::Result {
    match field.get() {
        Some(items) if items.is_empty() => Err(garde::Error::new("is empty; name at least one")),
        _ => Ok(()),
    }
}
