//! The page, rendered once per snapshot: every scrape of one snapshot gets the same bytes, plain or gzipped.

use std::io::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};

use super::encode::Encoder;
use super::negotiate::Format;

/// Level 1: on a page of 100,000 series level 6 costs two to five times the CPU for a third fewer bytes.
const GZIP_LEVEL: u32 = 1;

/// Keeps the newest page of each format and coding.
///
/// Concurrent scrapes of one format share one rendering: the first renders, the others wait for it on a plain lock, so
/// call this where blocking is allowed. Memory: the newest pages, plus those that slow clients still read. A page that
/// nobody reads any more lends its buffer to the next one.
#[derive(Debug, Default)]
pub struct PageCache {
    text: Mutex<Pages>,
    openmetrics: Mutex<Pages>,
}

/// The pages of one format.
#[derive(Debug, Default)]
struct Pages {
    plain: Option<Page>,
    gzip: Option<Page>,
}

#[derive(Debug)]
struct Page {
    generation: u64,
    body: Bytes,
}

impl PageCache {
    /// An empty cache.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The page of snapshot `generation`, or of a newer one if another scrape has brought it already. `render` writes
    /// the snapshot of that generation; it is called at most once per generation and format.
    pub fn get(
        &self,
        generation: u64,
        format: Format,
        gzip: bool,
        render: impl FnOnce(&mut Encoder),
    ) -> Bytes {
        let mut pages = self.lock(format);
        let (generation, plain) = fresh(&mut pages.plain, generation, |buffer| {
            let mut encoder = Encoder::new(format, buffer);
            render(&mut encoder);
            encoder.finish()
        });
        if !gzip {
            return plain;
        }
        fresh(&mut pages.gzip, generation, |buffer| compress(&plain, buffer)).1
    }

    /// A rendering that panicked has stored nothing, so what the lock guards is whole even when poisoned.
    fn lock(&self, format: Format) -> MutexGuard<'_, Pages> {
        let pages = match format {
            Format::Text => &self.text,
            Format::OpenMetrics => &self.openmetrics,
        };
        pages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What `slot` holds if it is of `generation` or newer; else what `make` makes in the old page's buffer.
fn fresh(slot: &mut Option<Page>, generation: u64, make: impl FnOnce(Vec<u8>) -> Vec<u8>) -> (u64, Bytes) {
    if let Some(page) = slot.as_ref().filter(|page| page.generation >= generation) {
        return (page.generation, page.body.clone());
    }
    let body = Bytes::from(make(reclaim(slot.take())));
    *slot = Some(Page { generation, body: body.clone() });
    (generation, body)
}

/// The buffer of a page that nobody else reads any more; else a new one.
fn reclaim(page: Option<Page>) -> Vec<u8> {
    let Some(Ok(body)) = page.map(|page| page.body.try_into_mut()) else { return Vec::new() };
    let (used, mut buffer) = (body.len(), Vec::from(body));
    // A page that has shrunk for good should not hold the room of its largest day.
    buffer.clear();
    buffer.shrink_to(used.saturating_mul(2));
    buffer
}

fn compress(plain: &[u8], mut buffer: Vec<u8>) -> Vec<u8> {
    buffer.clear();
    let mut encoder = GzEncoder::new(buffer, Compression::new(GZIP_LEVEL));
    // Writing into memory cannot fail; if it did, an empty body would end the scrape as a decoding error.
    encoder.write_all(plain).and_then(|()| encoder.finish()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::exposition::catalog;

    fn write(value: u64) -> impl Fn(&mut Encoder) {
        move |e| e.family(&catalog::PROCESS_OPEN_FDS).single(value)
    }

    fn gunzip(body: &[u8]) -> Vec<u8> {
        let mut plain = Vec::new();
        flate2::read::GzDecoder::new(body).read_to_end(&mut plain).unwrap();
        plain
    }

    #[test]
    fn a_generation_is_rendered_once_for_both_codings() {
        let (cache, renders) = (PageCache::new(), AtomicU32::new(0));
        let get = |generation, gzip| {
            cache.get(generation, Format::Text, gzip, |e| {
                renders.fetch_add(1, Ordering::Relaxed);
                write(generation)(e);
            })
        };
        let plain = get(1, false);
        assert_eq!(gunzip(&get(1, true)), plain);
        assert_eq!(get(1, true), get(1, true));
        assert_eq!(renders.load(Ordering::Relaxed), 1);
        assert_ne!(get(2, false), plain);
        assert_eq!(gunzip(&get(2, true)), get(2, false));
        assert_eq!(renders.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn a_scrape_that_comes_late_gets_the_newer_page() {
        let cache = PageCache::new();
        let newer = cache.get(7, Format::Text, false, write(7));
        assert_eq!(cache.get(6, Format::Text, false, write(6)), newer);
        assert_eq!(gunzip(&cache.get(6, Format::Text, true, write(6))), newer);
    }

    #[test]
    fn formats_do_not_share_pages() {
        let cache = PageCache::new();
        let text = cache.get(1, Format::Text, false, write(1));
        assert_ne!(cache.get(1, Format::OpenMetrics, false, write(1)), text);
    }

    #[test]
    fn a_page_that_nobody_reads_lends_its_buffer_and_one_that_is_read_stays_whole() {
        let cache = PageCache::new();
        let first = cache.get(1, Format::Text, false, write(1)).as_ptr();
        let held = cache.get(2, Format::Text, false, write(2));
        assert_eq!(held.as_ptr(), first);
        let before = held.to_vec();
        let third = cache.get(3, Format::Text, false, write(3));
        assert_ne!(third.as_ptr(), first);
        assert_eq!(held, before);
    }

    #[test]
    fn concurrent_scrapes_share_one_rendering() {
        let (cache, renders) = (PageCache::new(), AtomicU32::new(0));
        let start = std::sync::Barrier::new(8);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    start.wait();
                    cache.get(1, Format::OpenMetrics, true, |e| {
                        renders.fetch_add(1, Ordering::Relaxed);
                        write(1)(e);
                    })
                });
            }
        });
        assert_eq!(renders.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_rendering_that_panics_leaves_the_cache_usable() {
        let cache = PageCache::new();
        let _ = cache.get(1, Format::Text, false, write(1));
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            cache.get(2, Format::Text, false, |_| panic!("on purpose"))
        }));
        assert!(result.is_err());
        assert!(cache.get(2, Format::Text, false, write(2)).ends_with(b" 2\n"));
    }
}
