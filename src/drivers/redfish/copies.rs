//! Copies of resources that seldom change, each with the tag (ETag) that names its state: on a later look the BMC says
//! "not modified" instead of sending them again. Never for readings.

use std::collections::{HashMap, HashSet};

use reqwest::header::HeaderValue;
use serde_json::Value;

use super::origin::ResourcePath;
use super::resources;

/// The most bytes kept of one BMC; there are thousands of them.
const MAX_BYTES: usize = 32 << 10;
/// The largest copy.
const MAX_COPY_BYTES: usize = 8 << 10;
/// The longest tag.
const MAX_TAG_BYTES: usize = 128;
/// How often in a row a tag may have changed before it is taken to change with every request.
const MAX_MISSES: u8 = 2;

#[derive(Debug)]
struct Copy {
    etag: HeaderValue,
    body: Box<[u8]>,
    misses: u8,
}

/// The copies of one BMC's resources.
#[derive(Debug, Default)]
pub(super) struct Copies {
    kept: HashMap<ResourcePath, Copy>,
    bytes: usize,
    /// Resources whose tag says nothing: they are asked for as if there were none.
    fickle: HashSet<ResourcePath>,
}

impl Copies {
    /// What names the state of the copy of `path`, if there is one.
    pub(super) fn etag(&self, path: &ResourcePath) -> Option<HeaderValue> {
        self.kept.get(path).map(|copy| copy.etag.clone())
    }

    /// The copy of `path`.
    pub(super) fn document(&mut self, path: &ResourcePath) -> Option<Value> {
        let copy = self.kept.get_mut(path)?;
        copy.misses = 0;
        resources::object(&copy.body)
    }

    /// Keeps a copy, if it has a tag and is small.
    pub(super) fn keep(&mut self, path: &ResourcePath, etag: Option<HeaderValue>, body: Vec<u8>) {
        let misses = self.forget(path).map_or(0, |misses| misses + 1);
        if misses >= MAX_MISSES {
            self.fickle.insert(path.clone());
        }
        let Some(etag) = etag.filter(|etag| !etag.is_empty() && etag.len() <= MAX_TAG_BYTES) else { return };
        let fits = body.len() <= MAX_COPY_BYTES && self.bytes + body.len() <= MAX_BYTES;
        if !fits || self.fickle.contains(path) {
            return;
        }
        self.bytes += body.len();
        self.kept.insert(path.clone(), Copy { etag, body: body.into_boxed_slice(), misses });
    }

    /// Drops the copy of `path`; how often in a row it had been out of date.
    pub(super) fn forget(&mut self, path: &ResourcePath) -> Option<u8> {
        let copy = self.kept.remove(path)?;
        self.bytes -= copy.body.len();
        Some(copy.misses)
    }
}

/// Whether a "not modified" that carries `said` can be the answer to a request with `known`. It should carry the tag; a
/// service that leaves it out is believed. Weak and strong forms of one tag are one.
pub(super) fn is_about(said: Option<&HeaderValue>, known: &HeaderValue) -> bool {
    said.is_none_or(|said| strong(said) == strong(known))
}

fn strong(etag: &HeaderValue) -> &[u8] {
    etag.as_bytes().strip_prefix(b"W/").unwrap_or(etag.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(name: &str) -> ResourcePath {
        super::super::origin::Origin::parse("https://bmc").unwrap().resolve(&format!("/{name}")).unwrap()
    }

    fn tag(text: &'static str) -> Option<HeaderValue> {
        Some(HeaderValue::from_static(text))
    }

    #[test]
    fn a_copy_is_what_was_kept_with_its_tag() {
        let mut copies = Copies::default();
        copies.keep(&path("a"), tag("\"1\""), br#"{"x":1}"#.to_vec());
        assert_eq!(
            (copies.etag(&path("a")), copies.document(&path("a"))),
            (tag("\"1\""), Some(serde_json::json!({"x":1})))
        );
        assert_eq!((copies.etag(&path("b")), copies.document(&path("b"))), (None, None));
    }

    #[test]
    fn a_tag_that_changes_each_time_is_not_used_any_more() {
        let mut copies = Copies::default();
        for (etag, kept) in [("1", true), ("2", true), ("3", false), ("4", false)] {
            copies.keep(&path("a"), tag(etag), b"{}".to_vec());
            assert_eq!(copies.etag(&path("a")).is_some(), kept, "{etag}");
        }
        assert_eq!(copies.bytes, 0);
    }

    #[test]
    fn a_tag_that_held_in_between_is_used_on() {
        let mut copies = Copies::default();
        for etag in ["1", "2", "3", "4"] {
            copies.keep(&path("a"), tag(etag), b"{}".to_vec());
            assert!(copies.document(&path("a")).is_some());
        }
    }

    #[test]
    fn copies_have_a_limit_together_and_each() {
        let mut copies = Copies::default();
        copies.keep(&path("large"), tag("1"), vec![b' '; MAX_COPY_BYTES + 1]);
        copies.keep(&path("untagged"), None, vec![b' '; 10]);
        assert_eq!(copies.bytes, 0);
        for at in 0..100 {
            copies.keep(&path(&at.to_string()), tag("1"), vec![b' '; MAX_COPY_BYTES]);
        }
        assert_eq!((copies.bytes, copies.kept.len()), (MAX_BYTES, MAX_BYTES / MAX_COPY_BYTES));
    }

    #[test]
    fn not_modified_about_another_tag_is_not_about_ours() {
        let ours = HeaderValue::from_static("W/\"1\"");
        for (said, want) in
            [(None, true), (tag("\"1\""), true), (tag("W/\"1\""), true), (tag("\"2\""), false)]
        {
            assert_eq!(is_about(said.as_ref(), &ours), want, "{said:?}");
        }
    }
}
