//! Metric reports: which property had which value when. Bytes in, typed values out; pure.

use std::time::{Duration, UNIX_EPOCH};

use serde_json::Value;

use crate::drivers::redfish::lenient::{lenient, number_in, resource};
use crate::drivers::redfish::resources::Link;

/// The most values of one report that are looked at.
const MAX_VALUES: usize = 4096;
/// The longest name of a property.
const MAX_PROPERTY_BYTES: usize = 1024;

resource!(/// `TelemetryService`.
Service {
    enabled: Option<bool> = "ServiceEnabled" by "lenient",
    reports: Link = "MetricReports" by "lenient",
});

/// One value of one property.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct MetricValue {
    /// Its address: the resource's path, and a JSON pointer behind `#`.
    pub(super) property: String,
    /// In the property's unit.
    pub(super) value: f64,
    /// When it was had, by the BMC's clock, since 1970.
    pub(super) at: Duration,
}

/// The values of a report that have a number, an address and a time; without a time of its own a value has the report's.
/// Values that are empty or `N/A`, and those that are named by a `MetricId` alone, say nothing.
pub(super) fn values(report: &Value) -> Vec<MetricValue> {
    let whole = report.get("Timestamp").and_then(Value::as_str).and_then(time);
    let entries = report.get("MetricValues").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let value = |entry: &Value| {
        let property = entry.get("MetricProperty").and_then(Value::as_str)?;
        let at = entry.get("Timestamp").and_then(Value::as_str).map_or(whole, time)?;
        let value = entry.get("MetricValue").and_then(number_in)?;
        (property.len() <= MAX_PROPERTY_BYTES).then(|| MetricValue {
            property: property.to_owned(),
            value,
            at,
        })
    };
    entries.iter().take(MAX_VALUES).filter_map(value).collect()
}

/// `2026-11-22T04:40:00.5+01:00` as time since 1970; nothing for what is no time, or before 1970.
fn time(text: &str) -> Option<Duration> {
    let text = text.trim();
    let date_and_time = text.get(..19)?;
    let rest = text.get(19..)?;
    let zone = rest.find(['Z', 'z', '+', '-']).unwrap_or(rest.len());
    let (fraction, zone) = (rest.get(..zone)?, rest.get(zone..)?);
    let local = humantime::parse_rfc3339(&format!("{date_and_time}{fraction}Z")).ok()?;
    let local = local.duration_since(UNIX_EPOCH).ok()?;
    let (sign, clock) = match zone.split_at_checked(1) {
        None | Some(("Z" | "z", "")) => return Some(local),
        Some((sign, clock)) => (sign, clock),
    };
    let (hours, minutes) = clock.split_once(':')?;
    let (hours, minutes): (u64, u64) = (hours.parse().ok()?, minutes.parse().ok()?);
    if hours > 14 || minutes > 59 {
        return None;
    }
    let ahead = Duration::from_secs(hours * 3600 + minutes * 60);
    if sign == "+" { local.checked_sub(ahead) } else { local.checked_add(ahead) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_time_is_since_1970_wherever_it_was_written() {
        for (text, want) in [
            // date -u -d 2026-11-22T04:40:00Z +%s
            ("2026-11-22T04:40:00Z", Some(1_795_322_400_000)),
            ("2026-11-22T05:40:00+01:00", Some(1_795_322_400_000)),
            ("2026-11-21T23:10:00.250-05:30", Some(1_795_322_400_250)),
            ("2026-11-22T04:40:00.5", Some(1_795_322_400_500)),
            ("1970-01-01T00:00:07Z", Some(7_000)),
            ("1970-01-01T00:00:07+01:00", None),
            ("0000-00-00T00:00:00Z", None),
            ("2026-11-22", None),
            ("2026-11-22T04:40:00+99:00", None),
            ("2026-11-22T04:40:00Zulu", None),
            ("", None),
            ("ééééééééééééééééééééé", None),
        ] {
            assert_eq!(time(text), want.map(Duration::from_millis), "{text}");
        }
    }

    #[test]
    fn only_values_with_number_address_and_time_are_kept() {
        let entry = |value: Value| json!({ "MetricProperty": "/a#/Reading", "MetricValue": value, "Timestamp": "1970-01-01T00:00:09Z" });
        let report = json!({ "MetricValues": [
            entry(json!("374.5")), entry(json!(12)), entry(json!("")), entry(json!("N/A")), entry(json!(null)),
            entry(json!("nan")), 7, null,
            { "MetricId": "SystemInputPower", "MetricValue": "1", "Timestamp": "1970-01-01T00:00:09Z" },
            { "MetricProperty": "/b#/Reading", "MetricValue": "1" },
            { "MetricProperty": "/c#/Reading", "MetricValue": "1", "Timestamp": "yesterday" } ] });
        let of = |report: &Value| {
            values(report).into_iter().map(|v| (v.property, v.value, v.at.as_secs())).collect::<Vec<_>>()
        };
        let two = vec![("/a#/Reading".to_owned(), 374.5, 9), ("/a#/Reading".to_owned(), 12.0, 9)];
        assert_eq!(of(&report), two);
        let mut report = report;
        report["Timestamp"] = json!("1970-01-01T00:00:05Z");
        assert_eq!(of(&report)[2..], [("/b#/Reading".to_owned(), 1.0, 5)]);
        assert_eq!(of(&json!({ "MetricValues": {} })), []);
    }
}
