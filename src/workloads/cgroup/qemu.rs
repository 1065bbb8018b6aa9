//! What QEMU's command line says of its guest: pure. libvirt writes it in full; Proxmox much the same.

/// A guest by its own process.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Guest {
    /// In lower case.
    pub(super) uuid: String,
    /// The domain's name, which machined may cut short; empty where it is not told.
    pub(super) name: String,
    /// vCPUs at its start; 0 where that is not told.
    pub(super) vcpus: u32,
    /// Memory at its start, bytes; 0 where that is not told.
    pub(super) memory_bytes: u64,
}

/// Reads `/proc/PID/cmdline`; none if it is no QEMU that names a UUID.
pub(super) fn guest(cmdline: &str) -> Option<Guest> {
    let mut guest = Guest::default();
    let mut words = cmdline.split('\0');
    while let Some(word) = words.next() {
        match word {
            "-uuid" => guest.uuid = uuid(words.next()?)?,
            "-name" => guest.name = name(words.next()?),
            "-smp" => guest.vcpus = first(words.next()?, "cpus").parse().unwrap_or(0),
            "-m" => guest.memory_bytes = memory(first(words.next()?, "size")).unwrap_or(0),
            _other_argument => {}
        }
    }
    Some(guest).filter(|guest| !guest.uuid.is_empty())
}

fn uuid(text: &str) -> Option<String> {
    let dashes = [8, 13, 18, 23];
    let plain = |(at, b): (usize, u8)| if dashes.contains(&at) { b == b'-' } else { b.is_ascii_hexdigit() };
    (text.len() == 36 && text.bytes().enumerate().all(plain)).then(|| text.to_ascii_lowercase())
}

/// `guest=web,debug-threads=on`; commas of a name are doubled, and those names are not read.
fn name(text: &str) -> String {
    if text.contains(",,") { String::new() } else { first(text, "guest").to_owned() }
}

/// The value of `key` in `a,b=c`, or that of the first item where it has no key.
fn first<'t>(text: &'t str, key: &str) -> &'t str {
    let item = |item: &'t str| item.strip_prefix(key)?.strip_prefix('=');
    let found = text.split(',').find_map(item);
    found.or_else(|| text.split(',').next().filter(|item| !item.contains('='))).unwrap_or_default()
}

/// A size as QEMU takes it: MiB without a suffix.
fn memory(text: &str) -> Option<u64> {
    let (number, shift) = match text.strip_suffix(|c: char| c.is_ascii_alphabetic()) {
        Some(number) => match text.as_bytes().last()?.to_ascii_lowercase() {
            b'b' => (number, 0),
            b'k' => (number, 10),
            b'm' => (number, 20),
            b'g' => (number, 30),
            b't' => (number, 40),
            _other_letter => return None,
        },
        None => (text, 20),
    };
    number.parse::<u64>().ok()?.checked_mul(1 << shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    const UUID: &str = "6d1d0b3c-52c6-4b5b-9f3c-0a1b2c3d4e5f";

    fn of(arguments: &[&str]) -> Option<Guest> {
        guest(&arguments.join("\0"))
    }

    /// A guest of these arguments beside its UUID.
    fn with(arguments: &[&str]) -> Guest {
        of(&[&["qemu", "-uuid", UUID], arguments].concat()).unwrap()
    }

    #[test]
    fn a_command_line_of_libvirt_names_its_guest() {
        let found = of(&[
            "/usr/bin/qemu-system-x86_64",
            "-name",
            "guest=web,debug-threads=on",
            "-m",
            "size=2097152k",
            "-smp",
            "4,sockets=4,cores=1",
            "-uuid",
            &UUID.to_uppercase(),
            "-display",
            "none",
        ]);
        let want = Guest { uuid: UUID.into(), name: "web".into(), vcpus: 4, memory_bytes: 2 << 30 };
        assert_eq!(found, Some(want));
    }

    #[test]
    fn other_forms_are_read_and_nonsense_is_nothing() {
        let small = with(&["-smp", "cpus=2,maxcpus=8", "-m", "1024"]);
        assert_eq!((small.vcpus, small.memory_bytes), (2, 1 << 30));
        let large = with(&["-m", "8G", "-name", "db"]);
        assert_eq!((large.memory_bytes, large.name.as_str()), (8 << 30, "db"));
        let broken = with(&["-smp", "x", "-m", "size=9999999999999999999G"]);
        assert_eq!((broken.vcpus, broken.memory_bytes), (0, 0));
        assert_eq!(with(&["-name", "guest=a,,b"]).name, "");
        for none in
            [&[][..], &["sleep", "10"], &["qemu", "-uuid"], &["qemu", "-uuid", "x"], &["qemu", "-name", "a"]]
        {
            assert_eq!(of(none), None, "{none:?}");
        }
    }
}
