//! The single values of the file that are more than text: parsed where they are read, so that past the schema no
//! text is left to misread. Each says in its error what it expects.

use std::fmt::Display;
use std::net::Ipv6Addr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

use super::problem::{Fault, nearest, shown};
use super::types::{self, ChannelRef, Idle, PrivacyProtocol};
use crate::model::{
    ChannelId, GramsPerKilowattHour, MeterId, NamePattern, Pattern, PciAddress, Ratio, UnitError, Watts,
};

/// Defines a value parsed from text by a function, with its JSON Schema.
macro_rules! leaf {
    ($(#[$doc:meta])* $name:ident($inner:ty), $parse:expr, $schema:tt) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Deserialize)]
        #[serde(try_from = "String")]
        pub(super) struct $name(pub(super) $inner);

        impl TryFrom<String> for $name {
            type Error = Fault;
            fn try_from(text: String) -> Result<Self, Fault> {
                let parse: fn(&str) -> Result<$inner, Fault> = $parse;
                parse(&text).map(Self)
            }
        }

        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    };
}

leaf!(/// A length of time.
    Span(Duration), span, {"type": "string", "pattern": "^[0-9]+ ?[a-z]+( ?[0-9]+ ?[a-z]+)*$", "examples": ["500ms", "10s", "1m 30s"]});
leaf!(/// Electrical power.
    Power(Watts), power, {"type": "string", "pattern": "^[0-9.eE+]+ ?[kM]?W$", "examples": ["500 W", "1.2 kW"]});
leaf!(/// A share of a whole, 0 to 1.
    Share(Ratio), a_share, {"type": ["string", "number"], "examples": ["0.5 %", 0.005]});
leaf!(/// Grams of CO2e per kilowatt-hour.
    Intensity(GramsPerKilowattHour), intensity,
    {"type": "string", "pattern": "^[0-9.eE+]+ ?(g|kg)/[kM]Wh$", "examples": ["380 g/kWh", "0.38 kg/kWh"]});
leaf!(/// A name that becomes a label and a part of references.
    Name(String), name, {"type": ["string", "number"], "minLength": 1, "maxLength": 200, "pattern": "^[^/]*$"});
leaf!(/// Text that becomes a label.
    Label(String), label, {"type": ["string", "number"], "maxLength": 200});
leaf!(/// A channel of a meter.
    Channel(ChannelRef), channel, {"type": "string", "pattern": "^[^/]+/.+$", "examples": ["pdu-a/outlet/1"]});
leaf!(/// A file; relative to the folder of the configuration file that names it.
    FilePath(String), file_path, {"type": "string", "minLength": 1});
leaf!(/// The name of an environment variable.
    EnvName(String), env_name, {"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]*$"});
leaf!(/// Address of an HTTPS service, without a path.
    HttpsUrl(String), https_url, {"type": "string", "pattern": "^https://[^/@]+/?$", "examples": ["https://10.0.0.1"]});
leaf!(/// A host and perhaps a port.
    Endpoint((String, Option<u16>)), endpoint, {"type": "string", "examples": ["10.0.0.9", "pdu-a.example:161", "[2001:db8::9]:161"]});
leaf!(/// SHA-256 digest of a certificate.
    Fingerprint([u8; 32]), fingerprint,
    {"type": "string", "pattern": "^sha256:[0-9A-Fa-f]{2}(:?[0-9A-Fa-f]{2}){31}$"});
leaf!(/// Idle power of a host: a power, `learned` or `none`.
    IdlePower(Idle), idle_power,
    {"anyOf": [{"enum": ["learned", "none"]}, {"type": "string", "pattern": "^[0-9.eE+]+ ?[kM]?W$"}]});
leaf!(/// A share of rated power, or `by_utilisation`.
    PowerFactor(types::PowerFactor), power_factor,
    {"anyOf": [{"enum": ["by_utilisation"]}, {"type": "number", "exclusiveMinimum": 0, "maximum": 1}]});
leaf!(/// SNMPv3 privacy.
    Privacy(PrivacyProtocol), privacy, {"enum": ["aes128", "aes192", "aes256"]});
leaf!(/// IPMI cipher suite.
    CipherSuite(types::CipherSuite), cipher_suite, {"enum": [3, 17]});
leaf!(/// A pattern over domain names: `*` and `?` and `[abc]`.
    Glob(glob::Pattern), domain_glob, {"type": "string", "minLength": 1, "examples": ["web-*"]});
leaf!(/// A regular expression over whole domain names.
    WholeName(NamePattern), whole_name, {"type": "string", "minLength": 1, "examples": ["web-[0-9]+", "(?<project>[a-z]+)-.*"]});
leaf!(/// Hosts that clients may have read.
    TargetPattern(Pattern), target_pattern,
    {"type": "string", "minLength": 1, "examples": ["10.0.0.0/24", "*.bmc.example", "[2001:db8::/64]:623", "any"]});
leaf!(/// Where a device sits on a machine's PCI bus.
    Pci(PciAddress), pci, {"type": "string", "pattern": "^([0-9A-Fa-f]{1,4}:)?[0-9A-Fa-f]{1,4}:[0-9A-Fa-f]{1,4}[.][0-7]$", "examples": ["0000:3b:00.0"]});
leaf!(/// ISO 4217 currency code.
    Currency(String), currency, {"type": "string", "pattern": "^[A-Z]{3}$", "examples": ["EUR"]});

fn span(text: &str) -> Result<Duration, Fault> {
    const FIX: &str = "write a number and a unit, such as `10s` or `500ms`";
    if text.trim().parse::<f64>().is_ok() {
        return Err(Fault::new(format!("is `{}`, which has no unit", shown(text)), FIX));
    }
    humantime::parse_duration(text)
        .map_err(|_| Fault::new(format!("is `{}`, which is not a duration", shown(text)), FIX))
}

fn a_share(text: &str) -> Result<Ratio, Fault> {
    let text = text.trim();
    let (number, divisor) = match text.strip_suffix('%') {
        Some(percent) => (percent.trim_end(), 100.0),
        None => (text, 1.0),
    };
    let share = number.parse::<f64>().ok().map(|n| n / divisor).filter(|share| (0.0..=1.0).contains(share));
    share.and_then(|share| Ratio::new(share).ok()).ok_or_else(|| {
        Fault::new(
            format!("is `{}`, which is not a share", shown(text)),
            "write a percentage, such as `0.5 %`",
        )
    })
}

/// Splits `1.2 kW` into the number and its unit.
fn quantity(text: &str) -> Option<(f64, &str)> {
    let text = text.trim();
    let end = text
        .char_indices()
        .find(|(at, c)| {
            let exponent = matches!(c, 'e' | 'E') && *at > 0;
            !(c.is_ascii_digit() || exponent || matches!(c, '.' | '+' | '-'))
        })
        .map_or(text.len(), |(at, _)| at);
    let (number, unit) = text.split_at_checked(end)?;
    Some((number.parse().ok()?, unit.trim_start()))
}

/// Parses a number with one of `units`, each with its factor to the base unit.
fn measured<T>(
    text: &str,
    units: &[(&str, f64)],
    new: fn(f64) -> Result<T, UnitError>,
    noun: &str,
    fix: &str,
) -> Result<T, Fault> {
    let wrong = |why: &dyn Display| Fault::new(format!("is `{}`, which {why}", shown(text)), fix);
    let (number, unit) = quantity(text).ok_or_else(|| wrong(&format!("is not {noun}")))?;
    if unit.is_empty() {
        return Err(wrong(&"has no unit"));
    }
    let (_, factor) =
        units.iter().find(|(name, _)| *name == unit).ok_or_else(|| wrong(&format!("is not {noun}")))?;
    new(number * factor).map_err(|error| match error {
        UnitError::Negative(_) => wrong(&"is negative"),
        UnitError::NotFinite(_) => wrong(&"is too large"),
    })
}

fn power(text: &str) -> Result<Watts, Fault> {
    const UNITS: [(&str, f64); 3] = [("W", 1.0), ("kW", 1e3), ("MW", 1e6)];
    measured(text, &UNITS, Watts::new, "a power", "write watts, such as `500 W` or `1.2 kW`")
}

fn intensity(text: &str) -> Result<GramsPerKilowattHour, Fault> {
    const UNITS: [(&str, f64); 3] = [("g/kWh", 1.0), ("kg/MWh", 1.0), ("kg/kWh", 1e3)];
    let fix = "write grams of CO2e per kilowatt-hour, such as `380 g/kWh`";
    measured(text, &UNITS, GramsPerKilowattHour::new, "an emission factor", fix)
}

fn idle_power(text: &str) -> Result<Idle, Fault> {
    match text {
        "learned" => Ok(Idle::Learned),
        "none" => Ok(Idle::None),
        other => match power(other) {
            Ok(power) if power == Watts::ZERO => {
                Err(Fault::new("is zero", "write `none` if all power follows the load"))
            }
            Ok(power) => Ok(Idle::Power(power)),
            Err(fault) => Err(Fault::new(fault.what, "write `learned`, `none` or a power such as `120 W`")),
        },
    }
}

fn power_factor(text: &str) -> Result<types::PowerFactor, Fault> {
    if text == "by_utilisation" {
        return Ok(types::PowerFactor::ByUtilisation);
    }
    let share = text.trim().parse::<f64>().ok().filter(|share| *share > 0.0 && *share <= 1.0);
    share.and_then(|share| Ratio::new(share).ok()).map(types::PowerFactor::Share).ok_or_else(|| {
        Fault::new(
            format!("is `{}`, which is not a share", shown(text)),
            "write a share above 0, up to 1, or `by_utilisation`",
        )
    })
}

/// Checks text as an identifier; all kinds of them have the same rule.
fn name(text: &str) -> Result<String, Fault> {
    const FIX: &str = "choose a name of 1 to 200 bytes without `/`";
    MeterId::new(text).map_err(|error| Fault::new(error.to_string(), FIX))?;
    if text.contains('/') {
        return Err(Fault::new(format!("is `{}`, which holds a `/`", shown(text)), FIX));
    }
    Ok(text.to_owned())
}

fn label(text: &str) -> Result<String, Fault> {
    if text.is_empty() {
        return Ok(String::new());
    }
    MeterId::new(text)
        .map_err(|error| Fault::new(error.to_string(), "write up to 200 bytes of plain text"))?;
    Ok(text.to_owned())
}

fn channel(text: &str) -> Result<ChannelRef, Fault> {
    const FIX: &str = "write METER/CHANNEL, such as `pdu-a/outlet/1` or `bmc-1/input`";
    let (meter, channel) = text.split_once('/').unwrap_or((text, ""));
    let no_channel = channel.is_empty() || channel.ends_with('/') || channel.starts_with('/');
    match (MeterId::new(meter), ChannelId::new(channel)) {
        (Ok(meter), Ok(channel)) if !no_channel => Ok(ChannelRef { meter, channel }),
        (Ok(_), _) => Err(Fault::new(format!("is `{}`, which names no channel", shown(text)), FIX)),
        (Err(_), _) => Err(Fault::new(format!("is `{}`, which names no meter", shown(text)), FIX)),
    }
}

fn file_path(text: &str) -> Result<String, Fault> {
    if text.is_empty() || text.contains('\0') {
        return Err(Fault::new("is not a path", "name a file"));
    }
    Ok(text.to_owned())
}

/// The value is not shown: who mistakes this key writes the secret itself.
fn env_name(text: &str) -> Result<String, Fault> {
    let mut chars = text.chars();
    let starts = chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
    if starts && chars.all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return Ok(text.to_owned());
    }
    Err(Fault::new("is not the name of an environment variable", "name the variable that holds the secret"))
}

/// The value is shown only if it holds no `@`, before which a password may stand.
fn https_url(text: &str) -> Result<String, Fault> {
    const FIX: &str = "write https://HOST or https://HOST:PORT";
    if text.contains('@') {
        let fix = "put the user into `username` and the password into a file named by `password_file`";
        return Err(Fault::new("holds a user or password", fix));
    }
    if text.starts_with("http://") {
        return Err(Fault::new(format!("is `{}`, which is not encrypted", shown(text)), FIX));
    }
    let rest = text.strip_prefix("https://").map(|rest| rest.strip_suffix('/').unwrap_or(rest));
    let (host, port) = rest.and_then(|rest| endpoint(rest).ok()).ok_or_else(|| {
        Fault::new(format!("is `{}`, which is not the address of a service", shown(text)), FIX)
    })?;
    Ok(port.map_or_else(|| format!("https://{host}"), |port| format!("https://{host}:{port}")))
}

/// Host (IPv6 in brackets) and port, if there is one.
fn endpoint(text: &str) -> Result<(String, Option<u16>), Fault> {
    let wrong = || {
        let fix = "write HOST or HOST:PORT, an IPv6 address in brackets";
        Fault::new(format!("is `{}`, which is not a host and port", shown(text)), fix)
    };
    if let Ok(bare) = text.parse::<Ipv6Addr>() {
        return Ok((format!("[{bare}]"), None));
    }
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, after)) => {
            let host: Ipv6Addr = host.parse().map_err(|_| wrong())?;
            let port = if after.is_empty() { None } else { Some(after.strip_prefix(':').ok_or_else(wrong)?) };
            (format!("[{host}]"), port)
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host.to_owned(), Some(port)),
            None => (text.to_owned(), None),
        },
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    if !host.starts_with('[') && (host.is_empty() || host.len() > 253 || !host.chars().all(plain)) {
        return Err(wrong());
    }
    let port =
        port.map(|port| port.parse::<u16>().ok().filter(|port| *port > 0).ok_or_else(wrong)).transpose()?;
    Ok((host, port))
}

fn fingerprint(text: &str) -> Result<[u8; 32], Fault> {
    let wrong = |what| {
        Fault::new(
            what,
            "write `sha256:` and 64 hexadecimal digits, as `openssl x509 -fingerprint -sha256` shows them",
        )
    };
    let digits = text.strip_prefix("sha256:").ok_or_else(|| wrong("is not a SHA-256 fingerprint"))?;
    let digits: String = digits.chars().filter(|c| *c != ':').collect();
    let mut digest = [0; 32];
    hex::decode_to_slice(digits, &mut digest).map_err(|_| wrong("is not a SHA-256 fingerprint"))?;
    Ok(digest)
}

fn privacy(text: &str) -> Result<PrivacyProtocol, Fault> {
    match text {
        "aes128" => Ok(PrivacyProtocol::Aes128),
        "aes192" => Ok(PrivacyProtocol::Aes192),
        "aes256" => Ok(PrivacyProtocol::Aes256),
        "des" | "3des" => Err(Fault::new(
            format!("is `{text}`, which is not supported: it is broken as a cipher"),
            "set the agent and this key to aes128",
        )),
        other => Err(Fault::new(format!("is `{}`", shown(other)), "choose aes128, aes192, aes256")),
    }
}

fn cipher_suite(text: &str) -> Result<types::CipherSuite, Fault> {
    match text {
        "3" => Ok(types::CipherSuite::Three),
        "17" => Ok(types::CipherSuite::Seventeen),
        other => Err(Fault::new(
            format!("is `{}`, which is not a cipher suite that protects a session", shown(other)),
            "choose 17, 3",
        )),
    }
}

fn domain_glob(text: &str) -> Result<glob::Pattern, Fault> {
    let fix = "write a name with `*` for any part, such as `web-*`";
    if text.is_empty() {
        return Err(Fault::new("is empty", fix));
    }
    glob::Pattern::new(text).map_err(|error| {
        Fault::new(format!("is `{}`, which is not a pattern ({})", shown(text), error.msg), fix)
    })
}

fn whole_name(text: &str) -> Result<NamePattern, Fault> {
    let fix = "write a regular expression that matches the whole name, such as `web-[0-9]+`";
    if text.is_empty() {
        return Err(Fault::new("is empty", fix));
    }
    NamePattern::parse(text).map_err(|error| {
        Fault::new(format!("is `{}`, which is no regular expression ({error})", shown(text)), fix)
    })
}

/// The value is shown only if it holds no `@`, before which a password may stand.
fn target_pattern(text: &str) -> Result<Pattern, Fault> {
    Pattern::parse(text).map_err(|error| {
        let error = error.to_string();
        let (what, fix) = error
            .split_once("; ")
            .unwrap_or((&error, "write a host, `*.example.org`, a network such as 10.0.0.0/24, or `any`"));
        if text.contains('@') {
            return Fault::new(what, fix);
        }
        Fault::new(format!("is `{}`, which {what}", shown(text)), fix)
    })
}

fn pci(text: &str) -> Result<PciAddress, Fault> {
    text.parse().map_err(|error| {
        Fault::new(format!("is `{}`, which {error}", shown(text)), "write the address that `lspci -D` shows")
    })
}

fn currency(text: &str) -> Result<String, Fault> {
    if text.len() == 3 && text.chars().all(|c| c.is_ascii_uppercase()) {
        return Ok(text.to_owned());
    }
    let upper = text.to_ascii_uppercase();
    let fix = match nearest(&upper, ["EUR", "USD", "GBP", "CHF", "JPY", "CNY"]) {
        Some(near) => format!("write its three-letter code, such as {near}"),
        None => "write its three-letter code, such as EUR".to_owned(),
    };
    Err(Fault::new(format!("is `{}`, which is no currency code", shown(text)), fix))
}
