//! How JSON of BMCs is read: whatever is not as the schema says is simply not there. Pure; the shapes of the resources
//! are in `resources`, those of makers' own additions in `oem`.
//!
//! Services differ in what they leave out, so nothing here fails: a property that is absent, `null` or of another type
//! is the default. Numbers may come as strings, texts as numbers.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// The most elements of a list that are kept.
const MAX_ELEMENTS: usize = 256;
/// The longest text that is kept; a longer one is not there.
const MAX_TEXT_BYTES: usize = 2048;

/// The JSON object in `body`, or nothing if it is anything else.
pub(super) fn object(body: &[u8]) -> Option<Value> {
    // Some services begin with a byte order mark.
    let body = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
    serde_json::from_slice(body).ok().filter(Value::is_object)
}

/// What `document` says of a `T`.
pub(super) fn read<T: DeserializeOwned + Default>(document: &Value) -> T {
    T::deserialize(document).unwrap_or_default()
}

/// Both in one.
pub(super) fn parse<T: DeserializeOwned + Default>(body: &[u8]) -> Option<T> {
    object(body).map(|document| read(&document))
}

/// Any value that does not fit is the default.
pub(super) fn lenient<'de, D: Deserializer<'de>, T: DeserializeOwned + Default>(
    from: D,
) -> Result<T, D::Error> {
    Ok(T::deserialize(Value::deserialize(from)?).unwrap_or_default())
}

/// As [`lenient`] for each element: a broken one keeps its place, since places name some elements.
pub(super) fn list<'de, D: Deserializer<'de>, T: DeserializeOwned + Default>(
    from: D,
) -> Result<Vec<T>, D::Error> {
    Ok(match Value::deserialize(from)? {
        Value::Array(elements) => {
            let elements = elements.into_iter().take(MAX_ELEMENTS);
            elements.map(|element| T::deserialize(element).unwrap_or_default()).collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => Vec::new(),
    })
}

/// A number, also one in a string.
pub(super) fn number<'de, D: Deserializer<'de>>(from: D) -> Result<Option<f64>, D::Error> {
    Ok(number_in(&Value::deserialize(from)?))
}

/// As [`number`], of a value at hand.
pub(super) fn number_in(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
    .filter(|number: &f64| number.is_finite())
}

/// A text that is not empty, also a number in place of one.
pub(super) fn text<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    Ok(match Value::deserialize(from)? {
        Value::String(text) => {
            Some(text).filter(|text| text.len() <= MAX_TEXT_BYTES && !text.trim().is_empty())
        }
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    })
}

/// A whole number of things, also in a string; none if it is no such number.
pub(super) fn count<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u32>, D::Error> {
    let value = number_in(&Value::deserialize(from)?).filter(|value| value.fract() == 0.0);
    // Through text, since a cast would make a number of what is none.
    Ok(value.and_then(|value| value.to_string().parse().ok()))
}

/// A yes or no.
pub(super) fn flag<'de, D: Deserializer<'de>>(from: D) -> Result<Option<bool>, D::Error> {
    Ok(Value::deserialize(from)?.as_bool())
}

/// A resource's shape: each property with its name in JSON and how it is read.
macro_rules! resource {
    ($(#[$doc:meta])* $name:ident { $($(#[$meta:meta])* $field:ident: $type:ty = $key:literal by $how:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Default, PartialEq, serde::Deserialize)]
        #[serde(default)]
        pub(super) struct $name {
            $($(#[$meta])* #[serde(rename = $key, deserialize_with = $how)] pub(super) $field: $type,)*
        }
    };
}

pub(super) use resource;

#[cfg(test)]
mod tests {
    use super::super::resources::{Collection, Control, Power};
    use super::*;

    fn power(json: &str) -> Power {
        parse(json.as_bytes()).unwrap()
    }

    #[test]
    fn a_number_is_a_number_or_a_string_that_is_one() {
        for (json, want) in [
            ("429", Some(429.0)),
            ("429.5", Some(429.5)),
            (r#""429""#, Some(429.0)),
            (r#"" 429.5 ""#, Some(429.5)),
            ("null", None),
            (r#""""#, None),
            (r#""N/A""#, None),
            (r#""NaN""#, None),
            (r#""inf""#, None),
            (r#""1e999""#, None),
            ("true", None),
            ("[429]", None),
            (r#"{"Reading":429}"#, None),
        ] {
            let power = power(&format!(r#"{{"PowerControl":[{{"PowerConsumedWatts":{json}}}]}}"#));
            assert_eq!(power.controls[0].consumed_watts, want, "{json}");
        }
    }

    #[test]
    fn a_broken_element_keeps_its_place_and_hurts_no_other() {
        let power =
            power(r#"{"PowerControl":[null, 7, {"MemberId":0,"PowerConsumedWatts":10}],"PowerSupplies":{}}"#);
        assert_eq!(power.controls.len(), 3);
        assert_eq!(power.controls[0], Control::default());
        assert_eq!(power.controls[2].member.as_deref(), Some("0"));
        assert_eq!(power.supplies, []);
    }

    #[test]
    fn null_members_are_an_empty_collection() {
        let page: Collection = parse(br#"{"Members":null,"Members@odata.nextLink":null}"#).unwrap();
        assert_eq!(page, Collection::default());
    }

    #[test]
    fn what_is_no_object_is_no_resource() {
        let deep = "[".repeat(10_000);
        for body in ["", "[]", "7", "<html>", "{", "{}{}", r#"{"a":1}x"#, deep.as_str()] {
            assert!(object(body.as_bytes()).is_none(), "{body:.20}");
        }
        assert!(object(b"\xEF\xBB\xBF{}").is_some());
    }
}
