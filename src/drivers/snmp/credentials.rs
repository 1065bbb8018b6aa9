//! Version and secrets in the form of the library `async-snmp`, checked before anything is sent.

use async_snmp::{MasterKeys, UsmConfig};
use secrecy::{ExposeSecret, SecretString};

use super::{Auth, AuthProtocol, PrivacyProtocol};
use crate::model::{ErrorKind, PollError};

/// Credentials in the library's form. Passwords become keys here, once: that costs a megabyte of hashing each.
#[derive(Clone)]
pub struct Credentials(async_snmp::Auth);

impl Credentials {
    /// Checks and derives.
    ///
    /// # Errors
    /// `Auth` for what SNMPv3 forbids: passwords under 8 characters, privacy without authentication, an odd user name.
    pub fn new(auth: &Auth) -> Result<Self, PollError> {
        match auth {
            Auth::V1(community) => Ok(Self(async_snmp::Auth::v1(community.expose_secret().to_owned()))),
            Auth::V2c(community) => Ok(Self(async_snmp::Auth::v2c(community.expose_secret().to_owned()))),
            Auth::V3 { user, auth, privacy, context } => {
                if user.is_empty() || user.len() > 32 {
                    return Err(refused("an SNMPv3 user name has 1 to 32 bytes", "correct `user`"));
                }
                let usm = UsmConfig::new(user.clone()).context_name(context.clone());
                let keys = match (auth, privacy) {
                    (None, None) => return Ok(Self(usm.into())),
                    (None, Some(_)) => {
                        return Err(refused(
                            "SNMPv3 has no privacy without authentication",
                            "add the authentication protocol and password",
                        ));
                    }
                    (Some(auth), None) => master_keys(auth)?,
                    (Some(auth), Some((protocol, password))) => master_keys(auth)?
                        .with_privacy(privacy_protocol(*protocol), password.expose_secret().as_bytes())
                        .map_err(|e| {
                            refused(&format!("privacy: {e}"), "correct the privacy password or protocol")
                        })?,
                };
                let usm = usm.with_master_keys(keys);
                usm.map(|usm| Self(usm.into()))
                    .map_err(|e| refused(&format!("SNMPv3 keys: {e}"), "correct the SNMPv3 settings"))
            }
        }
    }

    /// As the library takes them.
    pub const fn get(&self) -> &async_snmp::Auth {
        &self.0
    }
}

fn master_keys((protocol, password): &(AuthProtocol, SecretString)) -> Result<MasterKeys, PollError> {
    let protocol = match protocol {
        AuthProtocol::Md5 => async_snmp::AuthProtocol::Md5,
        AuthProtocol::Sha => async_snmp::AuthProtocol::Sha1,
        AuthProtocol::Sha224 => async_snmp::AuthProtocol::Sha224,
        AuthProtocol::Sha256 => async_snmp::AuthProtocol::Sha256,
        AuthProtocol::Sha384 => async_snmp::AuthProtocol::Sha384,
        AuthProtocol::Sha512 => async_snmp::AuthProtocol::Sha512,
    };
    MasterKeys::new(protocol, password.expose_secret().as_bytes()).map_err(|e| {
        refused(&format!("authentication: {e}"), "correct the authentication password or protocol")
    })
}

/// AES-192 and AES-256 extend short keys as net-snmp and most PDUs do (Blumenthal), not as Cisco does (Reeder).
const fn privacy_protocol(protocol: PrivacyProtocol) -> async_snmp::PrivProtocol {
    match protocol {
        PrivacyProtocol::Aes128 => async_snmp::PrivProtocol::Aes128,
        PrivacyProtocol::Aes192 => async_snmp::PrivProtocol::Aes192Blumenthal,
        PrivacyProtocol::Aes256 => async_snmp::PrivProtocol::Aes256Blumenthal,
    }
}

fn refused(cause: &str, fix: &str) -> PollError {
    PollError::new(ErrorKind::Auth, cause, fix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_snmpv3_forbids_is_said_before_anything_is_sent() {
        let v3 = |user: &str, auth: Option<&str>, privacy: Option<&str>| Auth::V3 {
            user: user.into(),
            auth: auth.map(|p| (AuthProtocol::Sha, p.to_owned().into())),
            privacy: privacy.map(|p| (PrivacyProtocol::Aes128, p.to_owned().into())),
            context: String::new(),
        };
        for (bad, part) in [
            (v3("", None, None), "1 to 32"),
            (v3("u", Some("short"), None), "8 octets"),
            (v3("u", Some("long enough"), Some("short")), "8 octets"),
            (v3("u", None, Some("long enough")), "without authentication"),
        ] {
            let error = Credentials::new(&bad).err().unwrap();
            assert_eq!(error.kind, ErrorKind::Auth);
            assert!(error.cause.contains(part), "{error}");
            assert!(!error.to_string().contains("short "), "{error}");
        }
        assert!(Credentials::new(&v3("u", Some("long enough"), Some("long enough"))).is_ok());
    }
}
