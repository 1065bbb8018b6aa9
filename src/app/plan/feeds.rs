//! `feeds` of a host: from configuration to inventory.

use super::channels;
use crate::config;
use crate::inventory::Feed;

/// One way to know what a host draws.
pub(super) fn feed(of: &config::Feed) -> Feed {
    match of {
        config::Feed::Measured(list) => Feed::Channels(channels(list)),
        config::Feed::Rated(power) => Feed::Rated(*power),
        config::Feed::Modelled(model) => Feed::Modelled(model.clone()),
    }
}
