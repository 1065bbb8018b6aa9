//! Pure readers of the files of a control group.
//!
//! Source: `Documentation/admin-guide/cgroup-v2.rst` and `cgroup-v1/{cpuacct,memory}.rst`, `scheduler/sched-bwc.rst` of the kernel.

/// A v1 limit of memory from here on is none: the kernel writes the largest multiple of a page.
const NO_LIMIT: u64 = 1 << 60;

/// The value of `key` in a file of lines `key value`, such as `cpu.stat` and `memory.stat`.
pub(super) fn keyed(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.trim().parse().ok())
}

/// CPU time of a v2 group, ns: `usage_usec` of `cpu.stat`.
pub(super) fn usage(cpu_stat: &str) -> Option<u64> {
    keyed(cpu_stat, "usage_usec")?.checked_mul(1000)
}

/// CPU time that a group may use: so much of every period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Quota {
    micros: u64,
    period_micros: u64,
}

impl Quota {
    fn new(micros: u64, period_micros: u64) -> Option<Self> {
        (micros > 0 && period_micros > 0).then_some(Self { micros, period_micros })
    }

    /// `cpu.max` of v2: `max 100000` or `150000 100000`; none for no limit.
    pub(super) fn of_v2(cpu_max: &str) -> Option<Self> {
        let mut words = cpu_max.split_ascii_whitespace();
        Self::new(words.next()?.parse().ok()?, words.next()?.parse().ok()?)
    }

    /// `cpu.cfs_quota_us` and `cpu.cfs_period_us` of v1; a quota of -1 is no limit.
    pub(super) fn of_v1(quota: &str, period: &str) -> Option<Self> {
        Self::new(quota.trim().parse().ok()?, period.trim().parse().ok()?)
    }

    /// CPUs.
    pub(super) fn cpus(self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "53 bits hold 285 years in microseconds")]
        let cpus = self.micros as f64 / self.period_micros as f64;
        cpus
    }

    /// CPUs, the last one whole.
    pub(super) fn whole_cpus(self) -> u32 {
        u32::try_from(self.micros.div_ceil(self.period_micros)).unwrap_or(u32::MAX)
    }
}

/// A limit of memory, bytes, of either version; none for no limit.
pub(super) fn memory_limit(text: &str) -> Option<u64> {
    text.trim().parse().ok().filter(|bytes| *bytes < NO_LIMIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_read_by_its_key() {
        let text = "usage_usec 123456\nuser_usec 100000\nsystem_usec 23456\nnr_periods 0\n";
        assert_eq!(usage(text), Some(123_456_000));
        assert_eq!(keyed(text, "user"), None, "a part of a key is another key");
        for bad in ["", "usage_usec", "usage_usec x", "usage_usec -1", "usage_usec 18446744073709551615"] {
            assert_eq!(usage(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_quota_is_cpus_and_no_quota_is_no_limit() {
        let quota = Quota::of_v2("150000 100000\n").unwrap();
        assert_eq!((quota.cpus(), quota.whole_cpus()), (1.5, 2));
        assert_eq!(Quota::of_v1("400000\n", "100000\n").unwrap().whole_cpus(), 4);
        for none in ["max 100000", "", "1", "0 100000", "100 0", "x y"] {
            assert_eq!(Quota::of_v2(none), None, "{none}");
        }
        assert_eq!(Quota::of_v1("-1\n", "100000\n"), None);
        assert_eq!(Quota::of_v2("18446744073709551615 1").unwrap().whole_cpus(), u32::MAX);
    }

    #[test]
    fn a_limit_that_nothing_reaches_is_none() {
        assert_eq!(memory_limit("1073741824\n"), Some(1 << 30));
        assert_eq!(memory_limit("max\n"), None);
        assert_eq!(memory_limit("9223372036854771712\n"), None);
    }
}
