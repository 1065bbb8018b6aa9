//! What guests and their hypervisor go through in a day, with a real libvirtd and QEMU: stopped, paused, shut off, destroyed
//! and defined anew, and libvirtd itself restarted. Totals go on, and no tick is late.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::sleep;

use crate::books::balance;
use crate::hypervisor::{
    NAMES, OFF, UUIDS, WINDOW, agree_with_virsh, configuration, dynamic, gained_what_it_drew, libvirtd, look,
    tree, unix_seconds,
};
use crate::nginx::Nginx;
use crate::page::{Page, no_counter_fell};
use crate::peer::{Guest, Libvirtd, nova};
use crate::process::{Exporter, get};

/// A sample may take three calls of 2 s, begins every 2 s, and is settled within a tick of 1 s; a busy machine gets 2 s more.
const LATEST: f64 = 11.0;
const PAUSED: &str = "55555555-5555-4555-8555-555555555555";

fn guest(name: &'static str, uuid: &'static str, busy: u8, project: &str) -> Guest {
    Guest { name, uuid, busy, metadata: nova(name, &format!("id-of-{project}"), project, "buzz") }
}

fn joules(page: &Page, uuid: &str) -> u128 {
    page.sum("wattribute_workload_energy_joules_total", &[("workload", uuid)])
}

fn state<'a>(page: &'a Page, uuid: &str) -> Option<&'a str> {
    page.find("wattribute_vm_state", &[("workload", uuid)]).map(|sample| sample.label("state"))
}

/// Asks for the page five times a second until told to end; gives the latest that a settled interval ever was.
async fn watch(address: std::net::SocketAddr, end: Arc<AtomicBool>) -> f64 {
    let mut latest: f64 = 0.0;
    while !end.load(Ordering::SeqCst) {
        let page = Page::parse(get(address, "/metrics", "").await.text());
        let settled =
            page.find("wattribute_host_settled_timestamp_seconds", &[]).map(|sample| sample.number());
        latest = latest.max(settled.map_or(0.0, |at| unix_seconds() - at));
        sleep(Duration::from_millis(200)).await;
    }
    latest
}

/// A guest of this name and a paused one beside the others.
fn with_a_paused_one(libvirtd: &Libvirtd) {
    let paused = guest("instance-00000005", PAUSED, 16, "atlas");
    libvirtd.define(&paused);
    libvirtd.virsh(&["start", paused.name]);
    libvirtd.virsh(&["suspend", paused.name]);
}

#[tokio::test(flavor = "multi_thread")]
async fn guests_stop_pause_end_and_come_back_and_every_total_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    tree(dir.path());
    let bmc = Nginx::serve(dir.path());
    let mut libvirtd = libvirtd([10, 5, 0]);
    with_a_paused_one(&libvirtd);
    let mut exporter = Exporter::start(&configuration(dir.path(), &bmc, &libvirtd)).await;
    exporter
        .until("all guests are charged", |page| UUIDS[..3].iter().all(|uuid| dynamic(page, uuid) > 0))
        .await;
    let end = Arc::new(AtomicBool::new(false));
    let watcher = tokio::spawn(watch(exporter.address, Arc::clone(&end)));

    // At 60, 30 and 0 %, beside one that is shut off and one that is paused.
    let first = look(&exporter, &libvirtd).await;
    sleep(WINDOW).await;
    let second = look(&exporter, &libvirtd).await;
    agree_with_virsh(&first, &second);
    gained_what_it_drew(&first, &second);
    assert_eq!((state(&second.page, PAUSED), state(&second.page, OFF)), (Some("paused"), Some("shutoff")));
    assert_eq!(dynamic(&first.page, PAUSED), dynamic(&second.page, PAUSED), "it uses no CPU");
    assert_eq!(joules(&second.page, OFF), 0);

    // A QEMU that is stopped hangs libvirtd's statistics: the others go on all the same.
    libvirtd.signal_guest(NAMES[2], "STOP");
    let later = |before: &Page, seconds: u128| {
        let before: Vec<u128> = UUIDS[..2].iter().map(|uuid| dynamic(before, uuid)).collect();
        move |page: &Page| (0..2).all(|i| dynamic(page, UUIDS[i]) > before[i] + seconds * 10_000_000)
    };
    let third = exporter.until("a stopped guest stops no other", later(&second.page, 5)).await;
    libvirtd.signal_guest(NAMES[2], "CONT");

    libvirtd.restart();
    let fourth = exporter.until("libvirtd is found again", later(&third, 5)).await;

    // Destroyed, forgotten, and defined anew under its old UUID: CPU counter and run begin anew, the account does not.
    libvirtd.virsh(&["destroy", NAMES[1]]);
    libvirtd.virsh(&["undefine", NAMES[1]]);
    let gone = exporter.until("it is gone", |page| state(page, UUIDS[1]).is_none()).await;
    assert!(joules(&gone, UUIDS[1]) >= joules(&fourth, UUIDS[1]), "its series stays for a while");
    libvirtd.define(&guest(NAMES[1], UUIDS[1], 5, "atlas"));
    libvirtd.virsh(&["start", NAMES[1]]);
    let fifth = exporter.until("it is charged again", later(&gone, 2)).await;

    libvirtd.virsh(&["resume", "instance-00000005"]);
    let charged = |page: &Page| dynamic(page, PAUSED) > dynamic(&fifth, PAUSED);
    let sixth = exporter.until("who was paused is charged again", charged).await;

    for pages in [&first.page, &second.page, &third, &fourth, &gone, &fifth, &sixth].windows(2) {
        no_counter_fell(pages[0], pages[1]);
        assert_eq!(balance(pages[1]), (1, 2));
    }
    end.store(true, Ordering::SeqCst);
    let latest = watcher.await.unwrap();
    let late = sixth.find("wattribute_polls_total", &[("driver", "libvirt"), ("result", "timeout")]);
    println!("a settled interval was at most {latest:.1} s old; late samples: {late:?}");
    assert!(latest < LATEST, "{latest} s");
    assert_eq!(late.map(|sample| sample.number()), Some(0.0), "no sample met its deadline");
}
