//! The resources of the last full reading, and what their readings would be with other values in some properties.
//!
//! A metric report names properties by their address. What a property means, and for which channel, is decided in one place
//! only, where resources become readings; so a value of a report is put into a copy of its resource, and the copy is read.
//! Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::Value;

use crate::drivers::redfish::lenient::number_in;
use crate::drivers::redfish::origin::{Origin, ResourcePath};
use crate::model::{ChannelId, Quantity, Reading};

/// The most properties with a reading that are followed at one BMC.
const MAX_LEAVES: usize = 400;
/// The deepest that a resource is looked into.
const MAX_DEPTH: usize = 8;
/// Properties that hold readings, all others describe.
const READINGS: [&str; 11] = [
    "Reading",
    "LifetimeReading",
    "ApparentVA",
    "PowerFactor",
    "PowerConsumedWatts",
    "PowerInputWatts",
    "LineInputVoltage",
    "ReadingVolts",
    "ReadingCelsius",
    // Makers' own totals: see `oem`.
    "CurrentPowerConsumptionW",
    "TotalPower",
];

/// Resources by their path.
#[derive(Debug, Clone, Default)]
pub(in crate::drivers::redfish) struct Docs(HashMap<String, Value>);

/// A property: its resource, as in [`Docs`], and the pointer to it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Leaf {
    pub(super) resource: String,
    pub(super) pointer: String,
}

/// A channel's quantity.
type Point = (ChannelId, Quantity);

/// Which properties each reading is made of.
#[derive(Debug, Default)]
pub(super) struct Map {
    /// What the readings depend on; each has all of its properties.
    needs: HashMap<Point, BTreeSet<Leaf>>,
    /// Every property that holds a reading at the moment.
    leaves: BTreeSet<Leaf>,
    /// The properties that show a sensor, by the sensor's path.
    sensors: HashMap<String, Vec<Leaf>>,
    /// Resources with averages over windows of their own, which no report replaces.
    windows: BTreeSet<String>,
}

impl Docs {
    /// Adds or replaces a resource.
    pub(in crate::drivers::redfish) fn insert(&mut self, path: &ResourcePath, document: Value) {
        self.0.insert(path.key(), document);
    }

    /// The resource at `path`.
    pub(in crate::drivers::redfish) fn get(&self, path: &ResourcePath) -> Option<&Value> {
        self.0.get(&path.key())
    }

    /// Takes all of the other's.
    pub(super) fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Only what is at these resources.
    pub(super) fn only(&self, resources: &BTreeSet<String>) -> Self {
        let kept = self.0.iter().filter(|(path, _)| resources.contains(*path));
        Self(kept.map(|(path, document)| (path.clone(), document.clone())).collect())
    }

    /// A copy with `values` in their properties.
    pub(super) fn with<'a>(&self, values: impl Iterator<Item = (&'a Leaf, f64)>) -> Self {
        let mut copy = self.clone();
        for (leaf, value) in values {
            copy.set(leaf, value);
        }
        copy
    }

    fn set(&mut self, leaf: &Leaf, value: f64) {
        let slot = self.0.get_mut(&leaf.resource).and_then(|document| document.pointer_mut(&leaf.pointer));
        if let Some(slot) = slot {
            *slot = value.into();
        }
    }

    fn value(&self, leaf: &Leaf) -> Option<f64> {
        number_in(self.0.get(&leaf.resource)?.pointer(&leaf.pointer)?)
    }

    /// Every property that holds a reading, and the sensors behind them.
    fn leaves(&self, origin: &Origin) -> (BTreeSet<Leaf>, HashMap<String, Vec<Leaf>>) {
        let (mut leaves, mut sensors) = (BTreeSet::new(), HashMap::<String, Vec<Leaf>>::new());
        for (resource, document) in &self.0 {
            let mut found = Vec::new();
            walk(document, &mut String::new(), 0, &mut found);
            for (pointer, sensor) in found {
                let leaf = Leaf { resource: resource.clone(), pointer };
                if let Some(sensor) = sensor.and_then(|uri| origin.resolve(uri)) {
                    sensors.entry(sensor.key()).or_default().push(leaf.clone());
                }
                leaves.insert(leaf);
            }
        }
        (leaves, sensors)
    }
}

/// Pointers to the numbers below `value`, those called `Reading` with the sensor that they show.
fn walk<'a>(value: &'a Value, at: &mut String, depth: usize, found: &mut Vec<(String, Option<&'a str>)>) {
    if depth > MAX_DEPTH || found.len() > MAX_LEAVES {
        return;
    }
    let length = at.len();
    if let Some(fields) = value.as_object() {
        for (name, field) in fields {
            at.push('/');
            at.push_str(&name.replace('~', "~0").replace('/', "~1"));
            if READINGS.contains(&name.as_str()) && number_in(field).is_some() {
                let sensor = fields.get("DataSourceUri").and_then(Value::as_str);
                found.push((at.clone(), sensor.filter(|_| name == "Reading")));
            } else {
                walk(field, at, depth + 1, found);
            }
            at.truncate(length);
        }
    }
    for (place, element) in value.as_array().into_iter().flatten().enumerate() {
        at.push_str(&format!("/{place}"));
        walk(element, at, depth + 1, found);
        at.truncate(length);
    }
}

/// Whether anything below `value` has `PowerMetrics`.
fn has_window(value: &Value, depth: usize) -> bool {
    let below = |value: &Value| depth < MAX_DEPTH && has_window(value, depth + 1);
    value.get("PowerMetrics").is_some_and(Value::is_object)
        || value.as_object().is_some_and(|fields| fields.values().any(below))
        || value.as_array().is_some_and(|elements| elements.iter().any(below))
}

impl Map {
    /// Finds out what each reading of `docs` is made of, by changing one property after the other. `read` makes the readings.
    pub(super) fn of(docs: &Docs, origin: &Origin, read: &dyn Fn(&Docs) -> Vec<Reading>) -> Self {
        let (leaves, sensors) = docs.leaves(origin);
        let mut needs: HashMap<Point, BTreeSet<Leaf>> = HashMap::new();
        if leaves.len() > MAX_LEAVES {
            tracing::debug!(properties = leaves.len(), "too many properties to follow in metric reports");
            return Self { leaves, ..Self::default() };
        }
        let values = |docs: &Docs| -> BTreeMap<Point, f64> {
            let readings = read(docs).into_iter();
            readings.map(|r| ((r.channel, r.measure.quantity()), r.measure.value())).collect()
        };
        let before = values(docs);
        let mut changed = docs.clone();
        for leaf in &leaves {
            let Some(value) = docs.value(leaf) else { continue };
            changed.set(leaf, value * 1.01 + 1.0);
            let after = values(&changed);
            for (point, value) in &before {
                if after.get(point) != Some(value) {
                    needs.entry(point.clone()).or_default().insert(leaf.clone());
                }
            }
            changed.set(leaf, value);
        }
        let windows =
            docs.0.iter().filter(|(_, document)| has_window(document, 0)).map(|(path, _)| path.clone());
        Self { needs, leaves, sensors, windows: windows.collect() }
    }

    /// Whether no reading is known of any property.
    pub(super) fn is_empty(&self) -> bool {
        self.needs.is_empty()
    }

    /// Whether it still is the map of `docs`: the same properties hold readings.
    pub(super) fn fits(&self, docs: &Docs, origin: &Origin) -> bool {
        docs.leaves(origin).0 == self.leaves
    }

    /// The properties that a report calls `property`; those that no reading hangs on are none.
    pub(super) fn leaves_of(&self, property: &str, origin: &Origin) -> Vec<Leaf> {
        let (resource, pointer) = property.split_once('#').unwrap_or((property, ""));
        let Some(path) = origin.resolve(resource) else { return Vec::new() };
        let pointer = format!("/{}", pointer.trim_start_matches('/'));
        let direct = Leaf { resource: path.key(), pointer };
        if self.leaves.contains(&direct) {
            return vec![direct];
        }
        let whole = matches!(direct.pointer.as_str(), "/" | "/Reading");
        self.sensors.get(&direct.resource).filter(|_| whole).cloned().unwrap_or_default()
    }

    /// Whether `leaves` are all that the reading of `point` is made of.
    pub(super) fn is_made_of(&self, point: &Point, leaves: &BTreeSet<Leaf>) -> bool {
        self.needs.get(point).is_some_and(|needs| needs.is_subset(leaves))
    }

    /// The resources all of whose readings are made of `leaves` alone, and that have any.
    pub(super) fn covered_by(&self, leaves: &BTreeSet<Leaf>) -> BTreeSet<String> {
        let used: BTreeSet<&Leaf> = self.needs.values().flatten().collect();
        let of = |wanted: bool| -> BTreeSet<String> {
            let found = used.iter().filter(|leaf| leaves.contains(**leaf) == wanted);
            found.map(|leaf| leaf.resource.clone()).collect()
        };
        &(&of(true) - &of(false)) - &self.windows
    }
}
