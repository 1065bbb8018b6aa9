//! Hardware threads: what a busy sibling adds. Pure integers.
//!
//! A logical CPU whose sibling sleeps has a core for itself; two busy siblings share one and do less each. With `T`
//! threads a core and `s` what each does while all are busy (of what one does alone), the first thread of a core does 1 and
//! each further one `a = (T s - 1) / (T - 1)`. Kernels fill idle cores first, so busy time up to one thread a core counts
//! whole, and what is beyond counts `a`.

use std::time::Duration;

use crate::model::Ratio;

/// Threads of a core where nobody said.
const USUAL_THREADS: u32 = 2;

/// The cores of a host over an interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cores {
    /// Time of all logical CPUs, ns.
    all: u128,
    /// Time of all cores, ns.
    alone: u128,
    /// What a further thread adds, in thousandths.
    further: u128,
}

impl Cores {
    /// Of a host with so many logical CPUs over `time`; `threads` of a core are 0 where nobody said. A factor below what
    /// one thread does alone counts as that.
    #[must_use]
    pub fn new(cpus: u32, threads: u32, factor: Ratio, time: Duration) -> Self {
        let threads = u128::from(if threads == 0 { USUAL_THREADS } else { threads });
        let all = u128::from(cpus).saturating_mul(time.as_nanos());
        let further = match threads.checked_sub(1).filter(|n| *n > 0) {
            Some(others) => (threads * thousandths(factor)).saturating_sub(1000) / others,
            None => 1000,
        };
        Self { all, alone: all / threads, further: further.min(1000) }
    }

    /// How much of what it can do a host did: 0 to 1; `busy` is time of logical CPUs, ns.
    #[must_use]
    pub fn utilisation(&self, busy: u64) -> f64 {
        let seconds =
            |work: u128| Duration::from_nanos(u64::try_from(work / 1000).unwrap_or(u64::MAX)).as_secs_f64();
        let most = seconds(self.work(self.all));
        if most > 0.0 { (seconds(self.work(busy.into())) / most).min(1.0) } else { 0.0 }
    }

    /// What the host's own CPU time counts beside its workloads', ns: what it adds to the work that theirs is. `used` is the
    /// workloads' CPU time, `own` the host's, both in ns.
    #[must_use]
    pub fn own(&self, used: u64, own: u64) -> u64 {
        let before = self.work(used.into());
        let added = self.work(u128::from(used) + u128::from(own)).saturating_sub(before);
        if before == 0 || self.further == 1000 {
            return own;
        }
        u64::try_from(u128::from(used).saturating_mul(added) / before).unwrap_or(own)
    }

    /// Work in thousandths of a nanosecond of a core with one busy thread.
    fn work(&self, busy: u128) -> u128 {
        let alone = busy.min(self.alone);
        alone.saturating_mul(1000).saturating_add((busy - alone).saturating_mul(self.further))
    }
}

/// A ratio in thousandths.
pub(super) fn thousandths(ratio: Ratio) -> u128 {
    Duration::try_from_secs_f64(ratio.get()).map_or(1000, |d| d.as_millis())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cores(threads: u32, factor: f64) -> Cores {
        Cores::new(8, threads, Ratio::new(factor).unwrap(), Duration::from_secs(1))
    }

    fn at(cores: Cores, percent: u64) -> f64 {
        (cores.utilisation(percent * 80_000_000) * 1e4).round() / 1e4
    }

    #[test]
    fn without_a_factor_a_second_is_a_second() {
        for percent in [0, 25, 50, 75, 100] {
            let share = f64::from(u32::try_from(percent).unwrap()) / 100.0;
            assert!((at(cores(2, 1.0), percent) - share).abs() < 1e-9);
            assert!((at(cores(1, 0.5), percent) - share).abs() < 1e-9, "no siblings");
        }
        assert_eq!(cores(2, 1.0).own(5_000_000_000, 777), 777);
    }

    #[test]
    fn half_of_the_threads_do_more_than_half_of_the_work() {
        // 4 cores of 2 threads at 0.6: 4 alone, and 4 more of 0.2 each: 4.8 in all.
        assert!((at(cores(2, 0.6), 25) - 0.4167).abs() < 1e-9);
        assert!((at(cores(2, 0.6), 50) - 0.8333).abs() < 1e-9);
        assert!((at(cores(2, 0.6), 75) - 0.9167).abs() < 1e-9);
        assert!((at(cores(2, 0.6), 100) - 1.0).abs() < 1e-9);
        assert_eq!(
            at(cores(0, 0.6), 50),
            at(cores(2, 0.6), 50),
            "two threads unless somebody says otherwise"
        );
        // 2 cores of 4 threads at 0.5: 2 alone, and 6 more of (4 x 0.5 - 1) / 3 = 0.333 each: 4 in all.
        assert!((at(cores(4, 0.5), 25) - 0.5).abs() < 1e-3);
    }

    #[test]
    fn the_hosts_own_time_counts_what_it_adds() {
        // Workloads use all 4 cores once; a fifth thread adds 0.2 of a core.
        assert_eq!(cores(2, 0.6).own(4_000_000_000, 1_000_000_000), 200_000_000);
        assert_eq!(cores(2, 0.6).own(1_000_000_000, 1_000_000_000), 1_000_000_000, "there is room");
        assert_eq!(cores(2, 0.6).own(0, 1_000_000_000), 1_000_000_000);
        // 6 threads of workloads do 4.4; the host's 2 do 0.4 more: 6 x 0.4 / 4.4.
        assert_eq!(cores(2, 0.6).own(6_000_000_000, 2_000_000_000), 545_454_545);
    }

    #[test]
    fn a_host_of_no_cpus_is_not_divided_by() {
        let none = Cores::new(0, 0, Ratio::ONE, Duration::ZERO);
        assert!(none.utilisation(5).abs() < 1e-9);
        assert_eq!(none.own(0, 5), 5);
    }
}
