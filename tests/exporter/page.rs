//! The metrics page read by hand, so that joules stay exact: values are decimals here, never floats.

use std::collections::BTreeMap;

/// One sample: labels by name, and the value as it is written.
#[derive(Debug, Clone)]
pub struct Sample {
    pub name: String,
    pub labels: BTreeMap<String, String>,
    pub value: String,
}

impl Sample {
    pub fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }

    pub fn number(&self) -> f64 {
        self.value.parse().unwrap()
    }

    /// The value in microjoules, exactly.
    pub fn microjoules(&self) -> u128 {
        let (whole, part) = self.value.split_once('.').unwrap_or((&self.value, ""));
        assert!(part.len() <= 6, "finer than microjoules: {self:?}");
        format!("{whole}{part:0<6}").parse().unwrap_or_else(|_| panic!("not a decimal: {self:?}"))
    }
}

/// A whole page in the classic format.
#[derive(Debug, Clone)]
pub struct Page {
    pub samples: Vec<Sample>,
    kinds: BTreeMap<String, String>,
}

impl Page {
    pub fn parse(text: &str) -> Self {
        let mut page = Self { samples: Vec::new(), kinds: BTreeMap::new() };
        for line in text.lines() {
            if let Some(kind) = line.strip_prefix("# TYPE ") {
                let (name, kind) = kind.split_once(' ').unwrap();
                page.kinds.insert(name.to_owned(), kind.to_owned());
            } else if !line.starts_with('#') {
                page.samples.push(sample(line));
            }
        }
        page
    }

    pub fn of<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Sample> {
        self.samples.iter().filter(move |s| s.name == name)
    }

    /// The one sample of `name` with these labels.
    pub fn find(&self, name: &str, labels: &[(&str, &str)]) -> Option<&Sample> {
        let matches = |s: &&Sample| s.name == name && labels.iter().all(|(k, v)| s.label(k) == *v);
        let mut hits = self.samples.iter().filter(matches);
        let hit = hits.next();
        assert!(hits.next().is_none(), "{name} {labels:?} stands twice");
        hit
    }

    /// Microjoules of `name` over all samples with these labels.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> u128 {
        let hits = self.of(name).filter(|s| labels.iter().all(|(k, v)| s.label(k) == *v));
        hits.map(Sample::microjoules).sum()
    }

    /// Samples that must never fall, by name and labels.
    pub fn counters(&self) -> BTreeMap<String, f64> {
        let counts = |s: &&Sample| {
            self.kinds.get(&s.name).is_some_and(|kind| kind == "counter")
                || s.name.ends_with("_bucket")
                || s.name.ends_with("_count")
        };
        self.samples
            .iter()
            .filter(counts)
            .map(|s| (format!("{}{:?}", s.name, s.labels), s.number()))
            .collect()
    }
}

/// Claims that `later` has every counter of `earlier`, at least as high.
pub fn no_counter_fell(earlier: &Page, later: &Page) {
    let now = later.counters();
    let before = earlier.counters();
    assert!(before.len() > 10, "{} counters", before.len());
    for (name, value) in before {
        let new = now.get(&name).unwrap_or_else(|| panic!("{name} is gone"));
        assert!(*new >= value, "{name} fell from {value} to {new}");
    }
}

fn sample(line: &str) -> Sample {
    let (name, rest) = line.split_at(line.find(['{', ' ']).unwrap());
    let mut labels = BTreeMap::new();
    let Some(mut rest) = rest.strip_prefix('{') else {
        return Sample { name: name.to_owned(), labels, value: rest.trim().to_owned() };
    };
    loop {
        rest = rest.trim_start_matches(',');
        if let Some(value) = rest.strip_prefix('}') {
            return Sample { name: name.to_owned(), labels, value: value.trim().to_owned() };
        }
        let (key, after) = rest.split_once("=\"").unwrap();
        let mut value = String::new();
        let mut chars = after.chars();
        rest = loop {
            match chars.next().unwrap() {
                '"' => break chars.as_str(),
                '\\' => value.push(match chars.next().unwrap() {
                    'n' => '\n',
                    other => other,
                }),
                other => value.push(other),
            }
        };
        labels.insert(key.to_owned(), value);
    }
}
