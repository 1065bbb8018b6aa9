//! A regular expression over whole names, which may say in its group `project` whose a name is.

use regex::{Regex, RegexBuilder};

/// The group whose text is a project.
const PROJECT: &str = "project";
/// What a compiled expression may take, bytes.
const SIZE_MAX: usize = 1 << 20;

/// A regular expression that a whole name must match. Matching takes time linear in the name's length, whatever stands in it.
#[derive(Debug, Clone)]
pub struct NamePattern {
    text: String,
    whole: Regex,
}

/// The text is no regular expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NamePatternError(String);

impl NamePattern {
    /// Reads an expression in the syntax of Rust's `regex` crate.
    ///
    /// # Errors
    /// What is wrong with it, on one line.
    pub fn parse(text: &str) -> Result<Self, NamePatternError> {
        // Alone first: a bracket too many must not close the group around it.
        let build = |text: &str| RegexBuilder::new(text).size_limit(SIZE_MAX).build();
        let whole = build(text).and_then(|_| build(&format!("^(?:{text})$"))).map_err(|error| {
            let said = error.to_string();
            let last = said.lines().last().unwrap_or_default();
            NamePatternError(last.trim_start_matches("error: ").to_owned())
        })?;
        Ok(Self { text: text.to_owned(), whole })
    }

    /// The expression as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it has a group `project`.
    #[must_use]
    pub fn names_project(&self) -> bool {
        self.whole.capture_names().flatten().any(|name| name == PROJECT)
    }

    /// Whether it matches `name` from the first character to the last.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        self.whole.is_match(name)
    }

    /// What the group `project` finds in `name`; none if it does not match.
    #[must_use]
    pub fn project<'n>(&self, name: &'n str) -> Option<&'n str> {
        self.whole.captures(name)?.name(PROJECT).map(|found| found.as_str())
    }
}

impl PartialEq for NamePattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for NamePattern {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_holds_for_the_whole_name_and_may_name_the_project() {
        let plain = NamePattern::parse("web-[0-9]+|db").unwrap();
        assert!(plain.matches("web-7") && plain.matches("db"));
        assert!(!plain.matches("xweb-7") && !plain.matches("db-1") && !plain.matches("web-7\nx"));
        assert!(!plain.names_project());
        let named = NamePattern::parse("(?<project>[a-z]+)-[0-9]+").unwrap();
        assert!(named.names_project());
        assert_eq!((named.project("atlas-7"), named.project("Atlas-7")), (Some("atlas"), None));
        assert_eq!(NamePattern::parse("(?P<project>a)?b").unwrap().project("b"), None);
    }

    #[test]
    fn what_is_wrong_stands_on_one_line() {
        for (text, wrong) in [
            ("a)", "unopened group"),
            ("(", "unclosed group"),
            ("a{1000}{1000}{1000}", "Compiled regex exceeds size limit of 1048576 bytes."),
        ] {
            assert_eq!(NamePattern::parse(text).unwrap_err().to_string(), wrong, "{text}");
        }
    }
}
