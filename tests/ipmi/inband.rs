//! The exporter on a machine with a BMC of its own: a QEMU guest with Debian's kernel, whose /dev/ipmi0 leads through a KCS interface to
//! ipmi_sim on this machine. Both sides of the kernel's interface are thus programs that we did not write.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::{fs, os::unix::fs::PermissionsExt};

use crate::peers::Simulator;

/// The guest gets this long, emulated as it is.
const PATIENCE_SECONDS: &str = "120";

const CONFIG: &str = "
datacenters: [{name: dc1}]
meters:
  # The emulated interface is slow: half of the time is for learning what sensors there are.
  - {name: bmc, datacenter: dc1, interval: 90s, timeout: 80s, stale_after: 200s, ipmi: {device: /dev/ipmi0, timeout: 10s}}
";

/// Loads the kernel's modules and reads the BMC twice; between marks, since the kernel talks on the same line.
const INIT: &str = "#!/bin/busybox sh
/bin/busybox mount -t devtmpfs none /dev
/bin/busybox mount -t proc none /proc
/bin/busybox mount -t sysfs none /sys
export RUST_BACKTRACE=0
echo '<absent>'; /wattribute read bmc --config.file /config.yaml 2>&1; echo '</absent>'
/bin/busybox insmod /ipmi_msghandler.ko
/bin/busybox insmod /ipmi_devintf.ko
/bin/busybox insmod /ipmi_si.ko type=kcs ports=0xca2
echo '<json>'; /wattribute read bmc --config.file /config.yaml --output json 2>&1; echo '</json>'
/bin/busybox poweroff -f
";

fn kernel() -> PathBuf {
    let root = std::env::var_os("WATTRIBUTE_PEERS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target/peers"), PathBuf::from);
    let kernel = root.join("kernel");
    assert!(
        kernel.join("vmlinuz").exists(),
        "{} is missing: `make test` unpacks it from the distribution's kernel package",
        kernel.join("vmlinuz").display()
    );
    kernel
}

/// A root file system: our program with its libraries, busybox, the modules.
fn initrd(dir: &Path, kernel: &Path) -> PathBuf {
    let root = dir.join("root");
    for folder in ["bin", "dev", "proc", "sys"] {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    let program = env!("CARGO_BIN_EXE_wattribute");
    fs::copy(program, root.join("wattribute")).unwrap();
    let libraries = said(&Command::new("ldd").arg(program).output().unwrap());
    for library in libraries.split_whitespace().filter(|word| word.starts_with('/')) {
        let to = root.join(library.trim_start_matches('/'));
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(library, to).unwrap();
    }
    let busybox = ["/bin/busybox", "/usr/bin/busybox"].into_iter().find(|path| Path::new(path).exists());
    let busybox =
        busybox.expect("busybox is missing: `make test` installs it (Debian package busybox-static)");
    fs::copy(busybox, root.join("bin/busybox")).unwrap();
    for module in ["ipmi_msghandler.ko", "ipmi_devintf.ko", "ipmi_si.ko"] {
        fs::copy(kernel.join(module), root.join(module)).unwrap();
    }
    fs::write(root.join("config.yaml"), CONFIG).unwrap();
    fs::write(root.join("init"), INIT).unwrap();
    fs::set_permissions(root.join("init"), fs::Permissions::from_mode(0o755)).unwrap();
    let initrd = dir.join("initrd");
    let packed = Command::new("sh")
        .args(["-c", "find . | cpio -o -H newc --quiet > ../initrd"])
        .current_dir(&root)
        .output()
        .unwrap();
    assert!(packed.status.success(), "cpio (Debian package cpio) is needed: {packed:?}");
    initrd
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).replace('\r', "")
}

fn between<'a>(text: &'a str, mark: &str) -> &'a str {
    let inner = text.split_once(&format!("<{mark}>\n")).and_then(|(_, rest)| rest.split_once("</"));
    inner.unwrap_or_else(|| panic!("no <{mark}> in {text}")).0
}

#[test]
fn the_machines_own_bmc_is_read_through_the_kernels_device() {
    let bmc = Simulator::start();
    bmc.watts(257, 252);
    let dir = tempfile::tempdir().unwrap();
    let kernel = kernel();
    let initrd = initrd(dir.path(), &kernel);
    let interface = format!("socket,id=bmc,host=127.0.0.1,port={},reconnect=1", bmc.interface_port);
    let guest = Command::new("timeout")
        .args([PATIENCE_SECONDS, "qemu-system-x86_64", "-accel", "tcg", "-m", "768", "-nodefaults"])
        .args([
            "-display",
            "none",
            "-no-reboot",
            "-serial",
            "stdio",
            "-append",
            "console=ttyS0 quiet panic=-1",
        ])
        .arg("-kernel")
        .arg(kernel.join("vmlinuz"))
        .arg("-initrd")
        .arg(initrd)
        .args(["-chardev", &interface, "-device", "ipmi-bmc-extern,id=bmc0,chardev=bmc"])
        .args(["-device", "isa-ipmi-kcs,bmc=bmc0"])
        .stdin(Stdio::null())
        .output()
        .expect("qemu-system-x86_64 is missing: `make test` installs it (Debian package qemu-system-x86)");
    let text = said(&guest);
    let absent = between(&text, "absent");
    assert!(absent.contains("/dev/ipmi0 cannot be opened"), "{absent}");
    assert!(absent.contains("modprobe"), "the fix is named: {absent}");

    let read: serde_json::Value = serde_json::from_str(between(&text, "json")).unwrap();
    let value = |channel: &str, quantity: &str| {
        let readings = read["readings"].as_array().unwrap();
        let found = readings.iter().find(|r| r["channel"] == channel && r["quantity"] == quantity);
        found.unwrap_or_else(|| panic!("no {channel} {quantity} in {read:#}"))["value"].as_f64().unwrap()
    };
    assert_eq!(value("input", "power"), 257.0, "DCMI");
    assert_eq!(value("sensor/system-power", "power"), 252.0, "63 steps of 4 W");
    assert_eq!(value("sensor/ps1-input-power", "power"), 232.0, "58 steps of 4 W");
    assert_eq!(value("sensor/inlet-temp", "temperature"), 24.0);
    assert_eq!(value("sensor/ps1-curr-out", "current"), 1.1, "11 x 10^-1 A");
    let profile = read["identity"]["profile"].as_str().unwrap();
    assert!(profile.starts_with("dcmi") && profile.ends_with("in-band"), "{profile}");
}
