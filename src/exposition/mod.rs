//! Exposition: from numbers in memory to the bytes of a `/metrics` page.
//!
//! Lives here: the one list of metrics ([`catalog`]), the two text formats ([`encode`]), which of them a client asked
//! for ([`negotiate`]), and the cache that renders a page once per snapshot ([`page`]). Does not live here: HTTP, or
//! any number that is made for the page: a value is there in memory already, or its sample is absent.

pub mod catalog;
pub mod collect;
pub mod encode;
pub mod kept;
pub mod negotiate;
pub mod page;
pub mod probe;
pub mod process;

pub use encode::{Encoder, FamilyEncoder, HistogramView, Value};
pub use kept::Kept;
pub use negotiate::Format;
pub use page::PageCache;

/// Release of this build.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Commit of this build; empty if it was not told at build time by `WATTRIBUTE_REVISION`.
pub const REVISION: &str = match option_env!("WATTRIBUTE_REVISION") {
    Some(revision) => revision,
    None => "",
};
