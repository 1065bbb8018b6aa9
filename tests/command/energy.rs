//! No joule between two polls is lost, however fast the meter is.

use std::sync::Arc;
use std::time::Duration;

use wattribute::model::{DatacenterId, MeterId, Moment};
use wattribute::store::{MeterSettings, Store};

use crate::{CSV, power, script};

fn store() -> Store {
    Store::new(vec![MeterSettings {
        id: MeterId::new("omegawatt").unwrap(),
        datacenter: DatacenterId::new("dc").unwrap(),
        driver: "command",
        address: "reader".into(),
        accuracy: None,
        stale_after: Duration::from_secs(30),
        max_gap: Duration::from_secs(30),
    }])
}

/// A meter at 50 Hz whose load jumps between 0 W and 1000 W every 0.3 s, polled twice a second: what polls alone would see
/// is chance. The store's integral is that of the samples at the moments of their receipt, each joined to the next by a
/// line: reckoned here from what the driver told, and known from the signal to the sum that the program wrote down.
#[tokio::test]
async fn the_stores_joules_are_the_integral_of_every_sample() {
    let python = "import time\n\
        began, n, joules, before = time.monotonic(), 0, 0.0, None\n\
        while n < 200:\n\
        \x20   t, w = time.monotonic(), 1000 if n // 15 % 2 else 0\n\
        \x20   print(f'{t},L,OK,{w}', flush=True)\n\
        \x20   if before: joules += (before[1] + w) / 2 * (t - before[0])\n\
        \x20   before, n = (t, w), n + 1\n\
        \x20   time.sleep(max(0, began + n * 0.02 - time.monotonic()))\n\
        open('truth.part', 'w').write(f'{joules} {n}\\n')\n\
        import os; os.rename('truth.part', 'truth'); time.sleep(60)\n";
    let mut reader = script("", CSV, vec![power("4", "outlet/1")])
        .with(|s| s.run = ["python3", "-u", "-c", python].map(str::to_owned).to_vec());
    let (store, meter) = (store(), MeterId::new("omegawatt").unwrap());
    let index = store.find(&meter).unwrap();
    let clock = Arc::clone(&reader.clock);
    let (mut samples, mut ended): (Vec<(Moment, f64)>, bool) = (Vec::new(), false);
    while !ended {
        ended = reader.folder.path().join("truth").exists();
        if let Ok(batch) = reader.poll().await {
            let now = clock.now();
            let value = |readings: &[wattribute::model::Reading]| readings[0].measure.value();
            samples.extend(batch.earlier.iter().map(|one| (one.at, value(&one.readings))));
            if !batch.readings.is_empty() {
                samples.push((now, value(&batch.readings)));
            }
            store.apply(index, &batch, now);
        }
        if samples.len() == 200 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let truth = reader.file("truth").await;
    let (joules, count) = truth.split_once(' ').unwrap();
    let (joules, count): (f64, usize) = (joules.parse().unwrap(), count.parse().unwrap());
    assert_eq!(samples.len(), count, "every sample came");
    let exact: f64 = samples
        .windows(2)
        .map(|pair| (pair[0].1 + pair[1].1) / 2.0 * pair[1].0.since(pair[0].0).as_secs_f64())
        .sum();
    let mut integrated = 0.0;
    store.each(|m| integrated = m.channels()[0].integrated().unwrap().joules());
    eprintln!("{integrated} J in the store, {exact} J of the samples, {joules} J by the program");
    assert!((integrated - exact).abs() < 1e-3, "{integrated} J, not {exact} J");
    // A machine that is busy hands lines over some milliseconds late, which matters only where the load jumps.
    assert!((integrated / joules - 1.0).abs() < 0.03, "{integrated} J, not {joules} J");
    reader.driver.close().await;
}

/// A program that prints through a buffer hands over a whole second at once.
#[tokio::test]
async fn a_program_that_buffers_loses_no_joule_either() {
    let python = "import time\n\
        for n in range(4):\n\
        \x20   time.sleep(0.4)\n\
        \x20   print(''.join(f'{100 + 10 * i}\\n' for i in range(20)), end='', flush=True)\n\
        time.sleep(60)\n";
    let mut reader = script("", CSV, vec![power("1", "x")])
        .with(|s| s.run = ["python3", "-u", "-c", python].map(str::to_owned).to_vec());
    let mut all = Vec::new();
    while all.len() < 61 {
        all.extend(reader.poll().await.unwrap().earlier);
        if all.is_empty() {
            // The first sample answers the poll itself.
            all.push(wattribute::model::Earlier { at: Moment::ZERO, readings: vec![] });
        }
    }
    let times: Vec<f64> = all.iter().skip(1).map(|one| one.at.since(Moment::ZERO).as_secs_f64()).collect();
    for block in times.chunks(20) {
        let steps: Vec<f64> = block.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(steps.iter().all(|step| (0.01..0.1).contains(step)), "{steps:?}");
    }
    reader.driver.close().await;
}
