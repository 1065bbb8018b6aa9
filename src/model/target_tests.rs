//! Targets as clients may write them, and what an allow-list makes of them.

use proptest::prelude::*;

use super::*;

fn target(text: &str) -> Result<String, TargetError> {
    Target::parse(text).map(|target| target.to_string())
}

#[test]
fn a_target_has_one_form_however_it_is_written() {
    for (text, form) in [
        ("10.0.0.11", "10.0.0.11"),
        ("10.0.0.11:623", "10.0.0.11:623"),
        ("10.0.0.11.", "10.0.0.11"),
        ("BMC-1.Example.ORG.", "bmc-1.example.org"),
        ("bmc_1:8443", "bmc_1:8443"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("2001:DB8::1", "[2001:db8::1]"),
        ("[2001:db8:0::1]:443", "[2001:db8::1]:443"),
        // IPv4 in the clothes of IPv6 is IPv4.
        ("::ffff:10.0.0.11", "10.0.0.11"),
        ("[::ffff:a00:b]:623", "10.0.0.11:623"),
        ("0x7f.example", "0x7f.example"),
    ] {
        assert_eq!(target(text).as_deref(), Ok(form), "{text}");
    }
}

#[test]
fn what_two_programs_could_read_as_two_hosts_is_refused() {
    use TargetError::{Host, International, Length, Number, Port, User, Zone};
    for (text, error) in [
        ("", Length),
        (&*"a".repeat(271), Length),
        ("admin:secret@10.0.0.1", User),
        ("10.0.0.1:80@evil.example", User),
        ("fe80::1%eth0", Zone),
        ("10.0.0.1%2f", Zone),
        ("bücher.example", International),
        ("１０.0.0.1", International),
        ("bmc。example", International),
        // Resolvers read all of these as 127.0.0.1.
        ("0x7f.1", Number),
        ("0X7F000001", Number),
        ("127.1", Number),
        ("2130706433", Number),
        ("0177.0.0.1", Number),
        ("127.0.0.01", Number),
        ("127.0.0.1.1", Number),
        ("bmc.0x", Number),
        ("10.0.0.1:", Port),
        ("10.0.0.1:0", Port),
        ("10.0.0.1:+80", Port),
        ("10.0.0.1:65536", Port),
        ("10.0.0.1:6 3", Port),
        ("[2001:db8::1]443", Host),
        ("[10.0.0.1]", Host),
        ("[bmc]", Host),
        ("[::1", Host),
        ("bmc..example", Host),
        ("bmc.example..", Host),
        (".", Host),
        ("bmc/x", Host),
        ("bmc\\x", Host),
        ("bmc?x", Host),
        ("bmc#x", Host),
        ("bmc x", Host),
        ("bmc\n", Host),
        ("bmc\0", Host),
        ("https://bmc", Port),
        ("*.example.org", Host),
        (&*"a".repeat(64), Host),
    ] {
        assert_eq!(target(text), Err(error), "{text}");
    }
}

/// Whether `pattern` lets `target` through, found at `address`, for a protocol whose own port is 623.
fn permits(pattern: &str, target: &str, address: &str) -> bool {
    let (pattern, target) = (Pattern::parse(pattern).unwrap(), Target::parse(target).unwrap());
    let port = target.port.unwrap_or(623);
    let permitted = pattern.permits(&target.host, address.parse().unwrap(), port, 623);
    assert!(!permitted || pattern.could_permit(&target.host, port, 623), "permitted, but could not be");
    permitted
}

#[test]
fn an_allow_list_holds_names_by_name_and_networks_by_the_address_that_is_dialled() {
    for (pattern, target, address, permitted) in [
        ("10.0.0.11", "10.0.0.11", "10.0.0.11", true),
        ("10.0.0.11", "10.0.0.12", "10.0.0.12", false),
        ("10.0.0.0/24", "10.0.0.255", "10.0.0.255", true),
        ("10.0.0.0/24", "10.0.1.0", "10.0.1.0", false),
        ("10.0.0.0/24", "::ffff:10.0.0.7", "10.0.0.7", true),
        ("::ffff:10.0.0.0/120", "10.0.0.7", "10.0.0.7", true),
        // A name may stand anywhere in the world: where it leads is what counts.
        ("10.0.0.0/24", "bmc.example", "10.0.0.7", true),
        ("10.0.0.0/24", "bmc.example", "::ffff:10.0.0.7", true),
        ("10.0.0.0/24", "bmc.example", "127.0.0.1", false),
        ("10.0.0.0/24", "10.0.0.7.evil.example", "192.0.2.1", false),
        ("2001:db8::/64", "2001:db8::1", "2001:db8::1", true),
        ("2001:db8::/64", "2001:db8:0:1::1", "2001:db8:0:1::1", false),
        ("2001:db8::/64", "10.0.0.7", "10.0.0.7", false),
        ("bmc.example", "BMC.EXAMPLE.", "10.0.0.7", true),
        ("BMC.example.", "bmc.example", "10.0.0.7", true),
        ("bmc.example", "abmc.example", "10.0.0.7", false),
        ("bmc.example", "10.0.0.7", "10.0.0.7", false),
        ("*.example.org", "a.b.example.org", "10.0.0.7", true),
        ("*.example.org", "a.Example.Org.", "10.0.0.7", true),
        ("*.example.org", "example.org", "10.0.0.7", false),
        ("*.example.org", "aexample.org", "10.0.0.7", false),
        ("*.example.org", "a.example.org.evil.example", "10.0.0.7", false),
        ("any", "203.0.113.9", "203.0.113.9", true),
        // Without a port: the protocol's own.
        ("any", "203.0.113.9:623", "203.0.113.9", true),
        ("any", "203.0.113.9:22", "203.0.113.9", false),
        ("10.0.0.0/24:22", "10.0.0.1:22", "10.0.0.1", true),
        ("10.0.0.0/24:22", "10.0.0.1", "10.0.0.1", false),
        ("10.0.0.0/24:*", "10.0.0.1:9", "10.0.0.1", true),
        ("[2001:db8::/64]:443", "[2001:db8::1]:443", "2001:db8::1", true),
        ("[2001:db8::/64]:443", "2001:db8::1", "2001:db8::1", false),
    ] {
        assert_eq!(permits(pattern, target, address), permitted, "{pattern}: {target} at {address}");
    }
}

#[test]
fn a_name_that_no_pattern_can_permit_need_not_be_resolved() {
    let could = |pattern: &str, host: &str| {
        Pattern::parse(pattern).unwrap().could_permit(&Target::parse(host).unwrap().host, 623, 623)
    };
    assert!(could("10.0.0.0/24", "bmc.example") && could("any", "bmc.example"));
    assert!(!could("*.example.org", "bmc.example") && !could("10.0.0.0/24:9", "bmc.example"));
    assert!(!could("10.0.0.0/24", "10.0.1.1"));
}

#[test]
fn a_pattern_that_is_nearly_everything_must_say_any() {
    for text in ["0.0.0.0/0", "::/0", "0.0.0.0/1", "128.0.0.0/1", "10.0.0.0/7", "2000::/3", "*", "*:623"] {
        assert_eq!(Pattern::parse(text), Err(PatternError::Wide), "{text}");
    }
    for text in ["10.0.0.0/33", "10.0.0.0/", "10.0.0.0/+8", "bmc/24", "10.0.0/24", "::/129", "10.0.0.0/24/24"]
    {
        assert_eq!(Pattern::parse(text), Err(PatternError::Network), "{text}");
    }
    assert_eq!(Pattern::parse("10.0.0.7/24"), Err(PatternError::Bits("10.0.0.0/24".to_owned())));
    for text in
        ["a*.example.org", "*.", "*.*.org", "*.127", "127.1", "u@bmc", "bmc:x", "bmc:0", "ANY", "any.", ""]
    {
        assert!(matches!(Pattern::parse(text), Err(PatternError::Host(_))), "{text}");
    }
}

#[test]
fn a_pattern_prints_as_it_can_be_written() {
    for text in [
        "any",
        "any:*",
        "10.0.0.0/24",
        "10.0.0.1:623",
        "2001:db8::/64",
        "[2001:db8::/64]:443",
        "*.example.org:*",
    ] {
        let pattern = Pattern::parse(text).unwrap();
        assert_eq!(pattern.to_string(), text);
        assert_eq!(Pattern::parse(&pattern.to_string()), Ok(pattern));
    }
}

proptest! {
    #[test]
    fn no_text_panics_and_what_is_read_prints_as_it_is_read(text in "\\PC{0,40}|[0-9a-fxny:.\\[\\]/*@%-]{0,40}") {
        if let Ok(target) = Target::parse(&text) {
            prop_assert_eq!(Target::parse(&target.to_string()), Ok(target));
        }
        if let Ok(pattern) = Pattern::parse(&text) {
            prop_assert_eq!(Pattern::parse(&pattern.to_string()), Ok(pattern));
        }
    }

    #[test]
    fn a_network_permits_exactly_its_addresses(base: u32, bits in 8..=32u32, near: u32, far: u32) {
        let mask = u32::MAX << (32 - bits);
        let pattern = format!("{}/{bits}", Ipv4Addr::from(base & mask));
        for other in [(base & mask) | (near & !mask), far] {
            let address = Ipv4Addr::from(other).to_string();
            let mapped = format!("::ffff:{address}");
            let inside = other & mask == base & mask;
            prop_assert_eq!(permits(&pattern, &address, &address), inside);
            prop_assert_eq!(permits(&pattern, &mapped, &mapped), inside);
            prop_assert_eq!(permits(&pattern, "bmc.example", &mapped), inside);
        }
    }
}
