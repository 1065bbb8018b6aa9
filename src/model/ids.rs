//! Identifiers: short strings that name a meter, channel, host, workload, project or data centre.
//! Cheap to clone, checked once, never mixed up with each other.

use std::fmt;
use std::sync::Arc;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The longest identifier, bytes: it becomes a label value on every series.
pub const MAX_ID_BYTES: usize = 200;

/// Why a string cannot be an identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Nothing in it.
    #[error("is empty")]
    Empty,
    /// More than [`MAX_ID_BYTES`].
    #[error("is longer than 200 bytes")]
    TooLong,
    /// A control character, which no label should carry.
    #[error("holds a control character")]
    Control,
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks and wraps `text`.
            ///
            /// # Errors
            /// If it is empty, longer than [`MAX_ID_BYTES`] or holds a control character.
            pub fn new(text: &str) -> Result<Self, IdError> {
                if text.is_empty() {
                    return Err(IdError::Empty);
                }
                if text.len() > MAX_ID_BYTES {
                    return Err(IdError::TooLong);
                }
                if text.chars().any(char::is_control) {
                    return Err(IdError::Control);
                }
                Ok(Self(text.into()))
            }

            /// The text, for labels and messages.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::new(&String::deserialize(deserializer)?).map_err(D::Error::custom)
            }
        }
    };
}

id!(/// A device that reports electrical readings, as named in the configuration.
    MeterId);
id!(/// One measured point of a meter: `input`, `outlet/7`, `phase/L1`, `psu/1`.
    ChannelId);
id!(/// A physical server, storage node, switch or manager.
    HostId);
id!(/// What runs on a host and is charged; a VM's is its UUID.
    WorkloadId);
id!(/// A tenant: OpenStack project id or a name from the configuration.
    ProjectId);
id!(/// A building with its own facility meters, grid zone and prices.
    DatacenterId);

impl WorkloadId {
    /// Whether it is a UUID, and so the same on every host.
    #[must_use]
    pub fn is_uuid(&self) -> bool {
        let groups = self.0.split('-').map(str::len);
        groups.eq([8, 4, 4, 4, 12]) && self.0.bytes().all(|b| b == b'-' || b.is_ascii_hexdigit())
    }
}

impl ProjectId {
    /// The project of workloads of whom nobody says whose they are.
    #[must_use]
    pub fn unassigned() -> Self {
        Self("unassigned".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_names_are_refused() {
        assert_eq!(MeterId::new(""), Err(IdError::Empty));
        assert_eq!(MeterId::new("a\nb"), Err(IdError::Control));
        assert_eq!(MeterId::new(&"x".repeat(201)), Err(IdError::TooLong));
    }

    #[test]
    fn an_id_that_is_a_uuid_is_told_from_a_name() {
        let is_uuid = |text: &str| WorkloadId::new(text).unwrap().is_uuid();
        assert!(is_uuid("1dc28fc7-eb57-4ea9-a6df-b932525bd556"));
        for name in ["web", "1dc28fc7-eb57-4ea9-a6df-b932525bd55", "1dc28fc7-eb57-4ea9-a6df-b932525bdxyz"] {
            assert!(!is_uuid(name), "{name}");
        }
    }
}
