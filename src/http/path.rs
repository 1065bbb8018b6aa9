//! The configurable path of the metrics page, checked before a router is built from it.

use std::fmt;

/// The longest path, bytes.
const MAX_BYTES: usize = 200;

/// Paths that the server serves itself; all below `/-/` and `/api/` is reserved, too.
pub(super) const ROOT: &str = "/";
pub(super) const STYLE: &str = "/style.css";
pub(super) const PROBE: &str = "/probe";
pub(super) const API: &str = "/api/v1";

/// Where the metrics page stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricsPath(String);

/// Why a text is not a path for the metrics page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// Does not begin with `/`.
    #[error("does not begin with /; write it as /metrics")]
    NoSlash,
    /// A character that would need escaping or means something to a router.
    #[error("holds a character other than letters, digits, / - _ . ~; write it as /metrics")]
    Character,
    /// Longer than 200 bytes.
    #[error("is longer than 200 bytes")]
    TooLong,
    /// Taken by another page.
    #[error("is taken by another page; / and /-/ and /api/ and /style.css and /probe are")]
    Taken,
}

impl MetricsPath {
    /// Checks and wraps `text`.
    ///
    /// # Errors
    /// See [`PathError`].
    pub fn new(text: &str) -> Result<Self, PathError> {
        if !text.starts_with('/') {
            return Err(PathError::NoSlash);
        }
        if text.len() > MAX_BYTES {
            return Err(PathError::TooLong);
        }
        if !text.bytes().all(|b| b.is_ascii_alphanumeric() || b"/-_.~".contains(&b)) {
            return Err(PathError::Character);
        }
        if [ROOT, STYLE, PROBE].contains(&text) || ["/-/", "/api/"].iter().any(|of| text.starts_with(of)) {
            return Err(PathError::Taken);
        }
        Ok(Self(text.to_owned()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for MetricsPath {
    fn default() -> Self {
        Self("/metrics".to_owned())
    }
}

impl fmt::Display for MetricsPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_would_break_the_router_is_refused() {
        for (text, error) in [
            ("metrics", PathError::NoSlash),
            ("", PathError::NoSlash),
            ("/{x}", PathError::Character),
            ("/*rest", PathError::Character),
            ("/a b", PathError::Character),
            ("/é", PathError::Character),
            ("/", PathError::Taken),
            ("/-/healthy", PathError::Taken),
            ("/style.css", PathError::Taken),
            ("/probe", PathError::Taken),
            ("/api/v1/hosts", PathError::Taken),
        ] {
            assert_eq!(MetricsPath::new(text), Err(error), "{text}");
        }
        assert_eq!(MetricsPath::new(&"/x".repeat(101)), Err(PathError::TooLong));
        assert!(MetricsPath::new("/power/metrics").is_ok());
        assert!(MetricsPath::new(MetricsPath::default().as_str()).is_ok());
    }
}
