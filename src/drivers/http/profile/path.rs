//! Paths into an answer: keys joined by `/` as in JSON Pointer (`~1` is a slash, `~0` a tilde in a key), numbers for places in an
//! array, `*` for every one of them, `{n}` for what a channel's name was filled with.

use serde_json::Value;

use crate::drivers::channels::Template;

/// The most steps of a path.
const MAX_STEPS: usize = 16;
/// The most rows that `*` leads to.
pub const MAX_ROWS: usize = 1024;

/// A checked path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    text: String,
    steps: Vec<Step>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Key(Template),
    Every,
}

/// What `*` led to.
#[derive(Debug, Clone)]
pub struct Row<'a> {
    /// The key or place at each `*`.
    pub parts: Vec<String>,
    /// What stands there.
    pub value: &'a Value,
}

impl Path {
    /// Reads `text`; one slash in front may be there or not.
    ///
    /// # Errors
    /// If a key is empty or a brace stands alone, or there are too many.
    pub fn parse(text: &str) -> Result<Self, String> {
        let inner = text.strip_prefix('/').unwrap_or(text);
        let mut steps = Vec::new();
        for key in inner.split('/').filter(|_| !inner.is_empty()) {
            if key.is_empty() {
                return Err(format!("{text:?} has two slashes in a row"));
            }
            steps.push(match key {
                "*" => Step::Every,
                key => Step::Key(Template::parse(&key.replace("~1", "/").replace("~0", "~"))?),
            });
        }
        if steps.len() > MAX_STEPS {
            return Err(format!("{text:?} has more than {MAX_STEPS} keys"));
        }
        Ok(Self { text: inner.to_owned(), steps })
    }

    /// As it was written, for messages.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// How many `*` it has.
    pub fn stars(&self) -> usize {
        self.steps.iter().filter(|step| **step == Step::Every).count()
    }

    /// The names of its holes.
    pub fn holes(&self) -> impl Iterator<Item = &str> {
        self.steps
            .iter()
            .filter_map(|step| match step {
                Step::Key(key) => Some(key.holes()),
                Step::Every => None,
            })
            .flatten()
    }

    /// The path with its holes filled; none if `fill` has nothing for one.
    pub fn filled<'a>(&self, fill: impl Fn(&str) -> Option<&'a str>) -> Option<Self> {
        let step = |step: &Step| match step {
            Step::Every => Some(Step::Every),
            Step::Key(key) => Some(Step::Key(Template::fixed(key.fill(&fill)?))),
        };
        let steps = self.steps.iter().map(step).collect::<Option<_>>()?;
        Some(Self { text: self.text.clone(), steps })
    }

    /// What stands there; nothing where a key is missing, or the path has a `*` or a hole.
    pub fn get<'a>(&self, from: &'a Value) -> Option<&'a Value> {
        self.steps.iter().try_fold(from, |value, step| match step {
            Step::Key(key) => child(value, key.text()?),
            Step::Every => None,
        })
    }

    /// Everything that stands there, at most [`MAX_ROWS`].
    pub fn rows<'a>(&self, from: &'a Value) -> Vec<Row<'a>> {
        let mut rows = vec![Row { parts: Vec::new(), value: from }];
        for step in &self.steps {
            rows = match step {
                Step::Key(key) => {
                    let Some(key) = key.text() else { return Vec::new() };
                    rows.into_iter()
                        .filter_map(|row| Some(Row { value: child(row.value, key)?, ..row }))
                        .collect()
                }
                Step::Every => rows.iter().flat_map(children).take(MAX_ROWS).collect(),
            };
        }
        rows
    }
}

fn child<'a>(value: &'a Value, key: &str) -> Option<&'a Value> {
    match value {
        Value::Object(map) => map.get(key),
        Value::Array(items) => items.get(key.parse::<usize>().ok()?),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

fn children<'a>(row: &Row<'a>) -> Vec<Row<'a>> {
    let below = |part: String, value| {
        let mut parts = row.parts.clone();
        parts.push(part);
        Row { parts, value }
    };
    match row.value {
        Value::Object(map) => map.iter().map(|(key, value)| below(key.clone(), value)).collect(),
        Value::Array(items) => {
            items.iter().enumerate().map(|(at, value)| below(at.to_string(), value)).collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    }
}

/// A number, or text that is a number as a whole. What is null, absent or anything else is none.
pub fn number(value: &Value) -> Option<f64> {
    let number = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) if text.len() <= 64 => text.trim().parse().ok(),
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    };
    number.filter(|number| number.is_finite())
}

/// A single value as text.
pub fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(yes) => Some(yes.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_path_leads_through_objects_and_arrays() {
        let document = json!({"a": {"b:0": [1, {"c/d": "2.5"}]}, "n": null});
        for (path, want) in [
            ("a/b:0/0", Some(json!(1))),
            ("/a/b:0/1/c~1d", Some(json!("2.5"))),
            ("a/b:0/2", None),
            ("a/x", None),
            ("n", Some(json!(null))),
            ("n/x", None),
            ("a/*", None),
        ] {
            assert_eq!(Path::parse(path).unwrap().get(&document), want.as_ref(), "{path}");
        }
        assert_eq!(Path::parse("").unwrap().get(&document), Some(&document));
        let filled = Path::parse("a/b:{n}/0").unwrap();
        assert_eq!(filled.filled(|_| Some("0")).unwrap().get(&document), Some(&json!(1)));
        for bad in ["a//b", "a/{", &"a/".repeat(20)] {
            assert!(Path::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_star_leads_to_every_one_within_limits() {
        let document = json!({"meters": [{"p": 1}, {"p": 2}], "x": {"y": {"z": 3}}});
        let rows = |path: &str| -> Vec<(String, Value)> {
            let path = Path::parse(path).unwrap();
            path.rows(&document).into_iter().map(|row| (row.parts.join(","), row.value.clone())).collect()
        };
        assert_eq!(rows("meters/*/p"), [("0".to_owned(), json!(1)), ("1".to_owned(), json!(2))]);
        assert_eq!(rows("x/*/*"), [("y,z".to_owned(), json!(3))]);
        assert_eq!(rows("x/y/z/*"), []);
        let many = json!(vec![vec![0; 100]; 100]);
        assert_eq!(Path::parse("*/*").unwrap().rows(&many).len(), MAX_ROWS);
    }

    #[test]
    fn only_whole_finite_numbers_count() {
        for (value, want) in [
            (json!(1.5), Some(1.5)),
            (json!(" 12.25 "), Some(12.25)),
            (json!("12 W"), None),
            (json!("NaN"), None),
            (json!("inf"), None),
            (json!(null), None),
            (json!(true), None),
            (json!([1]), None),
        ] {
            assert_eq!(number(&value), want, "{value}");
        }
    }
}
