//! Domains of which libvirtd cannot tell all because their QEMU does not answer it, or their storage. Pure bookkeeping: who
//! may be asked for together with others, who alone, who not at all.
//!
//! A hung call holds one of libvirtd's few worker threads until QEMU wakes up, whether or not we still listen. So a
//! domain with an open call is not asked again before that call is answered (or its connection, its run or the
//! domain ends), and the number of open calls is bounded for the hypervisor as a whole.

use std::collections::HashMap;

use super::client::Pending;
use super::protocol::{Domain, Uuid};

/// How many calls may hang at libvirtd. It has 20 workers, others need some.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// So many and no further domain is tried alone: it waits for its turn, unknown.
    pub alone: usize,
    /// So many and nothing is asked for at all.
    pub open: usize,
}

/// A call that was given up but may still be answered.
pub trait OpenCall {
    /// Whether it was answered by now, or never will be.
    fn settled(&mut self) -> bool;
}

impl OpenCall for Pending {
    fn settled(&mut self) -> bool {
        Self::settled(self)
    }
}

/// How a domain may be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// Together with others.
    Together,
    /// Alone, since it was never asked alone.
    Alone,
    /// Not now.
    Closed,
}

/// Every domain and call that is under suspicion.
#[derive(Debug)]
pub struct Quarantine<C> {
    limits: Limits,
    held: HashMap<Uuid, Held<C>>,
    together: Vec<C>,
}

#[derive(Debug)]
struct Held<C> {
    run: i32,
    /// None while it waits for its turn to be asked alone.
    call: Option<C>,
}

impl<C: OpenCall> Quarantine<C> {
    /// Nobody is under suspicion.
    pub fn new(limits: Limits) -> Self {
        Self { limits, held: HashMap::new(), together: Vec::new() }
    }

    /// Lets go whatever was answered since the last time.
    pub fn release(&mut self) {
        self.together.retain_mut(|call| !call.settled());
        self.held.retain(|_, held| held.call.as_mut().is_none_or(|call| !call.settled()));
    }

    /// Lets go every domain that is gone or runs anew. `run` gives a domain's present run.
    pub fn forget_gone(&mut self, run: impl Fn(&Uuid) -> Option<i32>) {
        self.held.retain(|uuid, held| run(uuid) == Some(held.run));
    }

    /// Whether no domain is under suspicion.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Calls that libvirtd still works on.
    #[must_use]
    pub fn open_calls(&self) -> usize {
        self.together.len() + self.held.values().filter(|held| held.call.is_some()).count()
    }

    /// Whether anything may be asked for.
    #[must_use]
    pub fn may_ask(&self) -> bool {
        self.open_calls() < self.limits.open
    }

    /// How many domains may be tried alone now.
    #[must_use]
    pub fn room(&self) -> usize {
        self.limits.alone.saturating_sub(self.open_calls())
    }

    /// How `domain` may be asked for.
    #[must_use]
    pub fn lane(&self, domain: &Domain) -> Lane {
        match self.held.get(&domain.uuid) {
            None => Lane::Together,
            Some(Held { call: None, .. }) => Lane::Alone,
            Some(Held { call: Some(_), .. }) => Lane::Closed,
        }
    }

    /// Keeps a hung call for many domains.
    pub fn park(&mut self, call: C) {
        self.together.push(call);
    }

    /// Keeps `domain`, whose own call hangs.
    pub fn hold(&mut self, domain: &Domain, call: C) {
        self.held.insert(domain.uuid, Held { run: domain.id, call: Some(call) });
    }

    /// Keeps `domain`, which could not be asked yet.
    pub fn defer(&mut self, domain: &Domain) {
        self.held.insert(domain.uuid, Held { run: domain.id, call: None });
    }

    /// Lets go `domain`, which answered.
    pub fn clear(&mut self, domain: &Domain) {
        self.held.remove(&domain.uuid);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;

    use super::*;

    const LIMITS: Limits = Limits { alone: 2, open: 3 };

    #[derive(Default, Clone)]
    struct Call(Rc<Cell<bool>>);
    impl OpenCall for Call {
        fn settled(&mut self) -> bool {
            self.0.get()
        }
    }

    fn domain(n: u8, id: i32) -> Domain {
        Domain { name: String::new(), uuid: Uuid([n; 16]), id }
    }

    #[test]
    fn a_domain_with_an_open_call_is_asked_again_only_after_the_answer() {
        let (mut q, call, d) = (Quarantine::new(LIMITS), Call::default(), domain(1, 1));
        assert_eq!(q.lane(&d), Lane::Together);
        q.hold(&d, call.clone());
        q.release();
        assert_eq!((q.lane(&d), q.open_calls()), (Lane::Closed, 1));
        call.0.set(true);
        q.release();
        assert_eq!((q.lane(&d), q.open_calls(), q.is_empty()), (Lane::Together, 0, true));
    }

    #[test]
    fn a_deferred_domain_is_asked_alone_and_a_new_run_is_no_longer_suspect() {
        let mut q = Quarantine::<Call>::new(LIMITS);
        q.defer(&domain(1, 1));
        q.hold(&domain(2, 2), Call::default());
        q.park(Call::default());
        q.release();
        assert_eq!((q.lane(&domain(1, 1)), q.open_calls()), (Lane::Alone, 2));
        q.forget_gone(|uuid| (*uuid == Uuid([2; 16])).then_some(3));
        assert!(q.is_empty());
        assert_eq!(q.open_calls(), 1, "the call for many is open still");
        assert_eq!((q.room(), q.may_ask()), (1, true));
        q.hold(&domain(2, 3), Call::default());
        assert_eq!((q.room(), q.may_ask()), (0, true));
        q.park(Call::default());
        assert_eq!((q.room(), q.may_ask()), (0, false));
    }
}
