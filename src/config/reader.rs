//! A serde deserializer over [`Node`] that reports what it refuses and goes on: unknown and repeated keys, empty
//! values, wrong types. The types it fills stand in `schema`; every key of theirs is a [`Field`](super::field::Field).

use std::cell::RefCell;
use std::fmt;

use serde::de::value::{StrDeserializer, U64Deserializer};
use serde::de::{
    self, Deserialize, DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess, SeqAccess,
    VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;

use super::field::FIELD;
use super::node::{Key, Node, Value};
use super::problem::{Fault, Mark, Problems, nearest, shown};

/// The name of enums whose variant is the kind of the value: `text`, `list` or `map`.
pub(super) const KIND: &str = "$kind";

impl de::Error for Fault {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::from(message.to_string().as_str())
    }

    /// serde would quote the value, which may be a secret in the wrong place.
    fn invalid_type(_: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::new("has the wrong type", format!("write {expected}"))
    }
}

/// Reads `node` as `T`. What is wrong goes to `problems`; nothing comes back only if the node is no `T` at all.
pub(super) fn read<'de, T: Deserialize<'de>>(node: &Node, problems: &RefCell<Problems>) -> Option<T> {
    let report =
        |fault: Fault| problems.borrow_mut().error(node.at, format!("the file {}", fault.what), fault.fix);
    T::deserialize(Reader { node, key: "", item: false, problems }).map_err(report).ok()
}

/// One node, the key it stands under, and where errors go.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    node: &'a Node,
    key: &'a str,
    /// Whether the node is an item of the list under the key.
    item: bool,
    problems: &'a RefCell<Problems>,
}

impl<'a> Reader<'a> {
    fn report(&self, fault: Fault) {
        let entry = if self.item { "an entry of " } else { "" };
        let what = format!("{entry}`{}` {}", self.key, fault.what);
        self.problems.borrow_mut().error(self.node.at, what, fault.fix);
    }

    fn wrong<T>(&self, fix: &str) -> Result<T, Fault> {
        Err(Fault::new(format!("is {}", self.node.kind()), fix))
    }

    fn number<T: std::str::FromStr>(&self, fix: &str) -> Result<T, Fault> {
        match &self.node.value {
            Value::Number(text) => text.parse().map_err(|_| Fault::new(format!("is `{}`", shown(text)), fix)),
            Value::Null | Value::Bool(_) | Value::Text(_) | Value::List(_) | Value::Map(_) => self.wrong(fix),
        }
    }

    /// Text as it stands in the file, numbers included.
    fn text(&self, fix: &str) -> Result<&'a str, Fault> {
        match &self.node.value {
            Value::Text(text) | Value::Number(text) => Ok(text),
            Value::Null | Value::Bool(_) | Value::List(_) | Value::Map(_) => self.wrong(fix),
        }
    }

    fn unknown_key(&self, key: &Key, fields: &[&'static str]) {
        let mut problems = self.problems.borrow_mut();
        let name = &key.name;
        let (file, variable) = (format!("{name}_file"), format!("{name}_env"));
        if fields.contains(&file.as_str()) && fields.contains(&variable.as_str()) {
            let fix = format!(
                "put the secret into a file named by `{file}`, or into a variable named by `{variable}`"
            );
            problems.error(key.at, format!("`{name}` stands in the configuration itself"), fix);
            problems.means(self.node.at, &file);
            return;
        }
        let fix = match nearest(name, fields.iter().copied()) {
            Some(near) => {
                problems.means(self.node.at, near);
                format!("did you mean `{near}`?")
            }
            None => format!("known here are {}", fields.join(", ")),
        };
        problems.error(key.at, format!("`{}` is not a known key", shown(name)), fix);
    }

    /// The entries whose key is in `fields`, each once; the others are reported.
    fn known_entries(
        &self,
        entries: &'a [(Key, Node)],
        fields: &'static [&'static str],
    ) -> Vec<(&'a Key, &'a Node)> {
        let known = |key: &Key| {
            let known = fields.contains(&key.name.as_str());
            if !known {
                self.unknown_key(key, fields);
            }
            known
        };
        self.entries(entries, known)
    }

    /// The entries whose key `counts`; one that stands twice is reported.
    fn entries<'e>(
        &self,
        entries: &'e [(Key, Node)],
        counts: impl Fn(&Key) -> bool,
    ) -> Vec<(&'e Key, &'e Node)> {
        let mut known: Vec<(&Key, &Node)> = Vec::with_capacity(entries.len());
        for (key, node) in entries {
            if !counts(key) {
                continue;
            }
            if let Some((first, _)) = known.iter().find(|(other, _)| other.name == key.name) {
                let what = format!("`{}` stands twice, first on {}", key.name, first.at.line());
                self.problems.borrow_mut().error(key.at, what, "remove one of the two");
            } else {
                known.push((key, node));
            }
        }
        known
    }
}

macro_rules! numbers {
    ($($method:ident $visit:ident $type:ty, $fix:literal;)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
            visitor.$visit(self.number::<$type>($fix)?)
        }
    )*};
}

impl<'de> Deserializer<'de> for Reader<'_> {
    type Error = Fault;

    numbers! {
        deserialize_u16 visit_u16 u16, "write a whole number";
        deserialize_u32 visit_u32 u32, "write a whole number";
        deserialize_f64 visit_f64 f64, "write a number, such as 0.5";
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.node.value {
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Null | Value::Number(_) | Value::Text(_) | Value::List(_) | Value::Map(_) => {
                self.wrong("write true or false")
            }
        }
    }

    /// For keys only: the types of the schema always say what they want.
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_str(visitor)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_str(self.text("write text; quote it if it looks like something else")?)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_str(visitor)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.node.value {
            Value::List(items) => visitor.visit_seq(Items { parent: self, items: items.iter() }),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) | Value::Map(_) => {
                self.wrong("write a list, each item on a line of its own after `- `")
            }
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match &self.node.value {
            Value::Map(entries) => {
                let entries = self.known_entries(entries, fields).into_iter();
                visitor.visit_map(Entries { parent: self, entries, value: None })
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) | Value::List(_) => {
                self.wrong(&format!("write keys under it; known are {}", fields.join(", ")))
            }
        }
    }

    /// A map with keys of the operator's own, such as labels.
    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.node.value {
            Value::Map(entries) => {
                let entries = self.entries(entries, |_| true).into_iter();
                visitor.visit_map(Entries { parent: self, entries, value: None })
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) | Value::List(_) => {
                self.wrong("write keys with values under it")
            }
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        if name == FIELD {
            visitor.visit_seq(Located { reader: self, place: Some(self.node.at) })
        } else {
            visitor.visit_newtype_struct(self)
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        if name == KIND {
            // Only what may be a channel may be text.
            if !variants.contains(&"text") && !matches!(self.node.value, Value::List(_) | Value::Map(_)) {
                return self.wrong("write a list, or keys under it");
            }
            return visitor.visit_enum(self);
        }
        let choice = format!("choose {}", variants.join(", "));
        let text = self.text(&choice)?;
        if variants.contains(&text) {
            visitor.visit_enum(text.into_deserializer())
        } else {
            Err(Fault::new(format!("is `{}`", shown(text)), choice))
        }
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u64 u128 f32 char bytes byte_buf option unit unit_struct tuple tuple_struct
        identifier ignored_any
    }
}

/// The kind of the value as the variant of an enum named [`KIND`].
impl<'de> EnumAccess<'de> for Reader<'_> {
    type Error = Fault;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), Fault> {
        let kind = match &self.node.value {
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) => "text",
            Value::List(_) => "list",
            Value::Map(_) => "map",
        };
        let tag: StrDeserializer<'_, Fault> = kind.into_deserializer();
        seed.deserialize(tag).map(|variant| (variant, self)).map_err(|_| {
            Fault::new(format!("is {}", self.node.kind()), "write METER/CHANNEL, or a list of such")
        })
    }
}

impl<'de> VariantAccess<'de> for Reader<'_> {
    type Error = Fault;

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Fault> {
        seed.deserialize(self)
    }

    fn unit_variant(self) -> Result<(), Fault> {
        self.wrong("write a value")
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, Fault> {
        self.wrong("write a value")
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], _: V) -> Result<V::Value, Fault> {
        self.wrong("write a value")
    }
}

struct Items<'a> {
    parent: Reader<'a>,
    items: std::slice::Iter<'a, Node>,
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = Fault;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Fault> {
        self.items.next().map(|node| seed.deserialize(Reader { node, item: true, ..self.parent })).transpose()
    }
}

struct Entries<'a> {
    parent: Reader<'a>,
    entries: std::vec::IntoIter<(&'a Key, &'a Node)>,
    value: Option<Reader<'a>>,
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = Fault;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Fault> {
        let Some((key, node)) = self.entries.next() else { return Ok(None) };
        self.value = Some(Reader { node, key: &key.name, item: false, ..self.parent });
        let name: StrDeserializer<'_, Fault> = key.name.as_str().into_deserializer();
        seed.deserialize(name).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Fault> {
        let value = self.value.take().ok_or_else(|| Fault::new("has no value", "write one"))?;
        seed.deserialize(value)
    }
}

/// A field: first its place, then its value, whose error is reported here, where key and place are known.
struct Located<'a> {
    reader: Reader<'a>,
    place: Option<Mark>,
}

impl<'de> SeqAccess<'de> for Located<'_> {
    type Error = Fault;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Fault> {
        if let Some(place) = self.place.take() {
            let place: U64Deserializer<Fault> = place.pack().into_deserializer();
            return seed.deserialize(place).map(Some);
        }
        let value = if matches!(self.reader.node.value, Value::Null) {
            Err(Fault::new("has no value", "write one, or remove the key"))
        } else {
            seed.deserialize(self.reader)
        };
        value.map(Some).inspect_err(|fault| self.reader.report(fault.clone()))
    }
}
