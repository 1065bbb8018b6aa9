//! An exporter that stands still for a while, as one on a machine that is suspended or overloaded.

use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::time::sleep;

use crate::books::balance;
use crate::datacenter::{settled, simulation};
use crate::page::{Page, Sample, no_counter_fell};
use crate::process::Exporter;

/// Twice as long as the longest gap that is bridged, 3 s.
const PAUSE: Duration = Duration::from_secs(6);

/// What is known of a host: measured joules, rated joules, unmeasured seconds, and up to when.
fn known(page: &Page, host: &str) -> [f64; 4] {
    let energy = |method| {
        let labels = [("host", host), ("method", method)];
        page.sum("wattribute_host_energy_joules_total", &labels) as f64 / 1e6
    };
    let unmeasured = page.find("wattribute_host_unmeasured_seconds_total", &[("host", host)]);
    let settled = page.find("wattribute_host_settled_timestamp_seconds", &[("host", host)]);
    let number = |sample: Option<&Sample>| sample.unwrap_or_else(|| panic!("{host}")).number();
    [energy("measured"), energy("rated"), number(unmeasured), number(settled)]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_is_neither_lost_nor_invented() {
    let dir = tempfile::tempdir().unwrap();
    let sim = simulation(dir.path()).await;
    let mut exporter = Exporter::start(&sim.config).await;
    let before = exporter.until("all settled", settled).await;
    let begun = sim.seconds();
    let pid = i32::try_from(exporter.program.id()).ok().and_then(Pid::from_raw).unwrap();
    kill_process(pid, Signal::STOP).unwrap();
    sleep(PAUSE).await;
    kill_process(pid, Signal::CONT).unwrap();
    let resumed = exporter.page().await;
    // Some seconds more, so that those which were late are settled too.
    let again = |page: &Page| {
        let gained = |host: &str| known(page, host)[0] - known(&resumed, host)[0];
        sim.world().hosts().iter().all(|host| gained(&host.name) > 600.0)
    };
    let after = exporter.until("all measured again", again).await;
    let ended = sim.seconds();
    balance(&after);
    no_counter_fell(&before, &after);
    for (index, host) in sim.world().hosts().iter().enumerate() {
        let (from, to) = (known(&before, &host.name), known(&after, &host.name));
        let [measured, rated, unmeasured, seconds] = [0, 1, 2, 3].map(|i: usize| to[i] - from[i]);
        let drawn = sim.world().host_joules(index, ended) - sim.world().host_joules(index, begun);
        let watts = drawn / (ended - begun);
        // The nameplate of the simulation says 500 W.
        let told = measured / watts + rated / 500.0 + unmeasured;
        println!(
            "{}: {measured:.0} J, {rated:.0} J rated, {unmeasured:.1} s unmeasured: {told:.1} of {seconds:.1} s",
            host.name
        );
        // The mean power of the whole time is not that of its measured part.
        assert!((told - seconds).abs() < 0.5, "{}: {told} of {seconds} s", host.name);
        assert!(measured / watts < seconds - PAUSE.as_secs_f64() + 3.0, "{}: invented", host.name);
    }
}
