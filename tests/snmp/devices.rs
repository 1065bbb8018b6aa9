//! Every profile against recordings of our own, written from the MIBs: `devices/PROFILE[-VARIANT].snmprec`, and beside each
//! `.expected` with all that is read of it, worked out by hand in its remarks.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use wattribute::drivers::profiles::Profile as _;
use wattribute::drivers::{Profiles, Trace, snmp};
use wattribute::model::{ChannelId, Quality, SystemClock};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snmp/devices")
}

/// What a trace says, as `.expected` files do: `CHANNEL QUANTITY VALUE [estimated]`, and `name CHANNEL TEXT`.
pub fn said(trace: &Trace) -> Vec<String> {
    let readings = trace.readings.iter().map(|traced| {
        let reading = &traced.reading;
        let estimated = if reading.quality == Quality::Estimated { " estimated" } else { "" };
        let quantity = reading.measure.quantity().name();
        format!("{} {quantity} {}{estimated}", reading.channel, reading.measure.value())
    });
    let shown = |channel: &ChannelId| trace.readings.iter().any(|traced| traced.reading.channel == *channel);
    let named = trace.channels.iter().filter(|info| !info.name.is_empty() && shown(&info.channel));
    let names = named.map(|info| format!("name {} {}", info.channel, info.name));
    let mut said: Vec<String> = readings.chain(names).collect();
    said.sort();
    said
}

pub async fn traced(file: &Path, profiles: &Profiles) -> Trace {
    let trace = snmp::trace_recording(file, None, &profiles.snmp, Arc::new(SystemClock::new())).await;
    trace.unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

#[tokio::test]
async fn every_profile_reads_its_own_recordings_as_the_mib_says() {
    let profiles = Profiles::built_in();
    let mut seen = BTreeSet::new();
    let mut wrong = String::new();
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    for file in files.iter().filter(|file| file.extension().is_some_and(|ext| ext == "snmprec")) {
        let trace = traced(file, &profiles).await;
        let profile = trace.identity.as_ref().unwrap().profile.clone();
        let stem = file.file_stem().unwrap().to_str().unwrap();
        assert!(stem == profile || stem.starts_with(&format!("{profile}-")), "{stem} is read by {profile}");
        let expected = std::fs::read_to_string(file.with_extension("expected")).unwrap();
        let mut expected: Vec<&str> = expected
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .collect();
        expected.sort_unstable();
        let said = said(&trace);
        for line in said.iter().filter(|line| !expected.contains(&line.as_str())) {
            wrong += &format!("{stem}: reads    {line}\n");
        }
        for line in expected.iter().filter(|line| !said.iter().any(|said| said == *line)) {
            wrong += &format!("{stem}: misses   {line}\n");
        }
        assert!(!said.is_empty(), "{stem}");
        seen.insert(profile);
    }
    assert!(wrong.is_empty(), "\n{wrong}");
    let without: Vec<&str> =
        profiles.snmp.iter().map(|p| p.name()).filter(|name| !seen.contains(*name)).collect();
    assert_eq!(without, Vec::<&str>::new(), "these profiles have no recording in tests/snmp/devices");
}
