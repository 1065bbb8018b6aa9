//! The query interface of a Prometheus server: what is asked, and what an answer holds. Pure.
//!
//! An instant query says when it was evaluated, not how old its samples are, and looks back five minutes for them. So each query
//! brings `timestamp()` of itself along, in one expression that is evaluated at one moment, and asks for a look-back no longer than
//! the age that counts.

use std::time::Duration;

use serde::Deserialize;

use super::Pick;
use super::text::{MAX_SAMPLES, Sample};
use crate::web::fault::line;

/// Tells values from time stamps in the one answer.
const PART: &str = "__wattribute_part__";

/// The form of one query, evaluated at `at` (seconds, by the server's clock) or now.
pub fn form(pick: &Pick, max_age: Duration, at: Option<f64>) -> String {
    let query = expression(pick);
    let part = |name: &str, of: &str| format!("label_replace({of}, \"{PART}\", \"{name}\", \"\", \"\")");
    let both = format!("{} or {}", part("value", &query), part("time", &format!("timestamp({query})")));
    let age = max_age.as_secs().max(1);
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("query", &both)
        // Prometheus and those derived from it; VictoriaMetrics. Others pass over it, and the time stamps remain.
        .append_pair("lookback_delta", &format!("{age}s"))
        .append_pair("max_lookback", &format!("{age}s"));
    if let Some(at) = at {
        form.append_pair("time", &format!("{at:.3}"));
    }
    form.finish()
}

/// The PromQL of a choice.
fn expression(pick: &Pick) -> String {
    match pick {
        // A comment at its end must not swallow what follows.
        Pick::Query(query) => format!("({query}\n)"),
        Pick::Metric { name, labels, patterns } => {
            let equal = labels.iter().map(|(label, value)| format!("{label}={}", quoted(value)));
            let like =
                patterns.iter().map(|(label, pattern)| format!("{label}=~{}", quoted(pattern.as_str())));
            let name = std::iter::once(format!("__name__={}", quoted(name)));
            format!("{{{}}}", name.chain(equal).chain(like).collect::<Vec<_>>().join(","))
        }
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

#[derive(Deserialize)]
struct Reply {
    status: String,
    #[serde(default)]
    error: String,
    data: Option<Data>,
}

#[derive(Deserialize)]
struct Data {
    #[serde(rename = "resultType")]
    kind: String,
    result: serde_json::Value,
}

#[derive(Deserialize)]
struct One {
    metric: std::collections::BTreeMap<String, String>,
    value: (f64, String),
}

/// Values of series with their age.
#[derive(Debug, PartialEq)]
pub struct Aged {
    /// Its `at` is the server's clock, and that of the sample.
    pub sample: Sample,
    /// How old it was when the query was evaluated.
    pub age: Duration,
    /// When that was, by the server's clock.
    pub evaluated: f64,
}

/// What an answer says.
///
/// # Errors
/// The server's own message, or what is wrong with the answer.
pub fn parse(body: &[u8]) -> Result<Vec<Aged>, String> {
    let reply: Reply =
        serde_json::from_slice(body).map_err(|_| "is not that of a Prometheus query".to_owned())?;
    if reply.status != "success" {
        return Err(format!("says: {}", line(&reply.error)));
    }
    let data = reply.data.ok_or("holds no data")?;
    if data.kind != "vector" {
        return Err(format!("is a {}, not a vector: write a query for instant values", line(&data.kind)));
    }
    let all: Vec<One> = serde_json::from_value(data.result).map_err(|_| "holds no vector".to_owned())?;
    if all.len() > 2 * MAX_SAMPLES {
        return Err(format!("holds more than {MAX_SAMPLES} series: narrow the query"));
    }
    Ok(pair(all))
}

/// Puts each value and its time stamp together; a value without one is not of this moment, and left out.
fn pair(all: Vec<One>) -> Vec<Aged> {
    let mut values = Vec::new();
    let mut times = std::collections::HashMap::new();
    for mut one in all {
        let part = one.metric.remove(PART);
        let name = one.metric.remove("__name__").unwrap_or_default();
        let (evaluated, Ok(number)) = (one.value.0, one.value.1.parse::<f64>()) else { continue };
        match part.as_deref() {
            Some("value") => values.push((name, one.metric, evaluated, number)),
            Some("time") => {
                times.insert(one.metric, number);
            }
            Some(_) | None => {}
        }
    }
    values
        .into_iter()
        .filter_map(|(name, metric, evaluated, value)| {
            let at = times.get(&metric).copied().filter(|at| at.is_finite())?;
            let age = Duration::try_from_secs_f64((evaluated - at).max(0.0)).ok()?;
            let labels = metric.into_iter().collect();
            Some(Aged { sample: Sample { name, labels, value, at: Some(at) }, age, evaluated })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_becomes_one_query_with_its_time_stamps() {
        let pick = Pick::Metric {
            name: "ipmi_power_watts".into(),
            labels: vec![("name".into(), "a\"b\\".into())],
            patterns: vec![("id".into(), regex::Regex::new("1|2").unwrap())],
        };
        assert_eq!(expression(&pick), r#"{__name__="ipmi_power_watts",name="a\"b\\",id=~"1|2"}"#);
        let form = form(&Pick::Query("up # all".into()), Duration::from_secs(90), Some(1.5));
        let pairs: Vec<_> = form_urlencoded::parse(form.as_bytes()).into_owned().collect();
        assert_eq!(pairs[0].0, "query");
        assert!(pairs[0].1.contains("label_replace((up # all\n), "), "{}", pairs[0].1);
        assert!(pairs[0].1.contains("timestamp((up # all\n))"), "{}", pairs[0].1);
        assert_eq!(pairs[1], ("lookback_delta".to_owned(), "90s".to_owned()));
        assert_eq!(pairs[3], ("time".to_owned(), "1.500".to_owned()));
    }

    #[test]
    fn values_and_time_stamps_are_put_together() {
        let body = br#"{"status":"success","data":{"resultType":"vector","result":[
            {"metric":{"__name__":"p","a":"1","__wattribute_part__":"value"},"value":[1000.5,"12.5"]},
            {"metric":{"__name__":"p","a":"2","__wattribute_part__":"value"},"value":[1000.5,"NaN"]},
            {"metric":{"__name__":"p","a":"3","__wattribute_part__":"value"},"value":[1000.5,"1"]},
            {"metric":{"a":"1","__wattribute_part__":"time"},"value":[1000.5,"990.5"]},
            {"metric":{"a":"2","__wattribute_part__":"time"},"value":[1000.5,"2000"]}]}}"#;
        let aged = parse(body).unwrap();
        assert_eq!(aged.len(), 2, "the third has no time stamp");
        assert_eq!((aged[0].sample.value, aged[0].age), (12.5, Duration::from_secs(10)));
        assert_eq!(aged[0].sample.labels, [("a".to_owned(), "1".to_owned())]);
        assert_eq!(aged[1].age, Duration::ZERO, "a clock that is ahead makes nothing younger than now");
    }

    #[test]
    fn other_answers_are_errors_that_say_why() {
        for (body, want) in [
            ("", "is not that of a Prometheus query"),
            ("[]", "is not that of a Prometheus query"),
            (r#"{"status":"error","error":"parse\nerror"}"#, "says: parse error"),
            (r#"{"status":"success"}"#, "holds no data"),
            (
                r#"{"status":"success","data":{"resultType":"matrix","result":[]}}"#,
                "is a matrix, not a vector",
            ),
            (r#"{"status":"success","data":{"resultType":"vector","result":[1]}}"#, "holds no vector"),
        ] {
            let said = parse(body.as_bytes()).unwrap_err();
            assert!(said.starts_with(want), "{body}: {said}");
        }
    }
}
