//! Fuzz target of an exporter's page: any bytes, in pieces of any size, are samples of what was asked for, or an error.

#![allow(clippy::panic, reason = "that is how a run fails")]

use std::collections::HashSet;

use super::text::{Format, MAX_SAMPLES, Page};

/// Runs one input.
pub fn page(input: &[u8]) {
    let wanted = HashSet::from(["p", "e_total"]);
    for format in [Format::Text, Format::OpenMetrics] {
        let read = |size: usize| {
            let mut page = Page::new(&wanted, format);
            input.chunks(size).for_each(|piece| page.feed(piece));
            page.finish()
        };
        let whole = read(input.len().max(1));
        assert_eq!(format!("{whole:?}"), format!("{:?}", read(3)), "pieces make no difference");
        for sample in whole.iter().flatten() {
            assert!(wanted.contains(sample.name.as_str()));
        }
        assert!(whole.map_or(0, |samples| samples.len()) <= MAX_SAMPLES);
    }
}
