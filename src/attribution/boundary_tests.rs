//! Claims about what happens at the edges of a VM's life: each event by its name, with the figures by hand. Random mixtures of
//! them are in `histories`.

use std::sync::Arc;

use super::ledger::Method;
use super::room::{Room, fixed, usage, vm};
use crate::inventory::{Idle, Member, Service, Services};
use crate::model::{Clock, Microjoules, Moment, ProjectId};
use crate::workloads::{State, Workload, WorkloadInfo};

/// One host at 300 W, of which 100 W idle; both meters are read every second up to `until`.
fn room(until: u32) -> Room {
    let r = Room::new(1, fixed(100.0), None);
    (0..=until).for_each(|s| r.power("pdu0", f64::from(s), 300.0));
    r
}

fn with_state(workload: Workload, state: State) -> Workload {
    Workload { state: Some(state), cpu: None, ..workload }
}

fn total(r: &Room, id: &str) -> Microjoules {
    let label = format!("workload=\"{id}\"");
    let totals = r.ledger.vm_totals();
    totals.iter().filter(|t| t.labels.as_str().contains(&label)).map(|t| t.energy.measured).sum()
}

#[test]
fn a_paused_vm_pays_for_what_it_holds_and_for_no_cpu_time() {
    for state in [State::Paused, State::Suspended] {
        let mut r = room(20);
        r.sample(0, usage(0.0, None, vec![vm("a-1", 1, Some(0.0), 5, 20), vm("b-1", 2, Some(0.0), 1, 4)]));
        for s in [10.0, 20.0] {
            let paused = with_state(vm("a-1", 1, None, 5, 20), state);
            r.sample(0, usage(s, None, vec![paused, vm("b-1", 2, Some(s), 1, 4)]));
        }
        r.settle(20.0);
        // Half of the vCPUs and half of the memory of 100 W x 20 s.
        assert_eq!(r.joules(0, "a-1"), (1000.0, 0.0));
        assert_eq!(r.joules(0, "b-1").1, 4000.0);
    }
}

#[test]
fn a_vm_that_is_resumed_is_caught_up_with_the_cpu_time_of_its_run() {
    let mut r = room(30);
    for (s, cpu) in [(0.0, Some(5.0)), (10.0, None), (20.0, Some(5.0)), (30.0, Some(10.0))] {
        let guest = vm("a-1", 1, cpu, 5, 20);
        let guest = if cpu.is_none() { with_state(guest, State::Paused) } else { guest };
        r.sample(0, usage(s, None, vec![guest, vm("b-1", 2, Some(s / 2.0), 1, 4)]));
    }
    r.settle(30.0);
    // 200 W x 30 s of dynamic energy: a shares with b in the last interval only, half and half.
    assert_eq!((r.joules(0, "a-1").1, r.joules(0, "b-1").1), (1000.0, 5000.0));
}

#[test]
fn a_vm_that_crashes_or_is_shut_off_holds_half_of_that_interval_and_nothing_after() {
    for state in [State::Crashed, State::ShutOff] {
        let mut r = room(20);
        r.sample(0, usage(0.0, None, vec![vm("a-1", 1, Some(0.0), 5, 20)]));
        for s in [10.0, 20.0] {
            r.sample(0, usage(s, None, vec![with_state(vm("a-1", 0, None, 5, 20), state)]));
        }
        r.settle(20.0);
        assert_eq!(r.joules(0, "a-1"), (250.0, 0.0));
        assert_eq!(r.ledger.hosts()[0].overhead().measured.hypervisor.joules(), 4000.0);
    }
}

#[test]
fn a_vm_that_starts_again_counts_its_new_run_from_zero_and_goes_on() {
    let mut r = room(20);
    r.sample(0, usage(0.0, None, vec![vm("a-1", 1, Some(500.0), 5, 20), vm("b-1", 9, Some(0.0), 1, 4)]));
    r.sample(0, usage(10.0, None, vec![vm("a-1", 2, Some(2.0), 5, 20), vm("b-1", 9, Some(2.0), 1, 4)]));
    r.sample(0, usage(20.0, None, vec![vm("a-1", 2, Some(4.0), 5, 20), vm("b-1", 9, Some(4.0), 1, 4)]));
    r.settle(20.0);
    assert_eq!((r.joules(0, "a-1").1, r.joules(0, "b-1").1), (2000.0, 2000.0));
}

#[test]
fn a_cpu_counter_that_falls_within_a_run_gives_nothing_and_takes_nothing() {
    let mut r = room(20);
    r.sample(0, usage(0.0, None, vec![vm("a-1", 1, Some(500.0), 5, 20), vm("b-1", 2, Some(0.0), 1, 4)]));
    r.sample(0, usage(10.0, None, vec![vm("a-1", 1, Some(3.0), 5, 20), vm("b-1", 2, Some(5.0), 1, 4)]));
    r.sample(0, usage(20.0, None, vec![vm("a-1", 1, Some(8.0), 5, 20), vm("b-1", 2, Some(10.0), 1, 4)]));
    r.settle(20.0);
    assert_eq!((r.joules(0, "a-1").1, r.joules(0, "b-1").1), (1000.0, 3000.0));
}

#[test]
fn a_vm_that_changes_its_size_counts_half_with_each_in_that_interval() {
    let mut r = room(20);
    r.sample(0, usage(0.0, None, vec![vm("a-1", 1, Some(0.0), 2, 8)]));
    r.sample(0, usage(10.0, None, vec![vm("a-1", 1, Some(1.0), 4, 16)]));
    r.sample(0, usage(20.0, None, vec![vm("a-1", 1, Some(2.0), 4, 16)]));
    r.settle(20.0);
    // 1000 J by 3 of 10 vCPUs and 12 of 40 GiB, then by 4 and 16.
    assert_eq!(r.joules(0, "a-1").0, 300.0 + 400.0);
}

#[test]
fn a_renamed_vm_goes_on_counting_under_its_id_and_shows_its_new_name() {
    let mut r = room(20);
    for (s, name) in [(0.0, "old"), (10.0, "old"), (20.0, "new")] {
        let guest = vm("a-1", 1, Some(s), 5, 20);
        let info = Arc::new(WorkloadInfo { name: name.into(), ..(*guest.info).clone() });
        r.sample(0, usage(s, None, vec![Workload { info, ..guest }]));
    }
    r.settle(20.0);
    assert_eq!(r.joules(0, "a-1"), (1000.0, 4000.0));
    let accounts: Vec<_> = r.ledger.hosts()[0].workloads().collect();
    assert_eq!(accounts.len(), 1);
    assert!(accounts[0].info_labels().as_str().contains("name=\"new\""));
}

#[test]
fn a_vm_of_another_project_has_a_total_as_each_ones() {
    let mut r = room(20);
    for (s, project) in [(0.0, "p"), (10.0, "p"), (20.0, "q")] {
        let guest = vm("a-1", 1, Some(s), 5, 20);
        let project_id = Some(ProjectId::new(project).unwrap());
        let info = Arc::new(WorkloadInfo { project_id, ..(*guest.info).clone() });
        r.sample(0, usage(s, None, vec![Workload { info, ..guest }]));
    }
    r.settle(20.0);
    let totals = r.ledger.vm_totals();
    assert_eq!(totals.iter().map(|t| t.energy.measured.joules()).collect::<Vec<_>>(), [2500.0, 2500.0]);
}

/// Live: for the seconds in which it is on both hosts, both list it.
#[test]
fn the_total_of_a_vm_that_migrates_goes_on_and_counts_nothing_twice() {
    let mut r = Room::new(2, Idle::None, None);
    for s in 0..=40 {
        r.power("pdu0", f64::from(s), 100.0);
        r.power("pdu1", f64::from(s), 100.0);
    }
    let mut before = Microjoules::ZERO;
    for s in [0.0, 10.0, 20.0, 30.0, 40.0] {
        let (here, there) = (s <= 20.0, s >= 20.0);
        let other = || vm("b-1", 9, Some(0.0), 1, 1);
        let guest = |run, cpu| vm("a-1", run, Some(cpu), 2, 4);
        r.sample(0, usage(s, None, if here { vec![guest(1, s), other()] } else { vec![other()] }));
        // Its QEMU on the other host counts from zero.
        let arrived = if there { vec![guest(7, s - 20.0)] } else { vec![] };
        r.sample(1, usage(s, None, arrived));
        r.settle(s);
        assert!(total(&r, "a-1") >= before);
        before = total(&r, "a-1");
    }
    // 20 s at 100 W on each: on the first up to 20 s, on the second from then on.
    assert_eq!(before.joules(), 4000.0);
    assert_eq!(r.joules(0, "a-1").1 + r.joules(1, "a-1").1, 4000.0);
}

#[test]
fn a_total_holds_what_a_closed_account_held_and_ends_an_hour_after_its_vm() {
    let mut r = Room::new(2, Idle::None, None);
    let mut shown = Vec::new();
    for s in (0..=11_000).step_by(10) {
        let now = f64::from(s);
        r.power("pdu0", now, 100.0);
        r.power("pdu1", now, 100.0);
        let guest = |run, cpu| vec![vm("a-1", run, Some(cpu), 2, 4)];
        r.sample(0, usage(now, None, if s <= 100 { guest(1, now) } else { vec![] }));
        r.sample(1, usage(now, None, if (100..=5000).contains(&s) { guest(2, now - 100.0) } else { vec![] }));
        r.settle(now);
        if [100, 4500, 8500, 10_900].contains(&s) {
            shown.push(total(&r, "a-1").joules());
        }
    }
    assert!(r.ledger.hosts()[0].departed() > Microjoules::ZERO);
    assert_eq!(shown, [10_000.0, 10_000.0 + 440_000.0, 10_000.0 + 490_000.0, 0.0]);
    assert!(r.ledger.vm_totals().is_empty());
}

#[test]
fn the_total_of_a_vm_goes_on_while_one_of_its_hosts_is_removed() {
    let mut r = room(40);
    for s in [0.0, 10.0] {
        r.sample(0, usage(s, None, vec![vm("a-1", 1, Some(s), 5, 20)]));
    }
    r.settle(10.0);
    let before = total(&r, "a-1");
    assert_eq!(before.joules(), 2500.0);
    let mut gone = Vec::new();
    r.reload(11.0, |i| gone = std::mem::take(&mut i.hosts));
    assert!(r.ledger.vm_totals().is_empty(), "no host has it");
    r.reload(12.0, |i| i.hosts = gone);
    assert_eq!(total(&r, "a-1"), before);
}

#[test]
fn a_service_counts_its_workloads_wherever_they_run_and_when_they_have_gone() {
    let mut r = Room::new(2, Idle::None, None);
    let member = |matches: &str, weight| Member {
        matches: glob::Pattern::new(matches).unwrap(),
        project_id: None,
        weight,
    };
    r.reload(0.0, |i| {
        i.services = Services::new(vec![
            Service { name: "shop".into(), members: vec![member("a-*", 1)] },
            Service { name: "mail".into(), members: vec![member("a-2", 3)] },
        ]);
    });
    for s in 0..=30 {
        r.power("pdu0", f64::from(s), 100.0);
        r.power("pdu1", f64::from(s), 100.0);
    }
    for s in [0.0, 10.0, 20.0, 30.0] {
        r.sample(0, usage(s, None, if s <= 10.0 { vec![vm("a-1", 1, Some(s), 2, 4)] } else { vec![] }));
        r.sample(1, usage(s, None, vec![vm("a-2", 1, Some(s), 2, 4)]));
    }
    r.settle(30.0);
    let services: Vec<_> = r
        .ledger
        .services()
        .iter()
        .map(|((_, name, _), s)| (name.as_str(), s.energy.measured.joules()))
        .collect();
    // a-1: 1000 J; a-2: 3000 J, three quarters of them of mail.
    assert_eq!(services, [("mail", 2250.0), ("shop", 1000.0 + 750.0)]);
}

/// A clock on the wall that is set back and forth at every look.
#[derive(Debug)]
struct Stepping(std::sync::Mutex<u64>);

impl Clock for Stepping {
    fn now(&self) -> Moment {
        let mut seconds = self.0.lock().unwrap();
        *seconds += 1;
        Moment::from_nanos(*seconds * 1_000_000_000)
    }

    fn unix_seconds(&self) -> f64 {
        let seconds = *self.0.lock().unwrap();
        if seconds.is_multiple_of(2) { 4e9 } else { 0.0 }
    }
}

#[test]
fn a_step_of_the_clock_on_the_wall_moves_no_joule() {
    let mut r = Room::new(1, Idle::None, None);
    let clock = Stepping(std::sync::Mutex::new(0));
    for _ in 0..=20 {
        let now = clock.now().since(Moment::ZERO).as_secs_f64();
        let _ = clock.unix_seconds();
        r.power("pdu0", now, 100.0);
        r.sample(0, usage(now, None, vec![vm("a-1", 1, Some(now), 2, 4)]));
        r.settle(now);
    }
    assert_eq!(r.host_joules(0, Method::Measured), 2000.0);
    assert_eq!(r.joules(0, "a-1").1, 2000.0);
}
