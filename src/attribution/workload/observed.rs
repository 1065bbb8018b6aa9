//! What is known of a workload beyond its account: as it was last told, and what its links and disks did in all.

use serde::{Deserialize, Serialize};

use crate::workloads::{Details, DiskIo, Traffic};

/// What is known of one workload. Its totals never fall: a new run's counters, which start at 0, add to those before, and a
/// sum that falls, since a link or disk was taken away, stands still.
#[derive(Debug, Clone, Default)]
pub struct Observed {
    latest: Details,
    network: Total,
    io: Total,
}

/// Its totals, kept.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct ObservedState {
    network: Total,
    io: Total,
}

/// Four counters that are read together.
type Counters = [u64; 4];

/// Counters over all runs.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct Total {
    /// The run that was last told of, and what.
    mark: Option<(u32, Counters)>,
    /// None before anything was told.
    sum: Option<Counters>,
}

impl Observed {
    /// What was told last; each none where it was not told then.
    #[must_use]
    pub const fn latest(&self) -> &Details {
        &self.latest
    }

    /// What its links carried in all; none before that was told.
    #[must_use]
    pub fn network(&self) -> Option<Traffic> {
        let [received_bytes, sent_bytes, received_packets, sent_packets] = self.network.sum?;
        Some(Traffic { received_bytes, sent_bytes, received_packets, sent_packets })
    }

    /// What its disks did in all; none before that was told.
    #[must_use]
    pub fn io(&self) -> Option<DiskIo> {
        let [read_bytes, written_bytes, reads, writes] = self.io.sum?;
        Some(DiskIo { read_bytes, written_bytes, reads, writes })
    }

    /// What is to be kept of it.
    pub(in crate::attribution) const fn kept(&self) -> ObservedState {
        ObservedState { network: self.network, io: self.io }
    }

    /// Goes on from `state`: of the same run only what is new will be added.
    pub(in crate::attribution) fn resumed(state: ObservedState) -> Self {
        let ObservedState { network, io } = state;
        Self { latest: Details::default(), network, io }
    }

    /// Takes what a sample tells of its run.
    pub(in crate::attribution) fn take(&mut self, run: u32, told: &Details) {
        let network = |t: Traffic| [t.received_bytes, t.sent_bytes, t.received_packets, t.sent_packets];
        let io = |d: DiskIo| [d.read_bytes, d.written_bytes, d.reads, d.writes];
        self.network.take(run, told.network.map(network));
        self.io.take(run, told.io.map(io));
        self.latest = told.clone();
    }

    /// It is no longer there: nothing is known of it now.
    pub(in crate::attribution) fn leave(&mut self) {
        self.latest = Details::default();
    }

    /// Goes on where another account of the same workload left off.
    pub(in crate::attribution) fn succeed(&mut self, before: &mut Self) {
        self.latest = std::mem::take(&mut before.latest);
        self.network.succeed(&mut before.network);
        self.io.succeed(&mut before.io);
    }
}

impl Total {
    fn take(&mut self, run: u32, told: Option<Counters>) {
        let Some(now) = told else { return };
        let gained = match self.mark.replace((run, now)) {
            Some((same, before)) if same == run => pairs(now, before, u64::saturating_sub),
            Some(_) | None => now,
        };
        self.sum = Some(self.sum.map_or(gained, |sum| pairs(sum, gained, u64::saturating_add)));
    }

    fn succeed(&mut self, before: &mut Self) {
        self.mark = before.mark.take();
        if self.mark.is_some() {
            self.sum.get_or_insert_default();
        }
    }
}

fn pairs(a: Counters, b: Counters, of: fn(u64, u64) -> u64) -> Counters {
    let mut pairs = a.into_iter().zip(b);
    std::array::from_fn(|_| pairs.next().map_or(0, |(a, b)| of(a, b)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(bytes: u64) -> Details {
        let network = Some(Traffic { received_bytes: bytes, ..Traffic::default() });
        Details { network, resident_memory_bytes: Some(7), ..Details::default() }
    }

    #[test]
    fn totals_go_on_over_runs_gaps_and_links_that_are_taken_away() {
        let mut observed = Observed::default();
        assert_eq!(observed.network(), None);
        for (run, told, total) in [
            (1, Some(100), 100),
            (1, Some(150), 150),
            (1, None, 150),
            (1, Some(170), 170),
            // A link was taken away, and another went on.
            (1, Some(50), 170),
            (1, Some(60), 180),
            // Started anew.
            (2, Some(5), 185),
            (2, Some(6), 186),
        ] {
            observed.take(run, &told.map(received).unwrap_or_default());
            assert_eq!(observed.network().unwrap().received_bytes, total, "{run} {told:?}");
            assert_eq!(observed.latest().resident_memory_bytes.is_some(), told.is_some());
        }
        assert_eq!(observed.io(), None, "what was never told is unknown");
        observed.leave();
        assert_eq!((observed.latest().network, observed.network().unwrap().received_bytes), (None, 186));
    }

    #[test]
    fn a_new_owners_totals_begin_where_the_old_ones_end() {
        let (mut old, mut new) = (Observed::default(), Observed::default());
        old.take(1, &received(100));
        new.succeed(&mut old);
        assert_eq!(new.network().unwrap().received_bytes, 0);
        new.take(1, &received(130));
        assert_eq!(new.network().unwrap().received_bytes, 30);
        assert_eq!((old.network().unwrap().received_bytes, old.latest().network), (100, None));
        // And back: what the other had in between stays with it.
        old.succeed(&mut new);
        old.take(1, &received(131));
        assert_eq!((old.network().unwrap().received_bytes, new.network().unwrap().received_bytes), (101, 30));
    }
}
