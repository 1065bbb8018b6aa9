//! Pure readers of the tables in `/proc` that tell of the machine as a whole.
//!
//! Source: `Documentation/filesystems/proc.rst` of the kernel, `proc_stat(5)`, `proc_meminfo(5)`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::workloads::Traffic;

/// More links than this no machine has: the rest is not read.
const MAX_LINKS: usize = 4096;
/// More addresses than this are not kept.
const MAX_ADDRESSES: usize = 64;

/// `/proc/stat`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stat {
    /// Logical CPUs that are on.
    pub(super) cpus: u32,
    /// Time of all of them that was neither idle nor waiting for I/O nor stolen by a hypervisor below, ticks.
    pub(super) busy_ticks: u64,
}

/// Reads `/proc/stat`. Guests' time is part of `user` and `nice` and so counts once; stolen time was another machine's.
pub(super) fn stat(text: &str) -> Option<Stat> {
    let mut busy_ticks = None;
    let mut cpus = 0u32;
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace();
        let Some(number) = words.next().and_then(|name| name.strip_prefix("cpu")) else { break };
        if number.is_empty() {
            // user nice system idle iowait irq softirq steal guest guest_nice
            let mut field = || words.next().map_or(Some(0), |word| word.parse::<u64>().ok());
            let (user, nice, system) = (field()?, field()?, field()?);
            let (_idle, _iowait, irq, softirq) = (field()?, field()?, field()?, field()?);
            busy_ticks = [user, nice, system, irq, softirq].into_iter().try_fold(0u64, u64::checked_add);
        } else if number.bytes().all(|b| b.is_ascii_digit()) {
            cpus = cpus.saturating_add(1);
        }
    }
    Some(Stat { cpus, busy_ticks: busy_ticks? }).filter(|stat| stat.cpus > 0)
}

/// A line of `/proc/meminfo` in bytes.
pub(super) fn memory(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// The value of the first line `key : value` of `/proc/cpuinfo`.
pub(super) fn processor<'t>(text: &'t str, key: &str) -> Option<&'t str> {
    text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        (name.trim() == key).then_some(value.trim())
    })
}

/// The nominal clock, MHz, that some makers write into the name of a model: `... @ 2.60GHz`.
pub(super) fn nominal_mhz(model: &str) -> Option<u32> {
    let (_, clock) = model.rsplit_once('@')?;
    let (whole, part) = clock.trim().strip_suffix("GHz")?.trim().split_once('.')?;
    let part = format!("{:0<3}", part.get(..part.len().min(3))?);
    let mhz = whole.parse::<u32>().ok()?.checked_mul(1000)?.checked_add(part.parse().ok()?)?;
    Some(mhz).filter(|mhz| *mhz > 0)
}

/// Sums `/proc/net/dev` over the links that `wanted` names; none if there is none of them.
pub(super) fn traffic(text: &str, mut wanted: impl FnMut(&str) -> bool) -> Option<Traffic> {
    let mut sum = None;
    for line in text.lines().take(MAX_LINKS) {
        let Some((name, counters)) = line.split_once(':') else { continue };
        if !wanted(name.trim()) {
            continue;
        }
        // bytes packets errs drop fifo frame compressed multicast, then the same for what is sent
        let counters: Vec<u64> = counters.split_ascii_whitespace().map_while(|c| c.parse().ok()).collect();
        let [received_bytes, received_packets, _, _, _, _, _, _, sent_bytes, sent_packets, ..] =
            counters.as_slice()
        else {
            continue;
        };
        let Traffic { received_bytes: rb, sent_bytes: sb, received_packets: rp, sent_packets: sp } =
            sum.unwrap_or_default();
        sum = Some(Traffic {
            received_bytes: rb.saturating_add(*received_bytes),
            sent_bytes: sb.saturating_add(*sent_bytes),
            received_packets: rp.saturating_add(*received_packets),
            sent_packets: sp.saturating_add(*sent_packets),
        });
    }
    sum
}

/// This machine's own IPv4 addresses by `/proc/net/fib_trie`: those whose next line says that they are local hosts.
pub(super) fn ipv4(text: &str) -> Vec<IpAddr> {
    let mut found = Vec::new();
    let mut last = None;
    for line in text.lines() {
        let line = line.trim_start();
        if let Some(address) = line.strip_prefix("|-- ") {
            last = address.trim().parse::<Ipv4Addr>().ok();
        } else if line.starts_with("/32 host LOCAL")
            && let Some(address) = last.take()
            && !address.is_loopback()
            && !found.contains(&IpAddr::V4(address))
            && found.len() < MAX_ADDRESSES
        {
            found.push(IpAddr::V4(address));
        }
    }
    found
}

/// This machine's own IPv6 addresses of global scope by `/proc/net/if_inet6`.
pub(super) fn ipv6(text: &str) -> Vec<IpAddr> {
    let address = |line: &str| {
        let mut words = line.split_ascii_whitespace();
        let bits = u128::from_str_radix(words.next().filter(|word| word.len() == 32)?, 16).ok()?;
        // index, length of the prefix, scope: 00 is global.
        (words.nth(2)? == "00").then_some(IpAddr::V6(Ipv6Addr::from_bits(bits)))
    };
    text.lines().filter_map(address).take(MAX_ADDRESSES).collect()
}

/// How many numbers a list such as `0-3,8` names; none if it is no such list.
pub(in crate::workloads) fn list(text: &str) -> Option<u32> {
    const MOST: u32 = 1 << 20;
    let text = text.trim();
    if text.is_empty() {
        return Some(0);
    }
    text.split(',').try_fold(0u32, |count, part| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (first.parse::<u32>().ok()?, last.parse::<u32>().ok()?);
        let more = last.checked_sub(first)?.checked_add(1)?;
        count.checked_add(more).filter(|count| *count <= MOST)
    })
}

/// Reads `text` as each of the tables.
#[cfg(any(test, fuzzing))]
pub(in crate::workloads) fn fuzz(text: &str) {
    let _ = (stat(text), memory(text, "MemTotal"), traffic(text, |_| true), list(text));
    let _ = (processor(text, "model name").map(nominal_mhz), ipv4(text), ipv6(text));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn busy_is_all_but_idle_waiting_stolen_and_counts_guests_once() {
        // 100 + 20 + 30 + 5 + 6: not idle 1000, iowait 40, steal 7; guest 50 is in user already.
        let text = "cpu  100 20 30 1000 40 5 6 7 50 0\ncpu0 50 10 15 500 20 2 3 3 25 0\ncpu1 50 10 15 500 20 3 3 4 25 0\nintr 5\ncpu9 1\n";
        assert_eq!(stat(text), Some(Stat { cpus: 2, busy_ticks: 161 }));
        // Linux 2.6.10 had seven fields.
        assert_eq!(stat("cpu 1 2 3 4 5 6 7\ncpu0 1 2 3 4 5 6 7\n").unwrap().busy_ticks, 19);
        for bad in [
            "",
            "cpu",
            "cpu 1 2 x\ncpu0 1",
            "cpu 1 2 3 4\n",
            "cpu 18446744073709551615 1 1 1 1 1 1\ncpu0 1\n",
        ] {
            assert_eq!(stat(bad).filter(|s| s.busy_ticks > 0), None, "{bad}");
        }
    }

    #[test]
    fn memory_and_processors_are_read_by_their_names() {
        let text = "MemTotal:       16315364 kB\nMemFree:         1000 kB\nHugePages_Total:       4\n";
        assert_eq!(memory(text, "MemTotal"), Some(16_315_364 * 1024));
        assert_eq!(memory(text, "MemFree"), Some(1_024_000));
        assert_eq!(memory(text, "Mem"), None);
        assert_eq!(memory(text, "HugePages_Total"), None, "a count is no size");
        assert_eq!(memory("MemTotal: 99999999999999999999 kB", "MemTotal"), None);
        let text = "processor\t: 0\nmodel name\t: Example CPU v4 @ 2.60GHz\ncpu MHz\t\t: 1197.251\n";
        assert_eq!(processor(text, "model name"), Some("Example CPU v4 @ 2.60GHz"));
        assert_eq!(nominal_mhz("Example CPU v4 @ 2.60GHz"), Some(2600));
        assert_eq!(nominal_mhz("Example @ 3.4567GHz"), Some(3456));
        for none in ["Example 7742 64-Core", "@ GHz", "@ 9999999999.0GHz", "@ 2.é0GHz", "x @ 0.0GHz"] {
            assert_eq!(nominal_mhz(none), None, "{none}");
        }
    }

    #[test]
    fn traffic_is_that_of_the_links_asked_for() {
        let text = "Inter-|   Receive\n face |bytes packets\n  lo: 9 9 0 0 0 0 0 0 9 9 0 0 0 0 0 0\n\
                    eth0:1000 10 0 0 0 0 0 0 500 5 0 0 0 0 0 0\n eth1: 1 1 0 0 0 0 0 0 2 2 0 0 0 0 0 0\n eth2: 1 1\n";
        let want = Traffic { received_bytes: 1001, sent_bytes: 502, received_packets: 11, sent_packets: 7 };
        assert_eq!(traffic(text, |link| link.starts_with("eth")), Some(want));
        assert_eq!(traffic(text, |link| link == "wlan0"), None, "no link is not no traffic");
    }

    #[test]
    fn own_addresses_are_told_from_networks_and_loopback() {
        let text = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 10.0.0.0\n        /24 link UNICAST\n     |-- 10.0.0.7\n        /32 host LOCAL\n     \
                    |-- 10.0.0.255\n        /32 link BROADCAST\n     |-- 127.0.0.1\n        /32 host LOCAL\nLocal:\n     |-- 10.0.0.7\n        /32 host LOCAL\n";
        assert_eq!(ipv4(text), ["10.0.0.7".parse::<IpAddr>().unwrap()]);
        let text = "20010db8000000000000000000000009 02 40 00 80 eth0\nfe800000000000000000000000000001 02 40 20 80 eth0\nxx 1 2 00\n";
        assert_eq!(ipv6(text), ["2001:db8::9".parse::<IpAddr>().unwrap()]);
    }

    #[test]
    fn lists_of_cpus_are_counted() {
        for (text, want) in [("0-3,8\n", Some(5)), ("", Some(0)), ("7", Some(1)), ("3-1", None), ("a", None)]
        {
            assert_eq!(list(text), want, "{text}");
        }
        assert_eq!(list("0-4294967295"), None);
    }
}
