//! A host whose energy is pooled with that of its cluster: what it gives to a round, and what it gets booked at its end.

use super::{HostAccount, Interval, Quote};
use crate::attribution::books::Books;
use crate::attribution::ledger::{ByMethod, Method};
use crate::attribution::models::power_factor;
use crate::attribution::pool::{Booking, Deposit};
use crate::attribution::pricing::Price;
use crate::attribution::split::Claim;
use crate::attribution::workload::WorkloadAccount;
use crate::model::{Microjoules, Moment};

impl HostAccount {
    /// Whether a round of its cluster waits for it.
    pub(in crate::attribution) fn deposits(&self) -> bool {
        self.host.is_pooled() && self.settled.is_some() && self.is_enabled()
    }

    /// Gives an interval's energy to its cluster's round. In time of which nobody knows the energy nothing weighs.
    pub(super) fn deposit(
        &mut self,
        interval: Interval,
        claims: &[Claim],
        quote: Quote,
        books: &mut Books,
        now: Moment,
    ) {
        let known = Method::ALL.map(|m| quote.known.get(m).time).into_iter().sum();
        let mut deposit = Deposit { until: interval.until, time: known, ..Deposit::default() };
        for (method, part) in quote.parts() {
            *deposit.energy.get_mut(method) = part.energy;
        }
        let (known, whole) = (known.as_nanos(), interval.time().as_nanos().max(1));
        let of_known =
            |weight: u128| (weight / whole).saturating_mul(known) + (weight % whole) * known / whole;
        for (account, claim) in self.guests.iter_mut().zip(claims) {
            let (idle, dynamic) = power_factor::weights(claim);
            let holder = (account.info().id.clone(), account.project().clone());
            deposit.weights.insert(holder, (of_known(idle), of_known(dynamic)));
        }
        books.pool.deposit(&self.host, deposit, now);
    }

    /// Books what it gave to a round, and what its workloads got of it.
    pub(in crate::attribution) fn book_round(&mut self, booking: Booking, books: &mut Books) {
        let Booking { until, time, energy, unallocated, shares } = booking;
        self.booked = self.booked.max(Some(until));
        for method in Method::ALL {
            *self.energy.get_mut(method) += *energy.get(method);
            self.overhead.get_mut(method).unallocated += *unallocated.get(method);
        }
        if energy == ByMethod::default() {
            self.guests.iter_mut().for_each(WorkloadAccount::unknown_power);
        }
        for ((id, project), share) in shares {
            for (method, share) in Method::ALL.map(|m| (m, *share.get(m))) {
                let price = Price { method, energy: share.total() };
                // Nothing is booked, too, where others of the round got something: then it draws nothing now.
                if price.energy == Microjoules::ZERO && *energy.get(method) == Microjoules::ZERO {
                    continue;
                }
                if let Some(account) = self.guests.find_mut(&id, &project) {
                    account.book(method, share, time);
                    books.charge(&self.host, account, price, until);
                } else if price.energy > Microjoules::ZERO {
                    // Its account was closed meanwhile, to make room.
                    self.guests.depart(price.energy);
                    books.tenants.charge(&self.host.datacenter, &project, "", price, until);
                }
            }
        }
    }
}
