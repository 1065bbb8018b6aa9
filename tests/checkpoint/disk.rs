//! Files that cannot be used, and disks that cannot be written to.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use super::{Exporter, Page, kill, number, settled, site};
use crate::process::wattribute;

fn energy(page: &Page) -> u128 {
    page.sum("wattribute_host_energy_joules_total", &[])
}

fn writes(page: &Page, result: &str) -> f64 {
    page.find("wattribute_checkpoint_writes_total", &[("result", result)]).unwrap().number()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_file_is_set_aside_and_the_one_before_stands_in_and_without_both_it_begins_at_0_aloud() {
    let site = site().await;
    let mut exporter = site.exporter().await;
    let page = exporter.until("all settled", settled).await;
    // The one before the last was written after that page, too.
    let since = writes(&page, "ok");
    exporter.until("three more checkpoints", |page| writes(page, "ok") >= since + 3.0).await;
    kill(exporter);

    let mut latest = fs::read(site.file("")).unwrap();
    let middle = latest.len() / 2;
    latest[middle] ^= 1;
    fs::write(site.file(""), &latest).unwrap();
    let exporter = site.exporter().await;
    let shown = exporter.page().await;
    assert_eq!(number(&shown, "wattribute_checkpoint_refused"), 1.0);
    assert!(energy(&shown) >= energy(&page), "{} after {}", energy(&shown), energy(&page));
    let log = exporter.program.output();
    for wanted in
        ["its checksum does not fit its content", "wattribute.checkpoint.refused-1", "counters go on from"]
    {
        assert!(log.contains(wanted), "{wanted}: {log}");
    }
    assert_eq!(fs::read(site.file(".refused-1")).unwrap(), latest);
    kill(exporter);

    // A newer exporter's, and another program's.
    let mut newer = latest.clone();
    newer[16] = 9;
    fs::write(site.file(""), newer).unwrap();
    fs::write(site.file(".previous"), "# HELP up\n").unwrap();
    let mut exporter = site.exporter().await;
    let log = exporter.program.output();
    for wanted in [
        "it has version 9 of the form, this exporter reads version 1",
        "it is no checkpoint of wattribute",
        "all counters begin at 0",
        "level=error",
    ] {
        assert!(log.contains(wanted), "{wanted}: {log}");
    }
    let page = exporter.until("all settled", settled).await;
    assert_eq!(number(&page, "wattribute_checkpoint_refused"), 2.0);
    assert!(site.file(".refused-2").exists() && site.file(".refused-3").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_and_a_folder_that_goes_away_are_survived_and_told() {
    let site = site().await;
    let mut exporter = site.exporter().await;
    exporter.until("a checkpoint", |page| writes(page, "ok") >= 1.0).await;
    // Where the next one is to be written there is no room.
    let _ = fs::remove_file(site.file(".new"));
    symlink("/dev/full", site.file(".new")).unwrap();
    let page = exporter.until("failures", |page| writes(page, "failed") >= 3.0).await;
    assert!(number(&page, "wattribute_checkpoint_age_seconds") > 2.0);
    let whole = fs::read(site.file("")).unwrap();
    let log = exporter.program.output();
    assert_eq!(log.matches("the checkpoint cannot be written").count(), 1, "once a minute: {log}");
    assert!(log.contains("No space left on device"), "{log}");
    fs::remove_file(site.file(".new")).unwrap();
    let good = writes(&page, "ok");
    exporter.until("written again", |page| writes(page, "ok") > good).await;
    assert_ne!(fs::read(site.file("")).unwrap(), whole);

    let away = site.storage.with_extension("away");
    fs::rename(&site.storage, &away).unwrap();
    let failed = writes(&exporter.page().await, "failed");
    exporter.until("failures", |page| writes(page, "failed") > failed).await;
    fs::rename(&away, &site.storage).unwrap();
    let good = writes(&exporter.page().await, "ok");
    let page = exporter.until("written again", |page| writes(page, "ok") > good).await;
    assert!(
        settled(&exporter.until("all settled", settled).await)
            && number(&page, "wattribute_checkpoint_refused") == 0.0
    );
    assert!(exporter.program.output().contains("the checkpoint is written again"));
}

/// With no room in the folder at all, from the start: a file system of two pages.
#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_is_full_from_the_start_does_not_keep_the_exporter_from_starting() {
    let site = site().await;
    fs::create_dir(&site.storage).unwrap();
    let mount = |arguments: &[&str]| {
        Command::new("mount").args(arguments).arg(&site.storage).output().is_ok_and(|o| o.status.success())
    };
    if !mount(&["-t", "tmpfs", "-o", "size=8k,mode=0700", "tmpfs"]) {
        eprintln!("no file system may be mounted here: a full disk from the start is not shown");
        return;
    }
    struct Mounted<'a>(&'a std::path::Path);
    impl Drop for Mounted<'_> {
        fn drop(&mut self) {
            let _ = Command::new("umount").arg("--lazy").arg(self.0).output();
        }
    }
    let _mounted = Mounted(&site.storage);
    fs::write(site.storage.join("full"), [0; 4096]).unwrap();
    let mut exporter = site.exporter().await;
    let page = exporter.until("failures", |page| writes(page, "failed") >= 2.0).await;
    assert_eq!(writes(&page, "ok"), 0.0);
    exporter.until("all settled", settled).await;
    assert!(mount(&["-o", "remount,size=8m"]));
    exporter.until("written", |page| writes(page, "ok") >= 1.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn systemds_state_directory_is_the_default_and_without_any_it_is_said_that_counters_begin_anew() {
    let site = site().await;
    let mut command = wattribute(&["serve", "--web.listen-address", "127.0.0.1:0"]);
    command.arg("--config.file").arg(&site.sim.config).env("STATE_DIRECTORY", &site.storage);
    let mut exporter = Exporter::run(command).await;
    exporter.program.terminate().await;
    assert!(site.file("").exists());

    let mut command = wattribute(&["serve", "--web.listen-address", "127.0.0.1:0"]);
    command.arg("--config.file").arg(&site.sim.config).env_remove("STATE_DIRECTORY");
    let exporter = Exporter::run(command).await;
    let log = exporter.program.output();
    assert!(log.contains("counters begin at 0 with each start") && log.contains("--storage.path"), "{log}");
    let page = exporter.page().await;
    assert!(page.of("wattribute_checkpoint_age_seconds").next().is_none());

    let mut wrong = wattribute(&["serve", "--storage.checkpoint-interval", "10m"]);
    let said = String::from_utf8(wrong.output().unwrap().stderr).unwrap();
    assert!(said.contains("must be 1s to 5m"), "{said}");
}
