//! A label set, rendered once: `a="x",b="y"` with values escaped, ready to be copied into the page at each scrape.
//! Rendering labels is most of the cost of an exposition page, so an entity renders its own when it is created.

use std::sync::Arc;

/// Pre-rendered labels without the braces. Equal text means equal labels.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LabelSet(Arc<str>);

impl LabelSet {
    /// Renders `pairs` in the order given. Names must be valid label names: they are code, not data.
    #[must_use]
    pub fn new(pairs: &[(&str, &str)]) -> Self {
        let mut text = String::with_capacity(pairs.iter().map(|(n, v)| n.len() + v.len() + 4).sum());
        for (name, value) in pairs {
            if !text.is_empty() {
                text.push(',');
            }
            text.push_str(name);
            text.push_str("=\"");
            escape(value, &mut text);
            text.push('"');
        }
        Self(text.into())
    }

    /// The rendered text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Escapes a label value as both exposition formats ask: backslash, quote, line feed.
fn escape(value: &str, into: &mut String) {
    for c in value.chars() {
        match c {
            '\\' => into.push_str("\\\\"),
            '"' => into.push_str("\\\""),
            '\n' => into.push_str("\\n"),
            other => into.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_escaped_and_names_kept() {
        let labels = LabelSet::new(&[("host", "a\"b\\c\nd"), ("part", "idle")]);
        assert_eq!(labels.as_str(), r#"host="a\"b\\c\nd",part="idle""#);
    }
}
