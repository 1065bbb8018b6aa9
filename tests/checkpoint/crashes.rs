//! Counters over crashes and orderly ends.

use std::collections::BTreeMap;
use std::time::Instant;

use tokio::time::sleep;

use super::{A_WHILE, Duration, kill, number, settled, site};
use crate::page::{Page, no_counter_fell};

/// Counters that are kept: joules, and what is told of time and of CPUs. Polls and the like begin anew with the process.
fn kept(page: &Page) -> BTreeMap<String, f64> {
    let names = ["_joules_total", "_unmeasured_seconds_total", "_cpu_seconds_total"];
    let mut counters = page.counters();
    counters.retain(|name, _| {
        name.starts_with("wattribute_") && names.iter().any(|n| name.split('{').next().unwrap().ends_with(n))
    });
    counters
}

/// Claims that what `checkpoint` showed is still there (of meters: if they have been read again), and has not fallen.
fn nothing_fell(checkpoint: &BTreeMap<String, f64>, page: &Page) {
    let now = kept(page);
    assert!(checkpoint.len() > 50, "{} counters", checkpoint.len());
    for (name, before) in checkpoint {
        let Some(after) = now.get(name) else {
            // A channel is shown once its device has shown it again.
            assert!(name.starts_with("wattribute_meter_"), "{name} is gone");
            continue;
        };
        assert!(after >= before, "{name} fell from {before} to {after}");
    }
}

/// Energy of all hosts, J, and the seconds missed on all of them.
fn hosts(page: &Page) -> (f64, f64) {
    let missed = page.of("wattribute_host_unmeasured_seconds_total").map(crate::page::Sample::number).sum();
    (page.sum("wattribute_host_energy_joules_total", &[]) as f64 / 1e6, missed)
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_twenty_times_at_any_moment_no_counter_falls_and_at_most_the_interval_is_missing() {
    let site = site().await;
    let mut moments = 0x2545_f491_u32;
    let (began, mut exporter) = (Instant::now(), site.exporter().await);
    let first = exporter.until("all settled", settled).await;
    let mut before = kept(&first);
    let opened = began.elapsed().as_secs_f64();
    for round in 0..20 {
        // Some lives end before anything new is settled, some after.
        let (joules, _) = hosts(&exporter.page().await);
        let grown = |page: &Page| round % 2 == 0 || hosts(page).0 > joules;
        let page = exporter.until("something new is settled", grown).await;
        nothing_fell(&before, &page);
        moments = moments.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        sleep(Duration::from_millis(u64::from(moments >> 22))).await;
        // Whatever was shown, up to the last moment, is on the disk.
        before = kept(&exporter.page().await);
        kill(exporter);
        exporter = site.exporter().await;
        let page = exporter.page().await;
        assert_eq!(number(&page, "wattribute_checkpoint_refused"), 0.0, "round {round}");
        nothing_fell(&before, &page);
    }
    let (joules, _) = hosts(&exporter.page().await);
    let page = exporter.until("all is settled on", |page| settled(page) && hosts(page).0 > joules).await;
    nothing_fell(&before, &page);
    // Every second of every host is measured or missed: by their own sums, since all hosts draw at least 50 W.
    let (_, missed) = hosts(&page);
    let passed = began.elapsed().as_secs_f64();
    assert!(missed / 8.0 < passed, "{missed} s missed on 8 hosts in {passed} s");
    let (energy, _) = hosts(&page);
    let (first_energy, _) = hosts(&first);
    eprintln!(
        "20 crashes in {passed:.1} s: {:.1} s missed a host, {energy:.0} J ({first_energy:.0} J after {opened:.1} s)",
        missed / 8.0
    );
    assert!(energy > first_energy, "what was measured between the crashes counts");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_orderly_end_keeps_all_and_the_time_away_is_missed() {
    let site = site().await;
    let mut exporter = site.exporter().await;
    exporter.until("all settled", settled).await;
    sleep(A_WHILE).await;
    let before = exporter.page().await;
    assert!(number(&before, "wattribute_checkpoint_age_seconds") < 3.0);
    let (status, _) = exporter.program.terminate().await;
    assert!(status.success(), "{}", exporter.program.output());
    sleep(A_WHILE).await;

    let mut exporter = site.exporter().await;
    assert!(exporter.program.output().contains("counters go on from"), "{}", exporter.program.output());
    let shown = exporter.page().await;
    nothing_fell(&kept(&before).into_iter().filter(|(n, _)| !n.contains("_meter_")).collect(), &shown);
    let after =
        exporter.until("all settled again", |page| hosts(page).1 > hosts(&before).1 + 8.0 * 4.0).await;
    nothing_fell(&kept(&before), &after);
    let away = (hosts(&after).1 - hosts(&before).1) / 8.0;
    assert!((5.0..20.0).contains(&away), "{away} s missed a host");
    let later = exporter.until("more energy", |page| hosts(page).0 > hosts(&after).0 + 100.0).await;
    no_counter_fell(&after, &later);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_exporter_on_the_same_folder_refuses_to_start() {
    let site = site().await;
    let exporter = site.exporter().await;
    let said = site.refused();
    let wanted = format!("is in use by another exporter (process {})", exporter.program.id());
    assert!(said.contains(&wanted) && said.contains("--storage.path"), "{said}");
    let other = tempfile::tempdir().unwrap();
    let arguments = site.arguments(other.path());
    crate::process::Exporter::start_with(&site.sim.config, "127.0.0.1:0", &arguments).await;
}
