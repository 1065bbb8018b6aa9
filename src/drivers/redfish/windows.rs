//! What BMCs say of power over windows of their own: `PowerMetrics` of `PowerControl`, HPE's day. Pure, and never energy.

use std::time::Duration;

use super::oem::PowerMeter;
use super::resources::{Control, ControlWindow};
use crate::model::{ChannelId, PowerWindow, Watts};

/// Longer windows than a year are mistakes.
const MAX_LENGTH: Duration = Duration::from_secs(366 * 24 * 3600);
/// What HPE's `PowerMeter` looks back on.
const DAY: Duration = Duration::from_secs(24 * 3600);

/// The window of an entry of `PowerControl`, if it says how long it is.
pub(super) fn reporting(channel: &ChannelId, control: &Control) -> Option<PowerWindow> {
    let ControlWindow { minutes, average_watts, minimum_watts, maximum_watts } = control.window;
    let length = Duration::try_from_secs_f64(minutes? * 60.0).ok()?;
    if length.is_zero() || length > MAX_LENGTH {
        return None;
    }
    // What is consumed now lies in the window.
    let maximum_watts = maximum_watts.filter(|most| control.consumed_watts.is_none_or(|now| now <= *most));
    window(channel, "reporting", length, [average_watts, minimum_watts, maximum_watts])
}

/// Whether an entry says how long its window is.
pub(super) fn has_window(control: &Control) -> bool {
    control.window.minutes.is_some_and(|minutes| minutes > 0.0)
}

/// HPE's window of a day.
pub(super) fn day(channel: &ChannelId, meter: &PowerMeter) -> Option<PowerWindow> {
    let PowerMeter { average_watts, minimum_watts, maximum_watts } = *meter;
    window(channel, "24h", DAY, [average_watts, minimum_watts, maximum_watts])
}

/// Zeros are what BMCs show before they have measured; so is a least or most on the wrong side of the mean.
fn window(
    channel: &ChannelId,
    name: &'static str,
    length: Duration,
    [average, minimum, maximum]: [Option<f64>; 3],
) -> Option<PowerWindow> {
    let watts =
        |value: Option<f64>| value.filter(|watts| *watts > 0.0).and_then(|watts| Watts::new(watts).ok());
    let (average, minimum, maximum) = (watts(average), watts(minimum), watts(maximum));
    let middle = average.or(minimum).or(maximum)?;
    let minimum = minimum.filter(|minimum| *minimum <= middle);
    let maximum = maximum.filter(|maximum| *maximum >= middle);
    Some(PowerWindow { channel: channel.clone(), name, length, average, minimum, maximum })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::resources::read;
    use super::*;

    type Shown = (f64, Option<f64>, Option<f64>, Option<f64>);

    fn shown(metrics: Value) -> Option<Shown> {
        let control: Control = read(&json!({ "PowerMetrics": metrics }));
        let window = reporting(&ChannelId::new("input").unwrap(), &control)?;
        assert_eq!(window.name, "reporting");
        let [average, minimum, maximum] =
            [window.average, window.minimum, window.maximum].map(|w| w.map(Watts::get));
        Some((window.length.as_secs_f64(), average, minimum, maximum))
    }

    fn metrics(minutes: Value, average: f64, minimum: f64, maximum: f64) -> Value {
        json!({ "IntervalInMin": minutes, "AverageConsumedWatts": average, "MinConsumedWatts": minimum,
            "MaxConsumedWatts": maximum })
    }

    #[test]
    fn a_window_has_a_length_and_keeps_its_order() {
        let all = (Some(426.0), Some(425.0), Some(436.0));
        for (metrics, want) in [
            (metrics(json!(1), 426.0, 425.0, 436.0), Some((60.0, all.0, all.1, all.2))),
            // AMI: 1/12 minute is 5 s; its least is 0 after a reset.
            (
                metrics(json!(0.083_333_333_333_333), 148.0, 0.0, 301.0),
                Some((5.0, Some(148.0), None, Some(301.0))),
            ),
            (metrics(json!("20"), 426.0, 425.0, 436.0), Some((1200.0, all.0, all.1, all.2))),
            (metrics(json!(0), 426.0, 425.0, 436.0), None),
            (metrics(json!(null), 426.0, 425.0, 436.0), None),
            (metrics(json!(-1), 426.0, 425.0, 436.0), None),
            (metrics(json!(1e12), 426.0, 425.0, 436.0), None),
            (metrics(json!(1), 0.0, 0.0, 0.0), None),
            (metrics(json!(1), 426.0, 500.0, 100.0), Some((60.0, Some(426.0), None, None))),
            (json!(null), None),
            (json!("N/A"), None),
        ] {
            let near = |a: f64, b: f64| (a - b).abs() < 1e-6;
            match (shown(metrics.clone()), want) {
                (Some(got), Some(want)) => {
                    assert!(near(got.0, want.0), "{got:?}");
                    assert_eq!((got.1, got.2, got.3), (want.1, want.2, want.3), "{metrics}");
                }
                (got, want) => assert_eq!(got, want, "{metrics}"),
            }
        }
    }

    #[test]
    fn a_day_is_a_window_of_its_own_name() {
        let meter: PowerMeter =
            read(&json!({ "Average": 221, "Minimum": 210, "Maximum": 300, "Samples": 288 }));
        let window = day(&ChannelId::new("input").unwrap(), &meter).unwrap();
        assert_eq!((window.name, window.length.as_secs()), ("24h", 86_400));
    }
}
