//! YAML text as a tree in which every key and value knows its place. serde-saphyr parses, resolves aliases and merge
//! keys and holds the limits; this tree exists because serde stops at a type's first error, and we want them all.

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Error, Location, Spanned};

use super::problem::{Fault, Mark};

/// Levels of lists and maps in each other. Ours has seven.
const MAX_DEPTH: usize = 24;
/// Keys, values, lists and maps in one file: some 100,000 meters.
const MAX_NODES: usize = 4_000_000;

/// One value with its place.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) at: Mark,
    pub(super) value: Value,
}

/// What a value is. Numbers keep their text, so that an id of digits or an exact decimal survives.
#[derive(Debug)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Number(String),
    Text(String),
    List(Vec<Node>),
    /// In the order of the file; a key may stand twice.
    Map(Vec<(Key, Node)>),
}

/// A key of a map with its place.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) at: Mark,
    pub(super) name: String,
}

impl Node {
    /// What it is, for messages; never its content.
    pub(super) const fn kind(&self) -> &'static str {
        match self.value {
            Value::Null => "empty",
            Value::Bool(_) => "true or false",
            Value::Number(_) => "a number",
            Value::Text(_) => "text",
            Value::List(_) => "a list",
            Value::Map(_) => "a map of keys",
        }
    }

    /// The place of the value at a garde path such as `meters[3].redfish.timeout`; steps that only
    /// the types have, such as the number in an enum's variant, are passed over.
    pub(super) fn place(&self, path: &str) -> Mark {
        let mut node = self;
        for step in path.split(['.', '[', ']']).filter(|step| !step.is_empty()) {
            let next = match &node.value {
                Value::Map(entries) => {
                    entries.iter().find(|(key, _)| key.name == step).map(|(_, value)| value)
                }
                Value::List(items) => step.parse::<usize>().ok().and_then(|index| items.get(index)),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) => None,
            };
            node = next.unwrap_or(node);
        }
        node.at
    }
}

/// Reads one document.
///
/// # Errors
/// The place and the fault of the first thing that is not YAML: after it nothing can be trusted.
pub(super) fn parse(text: &str, file: u16) -> Result<Node, (Mark, Fault)> {
    let options = serde_saphyr::options! {
        duplicate_keys: serde_saphyr::DuplicateKeyPolicy::PassThrough,
        non_finite_float_policy: serde_saphyr::NonFiniteFloatPolicy::PassThrough,
        strict_booleans: true,
        reject_unsupported_tags: true,
        with_snippet: false,
        budget: serde_saphyr::budget! {
            max_depth: MAX_DEPTH,
            max_nodes: MAX_NODES,
            max_events: 2 * MAX_NODES,
            max_documents: 1,
        },
    };
    let raw: Spanned<Raw> = serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let at = error.location().map_or(Mark::new(file, 1, 1), |place| mark(file, place));
        (at, syntax(&error))
    })?;
    Ok(Builder { text, file }.node(raw))
}

/// A value as serde-saphyr hands it over: numbers have lost their text, but not their place.
enum Raw {
    Null,
    Bool(bool),
    Number,
    Text(String),
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<String>, Spanned<Raw>)>),
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("YAML")
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_none<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Raw, E> {
        Ok(Raw::Bool(value))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Raw, E> {
        Ok(Raw::Number)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Raw, E> {
        Ok(Raw::Number)
    }

    fn visit_i128<E>(self, _: i128) -> Result<Raw, E> {
        Ok(Raw::Number)
    }

    fn visit_u128<E>(self, _: u128) -> Result<Raw, E> {
        Ok(Raw::Number)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Raw, E> {
        Ok(Raw::Number)
    }

    fn visit_str<E>(self, value: &str) -> Result<Raw, E> {
        Ok(Raw::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Raw, E> {
        Ok(Raw::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Raw, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Raw::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Raw, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        Ok(Raw::Map(map))
    }
}

/// Turns [`Raw`] into [`Node`], fetching the text of numbers from the source.
struct Builder<'a> {
    text: &'a str,
    file: u16,
}

impl Builder<'_> {
    fn node(&self, raw: Spanned<Raw>) -> Node {
        let value = match raw.value {
            Raw::Null => Value::Null,
            Raw::Bool(value) => Value::Bool(value),
            Raw::Number => Value::Number(self.source(raw.defined).unwrap_or_default().to_owned()),
            Raw::Text(value) => Value::Text(value),
            Raw::List(items) => Value::List(items.into_iter().map(|item| self.node(item)).collect()),
            Raw::Map(entries) => Value::Map(
                entries
                    .into_iter()
                    .map(|(key, value)| {
                        (Key { at: mark(self.file, key.referenced), name: key.value }, self.node(value))
                    })
                    .collect(),
            ),
        };
        Node { at: mark(self.file, raw.referenced), value }
    }

    fn source(&self, place: Location) -> Option<&str> {
        let start = usize::try_from(place.span().byte_offset()?).ok()?;
        let length = usize::try_from(place.span().byte_len()?).ok()?;
        self.text.get(start..start.checked_add(length)?)
    }
}

fn mark(file: u16, place: Location) -> Mark {
    let number = |value: u64| u32::try_from(value).unwrap_or(u32::MAX).max(1);
    Mark::new(file, number(place.line()), number(place.column()))
}

/// The parser's message with advice. It quotes nothing of the file but single characters.
fn syntax(error: &Error) -> Fault {
    let error = error.without_snippet();
    let text = error.to_string();
    let text = text.split(" at line ").next().unwrap_or_default();
    let (what, fix) = match error {
        Error::Budget { .. } if text.contains("Documents") => {
            ("a second document starts here".into(), "keep one document a file; put others under `include`")
        }
        Error::Budget { .. } if text.contains("Depth") => {
            (format!("lists and maps are nested more than {MAX_DEPTH} levels deep"), "check the indentation")
        }
        Error::Budget { .. } => {
            (format!("the file is larger than allowed ({text})"), "split it and use `include`")
        }
        Error::UnknownAnchor { .. } => (
            "`*` starts an alias, and no such anchor is known".into(),
            "quote the value if it is meant as text",
        ),
        Error::UnsupportedTag { .. } => {
            ("`!` starts a tag, and no tags are known".into(), "quote the value if it is meant as text")
        }
        _ if text.contains("tab") => {
            ("a tab stands where YAML wants spaces".into(), "indent with spaces, as the lines around it")
        }
        _ if text.contains("mapping values are not allowed") => (
            "a `:` stands where no key can be".into(),
            "align the key with its neighbours, or quote a value that holds `: `",
        ),
        _ if text.contains("unexpected character") => {
            ("a value cannot start with this character".into(), "quote the value")
        }
        _ => (format!("this is not YAML: {text}"), "correct the line or the one before it"),
    };
    Fault::new(what, fix)
}
