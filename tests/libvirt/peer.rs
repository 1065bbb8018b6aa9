//! A real libvirtd with real QEMU guests, each of its own, started for one test and gone with it.
//!
//! The guests boot 17 bytes of code from a disk of one sector: no kernel, no image, up in a second.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// The longest anything here may take to come up.
const PATIENCE: Duration = Duration::from_secs(60);

/// A guest's program: busy for `busy` of every 16 ticks of the PC's 18.2 Hz timer, halted for the others.
///
/// ```text
///       xor ax, ax          ; 31 C0
///       mov ds, ax          ; 8E D8       the BIOS's data are in segment 0
///       sti                 ; FB          the BIOS's timer handler counts the ticks
/// next: mov ax, [0x046C]    ; A1 6C 04    ticks since midnight
///       and al, 15          ; 24 0F
///       cmp al, busy        ; 3C nn
///       jb next             ; 72 F7       busy: look again
///       hlt                 ; F4          idle: sleep to the next tick
///       jmp next            ; EB F4
/// ```
pub fn boot_sector(busy: u8) -> Vec<u8> {
    let code = [
        0x31, 0xC0, 0x8E, 0xD8, 0xFB, 0xA1, 0x6C, 0x04, 0x24, 0x0F, 0x3C, busy, 0x72, 0xF7, 0xF4, 0xEB, 0xF4,
    ];
    let mut sector = code.to_vec();
    sector.resize(510, 0);
    sector.extend([0x55, 0xAA]);
    sector
}

/// A guest to be defined.
pub struct Guest {
    pub name: &'static str,
    pub uuid: &'static str,
    /// Sixteenths of a CPU that it burns.
    pub busy: u8,
    /// What stands in `<metadata>`.
    pub metadata: String,
}

/// Nova's metadata as OpenStack writes them.
pub fn nova(name: &str, project_id: &str, project: &str, user: &str) -> String {
    format!(
        "<nova:instance xmlns:nova='http://openstack.org/xmlns/libvirt/nova/1.1'><nova:package version='31.0.0'/>\
         <nova:name>{name}</nova:name><nova:creationTime>2026-08-21 10:11:12</nova:creationTime>\
         <nova:flavor name='m1.tiny' id='1'><nova:memory>16</nova:memory><nova:vcpus>1</nova:vcpus></nova:flavor>\
         <nova:owner><nova:user uuid='u-{user}'>{user}</nova:user><nova:project uuid='{project_id}'>{project}\
         </nova:project></nova:owner></nova:instance>"
    )
}

/// A running libvirtd. Dropping it ends it and its guests.
pub struct Libvirtd {
    pub dir: TempDir,
    pub tcp_port: u16,
    pub tls_port: u16,
    child: Child,
}

impl Libvirtd {
    /// Starts one; `prepare` may put files (`pki/`) in its folder first.
    pub fn start(prepare: impl FnOnce(&Path)) -> Self {
        for program in ["libvirtd", "virsh", "qemu-system-x86_64", "unshare", "setpriv"] {
            assert!(
                found(program),
                "`{program}` is missing: `make test` installs libvirt-daemon-system, libvirt-daemon-driver-qemu, \
                 libvirt-clients and qemu-system-x86"
            );
        }
        let dir = tempfile::tempdir().unwrap();
        prepare(dir.path());
        let (tcp_port, tls_port) = (free_port(), free_port());
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/libvirt/libvirtd.sh");
        // Should this process be killed, the script and all under it go with it.
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--"])
            .arg(script)
            .arg(dir.path())
            .args([tcp_port.to_string(), tls_port.to_string()])
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let mut libvirtd = Self { dir, tcp_port, tls_port, child };
        libvirtd.await_up();
        libvirtd
    }

    fn await_up(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        while !self.try_virsh(&["uri"]).status.success() {
            let ended = self.child.try_wait().unwrap();
            assert!(
                ended.is_none() && Instant::now() < deadline,
                "libvirtd did not come up ({ended:?}; it needs root): {}",
                self.last_words()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn last_words(&self) -> String {
        let log = std::fs::read_to_string(self.dir.path().join("libvirtd.log")).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(10)..].join("\n")
    }

    pub fn socket(&self, name: &str) -> PathBuf {
        self.dir.path().join("sock").join(name)
    }

    fn try_virsh(&self, arguments: &[&str]) -> Output {
        let uri = format!("qemu+unix:///system?socket={}", self.socket("libvirt-sock").display());
        Command::new("virsh").args(["--quiet", "--connect", &uri]).args(arguments).output().unwrap()
    }

    /// What virsh prints.
    pub fn virsh(&self, arguments: &[&str]) -> String {
        let output = self.try_virsh(arguments);
        assert!(output.status.success(), "virsh {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Defines a guest; does not start it.
    pub fn define(&self, guest: &Guest) {
        let Guest { name, uuid, busy, metadata } = guest;
        let disk = self.dir.path().join(format!("{name}.raw"));
        std::fs::write(&disk, boot_sector(*busy)).unwrap();
        // QEMU runs as another user and opens it for writing.
        std::fs::set_permissions(&disk, std::fs::Permissions::from_mode(0o666)).unwrap();
        let xml = format!(
            "<domain type='qemu'><name>{name}</name><uuid>{uuid}</uuid><metadata>{metadata}</metadata>
             <memory unit='MiB'>16</memory><vcpu>1</vcpu>
             <os><type arch='x86_64' machine='pc'>hvm</type></os><features><acpi/></features>
             <devices><emulator>/usr/bin/qemu-system-x86_64</emulator>
               <disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='{}'/>
                 <target dev='hda' bus='ide'/></disk>
               <controller type='usb' model='none'/><memballoon model='none'/></devices></domain>",
            disk.display()
        );
        let file = self.dir.path().join(format!("{name}.xml"));
        std::fs::write(&file, xml).unwrap();
        self.virsh(&["define", &file.display().to_string()]);
    }

    /// The daemon's process.
    pub fn pid(&self) -> u32 {
        self.processes("libvirtd", "libvirtd.conf")[0]
    }

    /// Ends libvirtd and waits until it is up again. The guests run on.
    pub fn restart(&mut self) {
        let old = self.processes("libvirtd", "libvirtd.conf");
        assert_eq!(old.len(), 1);
        signal("TERM", old[0]);
        let deadline = Instant::now() + PATIENCE;
        while self.processes("libvirtd", "libvirtd.conf").first().is_none_or(|new| *new == old[0]) {
            assert!(Instant::now() < deadline, "libvirtd did not start again");
            std::thread::sleep(Duration::from_millis(20));
        }
        self.await_up();
    }

    /// Sends a signal to a guest's QEMU.
    pub fn signal_guest(&self, name: &str, signal_name: &str) {
        let pids = self.processes("qemu-system", &format!("guest={name},"));
        assert_eq!(pids.len(), 1, "{name}");
        signal(signal_name, pids[0]);
    }

    /// Processes whose command line holds both texts and this libvirtd's folder.
    fn processes(&self, program: &str, text: &str) -> Vec<u32> {
        let folder = self.dir.path().display().to_string();
        let mut pids = Vec::new();
        for entry in std::fs::read_dir("/proc").unwrap().flatten() {
            let Ok(pid) = entry.file_name().to_string_lossy().parse() else { continue };
            let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line);
            if line.split('\0').next().is_some_and(|first| first.contains(program))
                && line.contains(text)
                && line.contains(&folder)
            {
                pids.push(pid);
            }
        }
        pids
    }

    /// CPU seconds of `names`, as virsh tells them in one call.
    pub fn cpu_seconds<const N: usize>(&self, names: [&str; N]) -> [f64; N] {
        let text = self.virsh(&["domstats", "--cpu-total", "--nowait"]);
        names.map(|name| {
            let (_, of_it) = text.split_once(&format!("Domain: '{name}'")).unwrap();
            let nanos = of_it.lines().find_map(|line| line.trim().strip_prefix("cpu.time=")).unwrap();
            nanos.parse::<f64>().unwrap() / 1e9
        })
    }
}

impl Drop for Libvirtd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn signal(name: &str, pid: u32) {
    let status = Command::new("kill").args([format!("-{name}"), pid.to_string()]).status().unwrap();
    assert!(status.success(), "kill -{name} {pid}");
}

fn found(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| dir.join(program).exists())
        || Path::new("/usr/sbin").join(program).exists()
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
