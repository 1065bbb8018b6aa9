//! An exporter inside a VM, fed by the one outside: the recipes of `docs/workloads/inside.md` as they stand there, against the
//! exporter of the simulated data centre.

use std::path::{Path, PathBuf};

use crate::datacenter::{settled, simulation};
use crate::page::{Page, no_counter_fell};
use crate::process::{Exporter, in_repository};

const UUID: &str = "1dc28fc7-eb57-4ea9-a6df-b932525bd556";
const URL: &str = "http://compute-1.example:9797/metrics";

/// The recipes that read an exporter, for this one and this VM.
fn recipes(dir: &Path, outside: &Exporter, vm: &str) -> Vec<PathBuf> {
    let page = std::fs::read_to_string(in_repository("docs/workloads/inside.md")).unwrap();
    let blocks = page.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let recipes = blocks.filter(|block| block.contains(URL)).zip(0..).map(|(block, n)| {
        assert!(block.contains(UUID) && block.contains("interval: 10s"), "{block}");
        let text = block
            .replace(URL, &format!("http://{}/metrics", outside.address))
            .replace(UUID, vm)
            .replace("interval: 10s", "interval: 1s");
        let file = dir.join(format!("inside-{n}.yaml"));
        std::fs::write(&file, text).unwrap();
        file
    });
    recipes.collect()
}

/// What the VM was given outside, joules.
fn given(page: &Page, vm: &str) -> f64 {
    let labels = [("workload", vm), ("method", "measured")];
    page.sum("wattribute_workload_energy_joules_total", &labels) as f64 / 1e6
}

/// What the machine inside has drawn, joules, by a method.
fn drawn(page: &Page, method: &str) -> f64 {
    page.sum("wattribute_host_energy_joules_total", &[("host", "my-vm"), ("method", method)]) as f64 / 1e6
}

/// Up to when a host is settled, seconds.
fn until(page: &Page, host: &str) -> f64 {
    page.find("wattribute_host_settled_timestamp_seconds", &[("host", host)]).unwrap().number()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_split_inside_is_what_was_given_outside_and_none_of_it_is_called_measured() {
    let dir = tempfile::tempdir().unwrap();
    let sim = simulation(dir.path()).await;
    let mut outside = Exporter::start(&sim.config).await;
    let first = outside.until("all settled", settled).await;
    let busiest = |a: &&crate::page::Sample, b: &&crate::page::Sample| a.number().total_cmp(&b.number());
    let vm = first.of("wattribute_workload_power_watts").max_by(busiest).unwrap();
    let [vm, of] = ["workload", "host"].map(|label| vm.label(label).to_owned());
    let [counters, gauge] = <[PathBuf; 2]>::try_from(recipes(dir.path(), &outside, &vm)).unwrap();
    let (mut by_counters, mut by_gauge) = (Exporter::start(&counters).await, Exporter::start(&gauge).await);

    let begun = |page: &Page| drawn(page, "rated") > 0.0;
    let (before, outside_before) = (by_counters.until("it is fed", begun).await, outside.page().await);
    let gauge_before = by_gauge.until("it is fed by power", begun).await;
    // A kilojoule outside takes some twenty seconds.
    let goal = given(&outside_before, &vm) + 1000.0;
    let outside_after = outside.until("a kilojoule outside", |page| given(page, &vm) >= goal).await;
    let (after, gauge_after) = (by_counters.page().await, by_gauge.page().await);
    no_counter_fell(&before, &after);

    // Each page is settled up to its own moment, and ends within some seconds of the others: mean powers are compared.
    let mean =
        |joules: f64, from: &Page, to: &Page, host: &str| joules / (until(to, host) - until(from, host));
    let gained = |from: &Page, to: &Page| drawn(to, "rated") - drawn(from, "rated");
    let joules = given(&outside_after, &vm) - given(&outside_before, &vm);
    let power = mean(joules, &outside_before, &outside_after, &of);
    let counted = mean(gained(&before, &after), &before, &after, "my-vm");
    let shown = mean(gained(&gauge_before, &gauge_after), &gauge_before, &gauge_after, "my-vm");
    println!(
        "{joules:.1} J outside: {power:.1} W; inside {counted:.1} W by counters, {shown:.1} W by the gauge"
    );
    assert!((counted - power).abs() < power * 0.15 && (shown - power).abs() < power * 0.15);
    for page in [&after, &gauge_after] {
        assert_eq!(drawn(page, "measured"), 0.0);
        assert!(page.of("wattribute_host_power_watts").next().is_none(), "an estimate is shown as measured");
    }
    // What is settled inside is what its meter counted, within the second that the ledger may be behind at either end.
    let channel = |page: &Page, part: &str| {
        let labels = [("meter", "hypervisor"), ("channel", part), ("origin", "device")];
        page.find("wattribute_meter_energy_joules_total", &labels).unwrap().number()
    };
    let meter = |page: &Page| channel(page, "idle") + channel(page, "dynamic");
    let (inside, told) = (gained(&before, &after), meter(&after) - meter(&before));
    println!("{inside:.3} J settled of {told:.3} J");
    assert!((inside - told).abs() < told * 0.15, "{inside} of {told} J");
}

#[tokio::test(flavor = "multi_thread")]
async fn power_in_a_file_feeds_a_host_until_nobody_writes_it_and_then_the_nameplate_does() {
    let dir = tempfile::tempdir().unwrap();
    let power = dir.path().join("host.prom");
    let config = dir.path().join("wattribute.yaml");
    let text = "meters:\n\
         \x20 - name: handed-in\n    interval: 500ms\n    timeout: 500ms\n    stale_after: 2s\n    max_gap: 2s\n\
         \x20   prometheus: {file: host.prom, max_age: 2s, series: [{metric: host_power_watts, quantity: power, channel: input}]}\n\
         hosts:\n  - {name: my-vm, feeds: [handed-in/input, {rated: 500 W, power_factor: 0.2}], fallback_after: 1s}\n";
    std::fs::write(&config, text).unwrap();
    let write = |watts: f64| {
        let new = dir.path().join("new");
        std::fs::write(&new, format!("host_power_watts {watts}\n")).unwrap();
        std::fs::rename(&new, &power).unwrap();
    };
    write(40.0);
    let mut exporter = Exporter::start(&config).await;
    let page = exporter
        .until("measured", |page| {
            write(40.0);
            drawn(page, "measured") > 100.0
        })
        .await;
    // The first interval may have begun before the file was first read.
    let rated = drawn(&page, "rated");
    let after = exporter.until("rated once nobody writes", |page| drawn(page, "rated") > rated + 200.0).await;
    let up = after.find("wattribute_meter_up", &[("meter", "handed-in")]).unwrap();
    assert_eq!(up.value, "0");
    no_counter_fell(&page, &after);
    let again = exporter
        .until("measured again", |page| {
            write(40.0);
            drawn(page, "measured") > drawn(&after, "measured") + 100.0
        })
        .await;
    no_counter_fell(&after, &again);
    let [measured, assumed] =
        ["measured", "rated"].map(|method| drawn(&again, method) - drawn(&page, method));
    let elapsed = until(&again, "my-vm") - until(&page, "my-vm");
    let told = measured / 40.0 + assumed / 100.0;
    println!("{measured:.1} J measured, {assumed:.1} J rated: {told:.3} of {elapsed:.3} s");
    // Times are shown in milliseconds.
    assert!((told - elapsed).abs() < 0.003, "{told} of {elapsed} s");
}
