//! [`Field`]: a value of the schema that is there, absent or bad, with its place. A bad one has been reported by the
//! reader and does not stop the others; that is how all errors of a file come at once.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use garde::error::Path as GardePath;
use garde::rules::range::{Bounds, OutOfBounds};
use garde::{Report, Validate};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{Deserialize, Deserializer, SeqAccess, Visitor};

use super::problem::Mark;

/// The name under which a field asks [`Reader`](super::reader::Reader) for its place and value.
pub(super) const FIELD: &str = "$field";

/// A value of the schema.
#[derive(Debug, Clone, Default)]
pub(super) enum Field<T> {
    /// The key is not there.
    #[default]
    Absent,
    /// The key is there, its value was refused, and the error is reported.
    Bad,
    /// A value and its place.
    Is(T, Mark),
}

/// A list whose items are read each on its own.
pub(super) type List<T> = Field<Vec<Field<T>>>;

impl<T> Field<T> {
    /// The value, if there is a good one.
    pub(super) const fn get(&self) -> Option<&T> {
        match self {
            Self::Is(value, _) => Some(value),
            Self::Absent | Self::Bad => None,
        }
    }

    /// The value and its place, if there is a good one.
    pub(super) const fn located(&self) -> Option<(&T, Mark)> {
        match self {
            Self::Is(value, at) => Some((value, *at)),
            Self::Absent | Self::Bad => None,
        }
    }

    /// Whether the key is not there at all.
    pub(super) const fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }
}

impl<T> Field<Vec<Field<T>>> {
    /// The good items and their places.
    pub(super) fn items(&self) -> impl Iterator<Item = (&T, Mark)> {
        self.get().into_iter().flatten().filter_map(Field::located)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Field<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(FIELD, FieldVisitor(PhantomData))
    }
}

struct FieldVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for FieldVisitor<T> {
    type Value = Field<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value with its place")
    }

    /// The packed place comes first, then the value; its error has been reported when it gets here.
    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Field<T>, A::Error> {
        let place: Option<u64> = parts.next_element()?;
        Ok(match (place, parts.next_element()) {
            (Some(place), Ok(Some(value))) => Field::Is(value, Mark::unpack(place)),
            _ => Field::Bad,
        })
    }
}

impl<T: Validate> Validate for Field<T> {
    type Context = T::Context;

    fn validate_into(&self, ctx: &T::Context, parent: &mut dyn FnMut() -> GardePath, report: &mut Report) {
        if let Self::Is(value, _) = self {
            value.validate_into(ctx, parent, report);
        }
    }
}

impl<T: PartialEq> PartialEq for Field<T> {
    fn eq(&self, other: &Self) -> bool {
        self.get() == other.get()
    }
}

impl<T: PartialOrd> PartialOrd for Field<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        self.get().partial_cmp(&other.get())
    }
}

/// So that `#[garde(range(..))]`, which the JSON Schema shows as well, may stand on a field.
impl<T: Bounds> Bounds for Field<T> {
    type Size = T::Size;

    const MIN: Self::Size = T::MIN;
    const MAX: Self::Size = T::MAX;

    fn validate_bounds(&self, lower: Self::Size, upper: Self::Size) -> Result<(), OutOfBounds> {
        self.get().map_or(Ok(()), |value| value.validate_bounds(lower, upper))
    }
}

/// To an editor a field is its value.
impl<T: JsonSchema> JsonSchema for Field<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}
