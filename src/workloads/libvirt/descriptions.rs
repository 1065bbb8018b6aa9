//! What is known of each domain from its XML, kept between samples: which descriptions are missing or stale, never
//! how they are fetched.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use super::client::Stale;
use super::protocol::{Domain, Uuid};
use super::xml::Described;
use crate::model::Moment;

/// After this a description is read again though no event said so: some changes (a vCPU plugged in) have none.
const MAX_AGE: Duration = Duration::from_secs(300);
/// How many merely old descriptions are read again in one sample, so that they do not all come due at once.
const OLD_PER_SAMPLE: usize = 32;

/// The descriptions of one hypervisor's domains.
#[derive(Debug, Default)]
pub struct Descriptions {
    known: HashMap<Uuid, Entry>,
}

#[derive(Debug)]
struct Entry {
    run: i32,
    read_at: Moment,
    stale: bool,
    described: Described,
}

impl Descriptions {
    /// Marks what events said.
    pub fn mark(&mut self, stale: &Stale) {
        match stale {
            Stale::All => self.known.values_mut().for_each(|e| e.stale = true),
            Stale::Some(domains) => {
                for uuid in domains {
                    if let Some(entry) = self.known.get_mut(uuid) {
                        entry.stale = true;
                    }
                }
            }
        }
    }

    /// Forgets every domain that is not in `present`.
    pub fn keep(&mut self, present: &HashSet<Uuid>) {
        self.known.retain(|uuid, _| present.contains(uuid));
    }

    /// Of `domains` those whose XML must be read now.
    pub fn due<'a>(&self, domains: impl Iterator<Item = &'a Domain>, now: Moment) -> Vec<Domain> {
        let mut old = 0;
        domains
            .filter(|d| match self.known.get(&d.uuid) {
                None => true,
                Some(entry) if entry.stale || entry.run != d.id => true,
                Some(entry) if now.since(entry.read_at) >= MAX_AGE => {
                    old += 1;
                    old <= OLD_PER_SAMPLE
                }
                Some(_) => false,
            })
            .cloned()
            .collect()
    }

    /// Keeps what was read of `domain`. An unchanged identity keeps its place in memory, so that those who hold it
    /// see that nothing changed.
    pub fn put(&mut self, domain: &Domain, mut described: Described, now: Moment) {
        if let Some(before) = self.known.get(&domain.uuid)
            && before.described.info == described.info
        {
            described.info = Arc::clone(&before.described.info);
        }
        self.known.insert(domain.uuid, Entry { run: domain.id, read_at: now, stale: false, described });
    }

    /// Whether this holds of any description.
    pub fn any(&self, holds: impl Fn(&Described) -> bool) -> bool {
        self.known.values().any(|entry| holds(&entry.described))
    }

    /// What is known of a domain.
    #[must_use]
    pub fn get(&self, uuid: &Uuid) -> Option<&Described> {
        self.known.get(uuid).map(|e| &e.described)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn domain(n: u8, id: i32) -> Domain {
        Domain { name: format!("vm-{n}"), uuid: Uuid([n; 16]), id }
    }

    fn at(seconds: u64) -> Moment {
        Moment::ZERO + Duration::from_secs(seconds)
    }

    fn known(domains: &[Domain]) -> Descriptions {
        let mut all = Descriptions::default();
        for d in domains {
            all.put(d, Described::unknown(d).unwrap(), at(0));
        }
        all
    }

    #[test]
    fn a_description_is_due_when_new_stale_in_another_run_or_old() {
        let (a, b) = (domain(1, 1), domain(2, 2));
        let mut all = known(&[a.clone(), b.clone()]);
        let both = [a.clone(), b.clone()];
        assert!(all.due(both.iter(), at(1)).is_empty());
        assert_eq!(all.due([domain(3, 3)].iter(), at(1)), [domain(3, 3)]);
        assert_eq!(all.due([domain(1, 9)].iter(), at(1)), [domain(1, 9)]);
        all.mark(&Stale::Some(HashSet::from([b.uuid, Uuid([9; 16])])));
        assert_eq!(all.due(both.iter(), at(1)), [b]);
        all.mark(&Stale::All);
        assert_eq!(all.due(both.iter(), at(1)).len(), 2);
        assert_eq!(known(&[a]).due(both.iter().take(1), at(300)).len(), 1);
    }

    #[test]
    fn old_descriptions_are_renewed_a_few_at_a_time() {
        let domains: Vec<_> = (0..100).map(|n| domain(n, 1)).collect();
        assert_eq!(known(&domains).due(domains.iter(), at(301)).len(), OLD_PER_SAMPLE);
    }

    #[test]
    fn an_unchanged_identity_keeps_its_place_and_an_absent_domain_is_forgotten() {
        let a = domain(1, 1);
        let mut all = known(std::slice::from_ref(&a));
        let before = Arc::clone(&all.get(&a.uuid).unwrap().info);
        all.put(&a, Described::unknown(&a).unwrap(), at(5));
        assert!(Arc::ptr_eq(&before, &all.get(&a.uuid).unwrap().info));
        all.keep(&HashSet::new());
        assert!(all.get(&a.uuid).is_none());
    }
}
