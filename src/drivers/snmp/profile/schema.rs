//! A profile as a file says it: every key there is. Nothing here is trusted; `check` makes a [`super::Profile`] of it.

use std::collections::BTreeMap;

use serde::Deserialize;

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawProfile {
    pub protocol: String,
    pub name: String,
    #[serde(default)]
    pub vendor: String,
    pub about: String,
    #[serde(rename = "match")]
    pub matching: RawMatch,
    #[serde(default)]
    pub identity: RawIdent,
    pub channels: Vec<RawGroup>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawMatch {
    #[serde(default)]
    pub fallback: bool,
    #[serde(default)]
    pub sys_object_ids: Vec<String>,
    #[serde(default)]
    pub probes: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawIdent {
    pub vendor: Vec<String>,
    pub model: Vec<String>,
    pub serial: Vec<String>,
    pub firmware: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawGroup {
    pub channel: String,
    #[serde(default)]
    pub vars: BTreeMap<String, RawVar>,
    #[serde(default)]
    pub sum: bool,
    pub values: Vec<RawValue>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawVar {
    pub column: Option<String>,
    pub part: Option<usize>,
    #[serde(default)]
    pub plus: i64,
    pub map: Option<BTreeMap<i64, String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawValue {
    pub quantity: String,
    pub column: Option<String>,
    pub scalar: Option<String>,
    pub scale: Option<f64>,
    #[serde(default)]
    pub missing: Vec<i64>,
    #[serde(default)]
    pub quality: RawQuality,
    pub wraps_at_bits: Option<u32>,
    pub zero_is_missing_while: Option<String>,
}

#[derive(Debug, Default, Deserialize, Clone, Copy)]
#[serde(rename_all = "lowercase")]
pub enum RawQuality {
    #[default]
    Measured,
    Estimated,
}
