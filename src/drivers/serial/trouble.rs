//! Why a serial port cannot be used, and what to do: who owns it, who has it open, what is plugged in instead.

use std::fs::{self, File, OpenOptions};
use std::io::{self, IsTerminal, Read};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::line::{Address, Line};
use crate::model::{ErrorKind, PollError};

/// Files like `/etc/group` and `/proc/PID/comm` are read this far.
const MAX_FILE: u64 = 1 << 20;
/// So many processes are looked through for who has a port open.
const MAX_PROCESSES: usize = 20_000;
/// So many ports are named in place of one that is gone.
const MAX_NAMED: usize = 3;

fn unreachable(cause: String, fix: impl Into<String>) -> PollError {
    PollError::new(ErrorKind::Unreachable, cause, fix)
}

/// What shows before a port is opened: it is not there, is none, or another program has locked it.
///
/// # Errors
/// Any of these.
pub(super) fn before(path: &Path) -> Result<(), PollError> {
    let kind = fs::metadata(path).map_err(|error| refused(path, &error))?.file_type();
    if !kind.is_char_device() {
        return Err(not_serial(path));
    }
    match lock_holder(path) {
        Some(pid) => Err(in_use(path, &format!("the lock file of {}", process(pid)))),
        None => Ok(()),
    }
}

/// Why it could not be opened.
pub(super) fn opening(path: &Path, line: Line, error: &tokio_serial::Error) -> PollError {
    match error.kind() {
        tokio_serial::ErrorKind::NoDevice => {
            let who = holders(path).map_or_else(|| "another program".to_owned(), |who| who);
            in_use(path, &who)
        }
        tokio_serial::ErrorKind::Io(kind) => refused(path, &kind.into()),
        tokio_serial::ErrorKind::InvalidInput | tokio_serial::ErrorKind::Unknown => {
            let opened = OpenOptions::new().read(true).custom_flags(NO_WAIT).open(path);
            match opened {
                Ok(file) if !file.is_terminal() => not_serial(path),
                Ok(_) => settings(path, line, error),
                Err(error) => refused(path, &error),
            }
        }
    }
}

/// `O_NONBLOCK | O_NOCTTY`: neither waits for a carrier nor becomes our terminal.
const NO_WAIT: i32 = {
    let flags = rustix::fs::OFlags::NONBLOCK.union(rustix::fs::OFlags::NOCTTY).bits();
    flags.cast_signed()
};

/// Rate or format was refused.
pub(super) fn settings(path: &Path, line: Line, error: &tokio_serial::Error) -> PollError {
    unreachable(
        format!("{} does not take the settings {line}: {error}", path.display()),
        "check `baud` and `format`; if they are right, the adapter cannot do them, or nothing is behind this port",
    )
}

/// Anything that has no name of its own.
pub(super) fn strange(path: &Path, what: &str) -> PollError {
    unreachable(format!("{}: {what}", path.display()), "look into the kernel's log (`dmesg`)")
}

/// A line that was open is gone.
pub(super) fn gone(address: &Address, error: &io::Error) -> PollError {
    let fix = match address {
        Address::Device(_) => {
            "check that the adapter is plugged in, and look into the kernel's log (`dmesg`); the port is opened anew at \
             the next poll"
        }
        Address::Tcp(_) => {
            "check the device server; many serve one client at a time. It is connected anew at the next poll"
        }
    };
    let how = match error.kind() {
        io::ErrorKind::UnexpectedEof => "it hung up".to_owned(),
        _ => error.to_string(),
    };
    unreachable(format!("the line {address} went away while it was read: {how}"), fix)
}

/// A device server cannot be reached.
pub(super) fn server(address: &Address, error: &io::Error) -> PollError {
    unreachable(
        format!("no connection to {address}: {error}"),
        "check host, port and firewall, and that the device server listens in raw TCP mode and has no other client",
    )
}

fn refused(path: &Path, error: &io::Error) -> PollError {
    let shown = path.display();
    match error.kind() {
        io::ErrorKind::NotFound => {
            let there = plugged_in(Path::new("/dev/serial/by-id"));
            unreachable(
                format!("there is no device {shown}{there}"),
                "plug the adapter in; name it by /dev/serial/by-id/..., a name that stays when others are plugged in",
            )
        }
        io::ErrorKind::PermissionDenied => permission(path),
        _ => strange(path, &error.to_string()),
    }
}

/// The ports that are there, for whoever mistyped one.
fn plugged_in(folder: &Path) -> String {
    let Ok(entries) = fs::read_dir(folder) else { return String::new() };
    let mut names: Vec<String> = entries.flatten().take(64).map(|e| e.path().display().to_string()).collect();
    names.sort();
    names.truncate(MAX_NAMED);
    if names.is_empty() { String::new() } else { format!("; plugged in: {}", names.join(", ")) }
}

fn permission(path: &Path) -> PollError {
    let user = name_of("/etc/passwd", rustix::process::geteuid().as_raw());
    let cause = |owner: &str| format!("{user} may not open {}, which belongs to {owner}", path.display());
    let Ok(meta) = fs::metadata(path) else {
        return unreachable(
            format!("{user} may not open {}", path.display()),
            "give this program's user access to it",
        );
    };
    let group = name_of("/etc/group", meta.gid());
    let fix = if meta.mode() & 0o060 == 0o060 && meta.gid() != 0 {
        format!("run `usermod -aG {group} {user}` and start this program again")
    } else {
        "let a udev rule give the device to a group: `SUBSYSTEM==\"tty\", GROUP=\"dialout\", MODE=\"0660\"`"
            .to_owned()
    };
    unreachable(cause(&format!("group {group}")), fix)
}

/// The name of a number in `/etc/passwd` or `/etc/group`; the number itself where it has none.
fn name_of(file: &str, id: u32) -> String {
    let text = read_some(Path::new(file)).unwrap_or_default();
    let found = text.lines().find_map(|line| {
        let mut parts = line.split(':');
        let name = parts.next()?;
        (parts.nth(1)?.parse() == Ok(id)).then(|| name.to_owned())
    });
    found.unwrap_or_else(|| id.to_string())
}

fn not_serial(path: &Path) -> PollError {
    unreachable(
        format!("{} is no serial port", path.display()),
        "name the adapter's port, such as /dev/serial/by-id/...",
    )
}

fn in_use(path: &Path, who: &str) -> PollError {
    PollError::new(
        ErrorKind::Busy,
        format!("{} is in use by {who}", path.display()),
        "stop the other program, or take the port out of its configuration (often ModemManager, a console or a second meter)",
    )
}

/// The living process, not ours, whose lock file (`/var/lock/LCK..NAME`) claims the port.
fn lock_holder(path: &Path) -> Option<u32> {
    let real = fs::canonicalize(path).ok();
    let names = [Some(path), real.as_deref()].into_iter().flatten().filter_map(Path::file_name);
    let pids = names.filter_map(|name| {
        let file = PathBuf::from(format!("/var/lock/LCK..{}", name.to_string_lossy()));
        lock_owner(&read_some(&file)?)
    });
    let ours = std::process::id();
    pids.into_iter().find(|pid| *pid != ours && Path::new(&format!("/proc/{pid}")).exists())
}

/// Whose lock file this is: a number in text, as HDB UUCP writes it. What else may stand there claims nothing.
fn lock_owner(text: &str) -> Option<u32> {
    text.split_whitespace().next()?.parse().ok().filter(|pid| *pid > 0)
}

/// Which processes have it open, as far as we may see.
fn holders(path: &Path) -> Option<String> {
    let real = fs::canonicalize(path).ok()?;
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").ok()?.flatten().take(MAX_PROCESSES) {
        let Ok(pid) = entry.file_name().to_string_lossy().parse::<u32>() else { continue };
        let Ok(open) = fs::read_dir(entry.path().join("fd")) else { continue };
        if open.flatten().any(|fd| fs::read_link(fd.path()).is_ok_and(|target| target == real)) {
            found.push(process(pid));
        }
        if found.len() >= MAX_NAMED {
            break;
        }
    }
    (!found.is_empty()).then(|| found.join(", "))
}

fn process(pid: u32) -> String {
    if pid == std::process::id() {
        return format!("this program itself (process {pid})");
    }
    let name = read_some(Path::new(&format!("/proc/{pid}/comm"))).unwrap_or_default();
    let name: String = name.chars().filter(|c| !c.is_control()).take(64).collect();
    format!("{} (process {pid})", if name.is_empty() { "a program" } else { name.as_str() })
}

fn read_some(path: &Path) -> Option<String> {
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(MAX_FILE).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_file_is_read_as_uucp_wrote_it() {
        assert_eq!(lock_owner("      1234 minicom root\n"), Some(1234));
        for text in ["", "\n", "0", "-4", "x", "\u{4}\u{d2}"] {
            assert_eq!(lock_owner(text), None, "{text:?}");
        }
    }

    #[test]
    fn what_is_no_serial_port_is_told_before_anything_is_done_to_it() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = before(file.path()).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unreachable);
        assert!(error.cause.ends_with("is no serial port"), "{error}");
        let error = before(Path::new("/dev/serial/none-of-this-name")).unwrap_err();
        assert!(error.cause.starts_with("there is no device /dev/serial/none-of-this-name"), "{error}");
        assert!(error.fix.contains("/dev/serial/by-id"), "{error}");
    }

    #[test]
    fn names_are_found_by_number() {
        assert_eq!(name_of("/etc/passwd", 0), "root");
        assert_eq!(name_of("/nowhere", 4_000_000_000), "4000000000");
    }

    #[test]
    fn a_refused_port_names_the_group_that_may() {
        let error = permission(Path::new("/dev/null"));
        // Everyone may write there, and group root is nothing to join.
        assert!(error.fix.contains("udev"), "{error}");
    }
}
