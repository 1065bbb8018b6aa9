//! What a session may be agreed to, and what one was: never less than what once worked.

use crate::drivers::ipmi::Level;
use crate::drivers::ipmi::authcode::Authentication;
use crate::drivers::ipmi::crypto::Suite;

/// What may be agreed to with one BMC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// Cipher suites of IPMI 2.0, best first.
    pub suites: Vec<Suite>,
    /// Authentication of IPMI 1.5, best first; nothing unless the configuration allows it.
    pub legacy: Vec<Authentication>,
    /// Privilege level that is asked for.
    pub level: Level,
}

impl Terms {
    /// From here on nobody can talk us into anything weaker than `agreed`: no suite behind it, and after any suite no
    /// IPMI 1.5. The way up stays open.
    pub fn keep(&mut self, agreed: Protection) {
        match agreed {
            Protection::Suite(suite) => {
                let upto = self.suites.iter().position(|allowed| *allowed == suite).unwrap_or(0);
                self.suites.truncate(upto + 1);
                self.legacy.clear();
            }
            Protection::Legacy { how, .. } => {
                let upto = self.legacy.iter().position(|allowed| *allowed == how).unwrap_or(0);
                self.legacy.truncate(upto + 1);
            }
        }
    }
}

/// How the packets of a session are protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protection {
    /// Encrypted and authenticated, by IPMI 2.0.
    Suite(Suite),
    /// By IPMI 1.5: readable for anyone on the way.
    Legacy {
        /// How the BMC let us in.
        how: Authentication,
        /// Whether each packet is authenticated, not only the login.
        per_message: bool,
    },
}

impl std::fmt::Display for Protection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Suite(suite) => write!(f, "cipher suite {}", suite.id()),
            Self::Legacy { how, per_message: true } => write!(f, "IPMI 1.5 ({})", how.name()),
            Self::Legacy { how, per_message: false } => write!(f, "IPMI 1.5 ({}, login only)", how.name()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MD5: Protection = Protection::Legacy { how: Authentication::Md5, per_message: true };

    fn all() -> Terms {
        Terms {
            suites: vec![Suite::Sha256, Suite::Sha1],
            legacy: vec![Authentication::Md5, Authentication::Password],
            level: Level::User,
        }
    }

    #[test]
    fn what_worked_is_never_given_up_for_less() {
        let mut terms = all();
        terms.keep(MD5);
        // Up is open, down to the bare password is not.
        assert_eq!((terms.suites.len(), terms.legacy.as_slice()), (2, [Authentication::Md5].as_slice()));
        terms.keep(Protection::Suite(Suite::Sha1));
        assert_eq!((terms.suites.len(), terms.legacy.len()), (2, 0));
        terms.keep(Protection::Suite(Suite::Sha256));
        assert_eq!(terms.suites, [Suite::Sha256]);
    }

    #[test]
    fn a_session_says_how_it_is_protected() {
        let login_only = Protection::Legacy { how: Authentication::Password, per_message: false };
        for (protection, says) in [
            (Protection::Suite(Suite::Sha256), "cipher suite 17"),
            (MD5, "IPMI 1.5 (MD5)"),
            (login_only, "IPMI 1.5 (password, login only)"),
        ] {
            assert_eq!(protection.to_string(), says);
        }
    }
}
