//! The door for `fuzz/`: one function a target, each taking an input and failing if what must hold does not. Not in the
//! exporter: only fuzzing builds (`--cfg fuzzing`) and tests, which replay the seeds, have it.
//!
//! What a target does stands beside what it tests, in `fuzzing` of each module.

pub use crate::checkpoint::fuzzing::checkpoint;
pub use crate::config::fuzzing::config;
pub use crate::drivers::command::fuzzing::lines;
pub use crate::drivers::http::fuzzing::http;
pub use crate::drivers::ipmi::fuzzing::{fru, rakp, rmcp, sdr, sensor};
pub use crate::drivers::modbus::fuzzing::{modbus, modbus_profile};
pub use crate::drivers::prometheus::fuzzing::page;
pub use crate::drivers::redfish::fuzzing::redfish;
pub use crate::drivers::serial::fuzzing::serial;
pub use crate::drivers::snmp::fuzzing::recording;
pub use crate::drivers::snmp::profile::fuzzing::profile;
pub use crate::drivers::sysfs::fuzzing::counter;
pub use crate::workloads::cgroup::fuzzing::cgroup;
pub use crate::workloads::libvirt::fuzzing::libvirt;
pub use crate::workloads::process::fuzzing::process;

/// A target's name and what runs one input.
pub type Target = (&'static str, fn(&[u8]));

/// Every target: a binary of `fuzz/`, a folder of seeds.
pub const TARGETS: [Target; 20] = [
    ("cgroup", cgroup),
    ("checkpoint", checkpoint),
    ("config", config),
    ("counter", counter),
    ("fru", fru),
    ("http", http),
    ("libvirt", libvirt),
    ("lines", lines),
    ("modbus", modbus),
    ("modbus_profile", modbus_profile),
    ("page", page),
    ("process", process),
    ("profile", profile),
    ("rakp", rakp),
    ("recording", recording),
    ("redfish", redfish),
    ("rmcp", rmcp),
    ("sdr", sdr),
    ("sensor", sensor),
    ("serial", serial),
];

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn every_target_has_seeds_and_all_of_them_pass() {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
        for (name, target) in TARGETS {
            let seeds = std::fs::read_dir(corpus.join(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
            let mut inputs = vec![Vec::new()];
            inputs.extend(seeds.map(|seed| std::fs::read(seed.unwrap().path()).unwrap()));
            assert!(inputs.len() > 1, "{name} has no seed");
            for input in inputs {
                target(&input);
                // Cut and bent a little, so that a target that stopped reading its input is seen to.
                (0..input.len().min(64)).for_each(|cut| target(&input[..cut]));
            }
        }
    }

    #[test]
    fn every_target_is_a_binary_of_its_own() {
        let manifest = include_str!("../fuzz/Cargo.toml");
        let binaries = manifest.matches("[[bin]]").count();
        assert_eq!(binaries, TARGETS.len());
        for (name, _) in TARGETS {
            assert!(manifest.contains(&format!("name = \"{name}\"")), "{name}");
        }
    }
}
