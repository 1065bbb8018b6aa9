//! Names of channels from what devices call their parts, and texts of theirs on one line. Pure.

use std::collections::HashSet;

/// The longest part of a channel's name that a device chooses.
pub(super) const MAX_NAME_CHARS: usize = 64;
/// The longest text of the device's identity.
const MAX_IDENTITY_CHARS: usize = 100;

/// A name for each `(preferred, fallback)`, safe in a label: the preferred names if they are all there and all
/// different, else the fallbacks if those are, else places in the list.
pub(super) fn unique<'a>(items: impl Iterator<Item = (Option<&'a str>, &'a str)>) -> Vec<String> {
    let (preferred, fallback): (Vec<_>, Vec<_>) =
        items.map(|(p, f)| (safe(p.unwrap_or_default()), safe(f))).unzip();
    for names in [preferred, fallback.clone()] {
        let different: HashSet<&String> = names.iter().filter(|name| !name.is_empty()).collect();
        if different.len() == names.len() {
            return names;
        }
    }
    (0..fallback.len()).map(|at| at.to_string()).collect()
}

/// Letters, digits, `.`, `_` and `-`; everything else is one `-`.
pub(super) fn safe(text: &str) -> String {
    let mut name = String::new();
    for c in text.trim().chars().take(MAX_NAME_CHARS) {
        if c.is_ascii_alphanumeric() || matches!(c, '.' | '_') {
            name.push(c);
        } else if !name.ends_with('-') {
            name.push('-');
        }
    }
    name.trim_matches('-').to_owned()
}

/// A text of the device as one short line.
pub(super) fn clean(text: &str) -> String {
    let line: String =
        text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_IDENTITY_CHARS).collect();
    line.trim().to_owned()
}
