//! Whom a client may have read: the target it names, parsed so that it cannot mean two things, and the patterns of an
//! allow-list. Pure; names are resolved elsewhere, once, and what they resolve to is held against the patterns.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The longest target or pattern, bytes: a name has 253 at most.
const MAX_BYTES: usize = 270;
/// Shorter prefixes than these are half of the world.
const MIN_PREFIX_V4: u8 = 8;
const MIN_PREFIX_V6: u8 = 16;

/// A host that a client names, in the one form that it is compared in.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Host {
    /// An address; IPv4 where it is one in the clothes of IPv6.
    Address(IpAddr),
    /// A name in lower case, without a dot at its end.
    Name(String),
}

impl fmt::Display for Host {
    /// As it stands in an address: IPv6 in brackets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(IpAddr::V4(address)) => address.fmt(f),
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// What a client asks to be read: `host`, `host:port`, `[v6]:port`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Target {
    /// The host.
    pub host: Host,
    /// The port, where it names one.
    pub port: Option<u16>,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => write!(f, "{}:{port}", self.host),
            None => self.host.fmt(f),
        }
    }
}

/// Why a text names no target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// Nothing, or far too much.
    #[error("is empty or longer than 270 bytes")]
    Length,
    /// `user:password@host`.
    #[error("holds a user or password; write those into the module")]
    User,
    /// `fe80::1%eth0`.
    #[error("holds a zone; write it without %")]
    Zone,
    /// Letters that DNS does not have.
    #[error("is not ASCII; write the name in its xn-- form")]
    International,
    /// Looks like a number, and every program reads it as another address.
    #[error("ends in a number, but is no address of four decimals; write it as 10.0.0.1")]
    Number,
    /// Not 1 to 65535.
    #[error("has a port that is none; write 1 to 65535 behind the colon")]
    Port,
    /// Anything else.
    #[error("is no host; write HOST, HOST:PORT or [IPV6]:PORT")]
    Host,
}

impl Target {
    /// Reads `host`, `host:port`, `[v6]`, `[v6]:port` or a bare IPv6 address.
    ///
    /// # Errors
    /// See [`TargetError`]: whatever two programs could read as two hosts is refused.
    pub fn parse(text: &str) -> Result<Self, TargetError> {
        sane(text)?;
        let (host, port) = split(text)?;
        let port = port.map(number).transpose()?;
        Ok(Self { host: parse_host(host, text.starts_with('['))?, port })
    }
}

fn sane(text: &str) -> Result<(), TargetError> {
    if text.is_empty() || text.len() > MAX_BYTES {
        return Err(TargetError::Length);
    }
    if text.contains('@') {
        return Err(TargetError::User);
    }
    if text.contains('%') {
        return Err(TargetError::Zone);
    }
    if !text.is_ascii() {
        return Err(TargetError::International);
    }
    Ok(())
}

/// Host without brackets, and what stands behind its colon.
fn split(text: &str) -> Result<(&str, Option<&str>), TargetError> {
    if let Some(rest) = text.strip_prefix('[') {
        let (host, after) = rest.split_once(']').ok_or(TargetError::Host)?;
        let port =
            if after.is_empty() { None } else { Some(after.strip_prefix(':').ok_or(TargetError::Host)?) };
        return Ok((host, port));
    }
    let address = text.split('/').next().unwrap_or_default();
    if address.parse::<Ipv6Addr>().is_ok() {
        return Ok((text, None));
    }
    Ok(text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))))
}

fn number(port: &str) -> Result<u16, TargetError> {
    let digits = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
    port.parse().ok().filter(|port| digits && *port > 0).ok_or(TargetError::Port)
}

fn parse_host(text: &str, bracketed: bool) -> Result<Host, TargetError> {
    if let Ok(address) = text.parse::<Ipv6Addr>() {
        return Ok(Host::Address(IpAddr::V6(address).to_canonical()));
    }
    if bracketed {
        return Err(TargetError::Host);
    }
    let text = text.strip_suffix('.').unwrap_or(text);
    match text.parse::<Ipv4Addr>() {
        Ok(address) => Ok(Host::Address(IpAddr::V4(address))),
        Err(_) => parse_name(text).map(Host::Name),
    }
}

/// A name in lower case; none that a resolver could take for a number (`127.1`, `0x7f.1`, `2130706433`).
fn parse_name(text: &str) -> Result<String, TargetError> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    let label = |label: &str| (1..=63).contains(&label.len()) && label.bytes().all(plain);
    if text.len() > 253 || !text.split('.').all(label) {
        return Err(TargetError::Host);
    }
    let name = text.to_ascii_lowercase();
    let last = name.rsplit('.').next().unwrap_or_default();
    let hexadecimal = last.strip_prefix("0x").is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_hexdigit()));
    if hexadecimal || last.bytes().all(|b| b.is_ascii_digit()) {
        return Err(TargetError::Number);
    }
    Ok(name)
}

/// An entry of an allow-list: hosts, and ports of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    hosts: Hosts,
    ports: Ports,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Hosts {
    Any,
    Network {
        base: IpAddr,
        prefix: u8,
    },
    Name(String),
    /// All names below this one.
    Below(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ports {
    /// The protocol's own.
    Usual,
    One(u16),
    Any,
}

/// Why a text is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// No host in it.
    #[error("{0}")]
    Host(TargetError),
    /// Not a network.
    #[error("is no network; write ADDRESS/BITS, such as 10.0.0.0/24")]
    Network,
    /// Bits behind the prefix: the network that was meant may be another one.
    #[error("has bits behind its prefix; write {0}")]
    Bits(String),
    /// Half of the world.
    #[error("is nearly every address; write `any` if that is meant")]
    Wide,
}

impl Pattern {
    /// Reads a host, `*.example.org`, a network (`10.0.0.0/24`, `2001:db8::/64`) or `any`, each perhaps with `:PORT` or
    /// `:*` behind it (IPv6 then in brackets, `[2001:db8::/64]:443`).
    ///
    /// # Errors
    /// See [`PatternError`].
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let host = PatternError::Host;
        sane(text).map_err(host)?;
        let (inside, port) = split(text).map_err(host)?;
        let ports = match port {
            None => Ports::Usual,
            Some("*") => Ports::Any,
            Some(port) => Ports::One(number(port).map_err(host)?),
        };
        let hosts = match (inside, inside.split_once('/'), inside.strip_prefix("*.")) {
            ("any", ..) => Hosts::Any,
            ("*", ..) => return Err(PatternError::Wide),
            (_, Some((base, prefix)), _) => network(base, prefix)?,
            (_, None, Some(below)) => Hosts::Below(parse_name(below).map_err(host)?),
            (_, None, None) => match parse_host(inside, text.starts_with('[')).map_err(host)? {
                // `ANY` or `any.`: one word must not mean two things.
                Host::Name(name) if name == "any" => return Err(host(TargetError::Host)),
                Host::Name(name) => Hosts::Name(name),
                Host::Address(base) => Hosts::Network { base, prefix: if base.is_ipv4() { 32 } else { 128 } },
            },
        };
        Ok(Self { hosts, ports })
    }

    /// Whether `host`, found at `address`, may be read at `port`, where the protocol's own is `usual`.
    #[must_use]
    pub fn permits(&self, host: &Host, address: IpAddr, port: u16, usual: u16) -> bool {
        self.ports.hold(port, usual)
            && match (&self.hosts, host) {
                (Hosts::Any, _) => true,
                (Hosts::Network { base, prefix }, _) => within(*base, *prefix, address.to_canonical()),
                (Hosts::Name(name), Host::Name(asked)) => asked == name,
                (Hosts::Below(above), Host::Name(asked)) => asked
                    .strip_suffix(above.as_str())
                    .is_some_and(|rest| rest.len() > 1 && rest.ends_with('.')),
                (Hosts::Name(_) | Hosts::Below(_), Host::Address(_)) => false,
            }
    }

    /// Whether there is an address at which `host` would be permitted: if not, its name need not be resolved.
    #[must_use]
    pub fn could_permit(&self, host: &Host, port: u16, usual: u16) -> bool {
        match (host, &self.hosts) {
            (Host::Name(_), Hosts::Network { .. }) => self.ports.hold(port, usual),
            (Host::Name(_), Hosts::Any | Hosts::Name(_) | Hosts::Below(_)) => {
                self.permits(host, IpAddr::V4(Ipv4Addr::UNSPECIFIED), port, usual)
            }
            (Host::Address(address), _) => self.permits(host, *address, port, usual),
        }
    }
}

impl Ports {
    fn hold(self, port: u16, usual: u16) -> bool {
        match self {
            Self::Usual => port == usual,
            Self::One(own) => port == own,
            Self::Any => true,
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hosts = match &self.hosts {
            Hosts::Any => "any".to_owned(),
            Hosts::Network { base, prefix: 32 } if base.is_ipv4() => base.to_string(),
            Hosts::Network { base, prefix: 128 } => base.to_string(),
            Hosts::Network { base, prefix } => format!("{base}/{prefix}"),
            Hosts::Name(name) => name.clone(),
            Hosts::Below(above) => format!("*.{above}"),
        };
        let bracketed = matches!(self.hosts, Hosts::Network { base: IpAddr::V6(_), .. });
        match (self.ports, bracketed) {
            (Ports::Usual, _) => f.write_str(&hosts),
            (Ports::One(port), true) => write!(f, "[{hosts}]:{port}"),
            (Ports::One(port), false) => write!(f, "{hosts}:{port}"),
            (Ports::Any, true) => write!(f, "[{hosts}]:*"),
            (Ports::Any, false) => write!(f, "{hosts}:*"),
        }
    }
}

fn network(base: &str, prefix: &str) -> Result<Hosts, PatternError> {
    let base: IpAddr = base.parse().map_err(|_| PatternError::Network)?;
    let digits = !prefix.is_empty() && prefix.bytes().all(|b| b.is_ascii_digit());
    let prefix: u8 = prefix.parse().ok().filter(|_| digits).ok_or(PatternError::Network)?;
    // A network of IPv4 addresses in the clothes of IPv6.
    let (base, prefix) = match (base.to_canonical(), base, prefix.checked_sub(96)) {
        (inner @ IpAddr::V4(_), IpAddr::V6(_), Some(prefix)) => (inner, prefix),
        _ => (base, prefix),
    };
    let (least, most) = if base.is_ipv4() { (MIN_PREFIX_V4, 32) } else { (MIN_PREFIX_V6, 128) };
    if prefix > most {
        return Err(PatternError::Network);
    }
    if prefix < least {
        return Err(PatternError::Wide);
    }
    let whole = masked(base, prefix);
    if whole != base {
        return Err(PatternError::Bits(format!("{whole}/{prefix}")));
    }
    Ok(Hosts::Network { base, prefix })
}

fn within(base: IpAddr, prefix: u8, address: IpAddr) -> bool {
    base.is_ipv4() == address.is_ipv4() && masked(address, prefix) == base
}

fn masked(address: IpAddr, prefix: u8) -> IpAddr {
    let prefix = u32::from(prefix);
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32u32.saturating_sub(prefix)).unwrap_or(0);
            IpAddr::V4((u32::from(v4) & mask).into())
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128u32.saturating_sub(prefix)).unwrap_or(0);
            IpAddr::V6((u128::from(v6) & mask).into())
        }
    }
}

#[cfg(test)]
#[path = "target_tests.rs"]
mod tests;
