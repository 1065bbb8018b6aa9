//! A domain's XML: what it holds, and who owns it. Pure; hostile input costs bounded time and memory and never more than
//! an error.
//!
//! `owner` reads the metadata that clouds leave, `cputune` the limits of CPU time. The capabilities' XML is read by
//! `node.rs` with what stands here.

use std::sync::Arc;

use roxmltree::{Document, Node, ParsingOptions};

use super::protocol::Domain;
use crate::model::{PciAddress, WorkloadId};
use crate::workloads::{WorkloadInfo, WorkloadKind};

pub mod cputune;
mod owner;

use cputune::CpuTune;
use owner::Owner;

/// The longest description that is read, bytes. A guest with a hundred disks has about 200,000.
const XML_MAX: usize = 2 * 1024 * 1024;
/// The most nodes of a description.
const NODES_MAX: u32 = 100_000;
/// The longest name that is kept, characters: it becomes a label's value.
const TEXT_MAX: usize = 200;
/// The most devices of the host that are one domain's.
const DEVICES_MAX: usize = 64;

/// Why a description cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum XmlError {
    /// Longer than [`XML_MAX`].
    #[error("{0} bytes of XML are too many")]
    TooLong(usize),
    /// Not XML, or with a document type, or with too many nodes.
    #[error("{0}")]
    Malformed(String),
    /// Something else than was asked for.
    #[error("its root is not `{0}`")]
    Not(&'static str),
}

/// What a domain's description says. Of a domain without one, all but its names is unknown.
#[derive(Debug, Clone, PartialEq)]
pub struct Described {
    /// Who it is.
    pub info: Arc<WorkloadInfo>,
    /// vCPUs it holds now; 0 when unknown.
    pub vcpus: u32,
    /// Memory it holds now, bytes; 0 when unknown.
    pub memory_bytes: u64,
    /// Limits of its CPU time.
    pub cputune: CpuTune,
    /// How often its guest tells the use of its memory, seconds; none if it does not.
    pub memory_period: Option<u64>,
    /// Whether its CPU cycles are counted.
    pub counts_cycles: bool,
}

impl Described {
    /// What is known without a description. None if even its id cannot stand in a label, which a UUID always can.
    pub fn unknown(domain: &Domain) -> Option<Self> {
        Some(Self {
            info: Arc::new(info(domain, Owner::default())?),
            vcpus: 0,
            memory_bytes: 0,
            cputune: CpuTune::default(),
            memory_period: None,
            counts_cycles: false,
        })
    }

    /// Reads the description of `domain`.
    ///
    /// # Errors
    /// If `xml` is too long, malformed, or not a domain's.
    pub fn read(domain: &Domain, xml: &str) -> Result<Self, XmlError> {
        let document = document(xml)?;
        let root = document.root_element();
        if root.tag_name().name() != "domain" {
            return Err(XmlError::Not("domain"));
        }
        let vcpus = child(root, "vcpu")
            .and_then(|v| v.attribute("current").or_else(|| v.text()))
            .and_then(|n| n.trim().parse().ok())
            .unwrap_or(0);
        let memory_bytes =
            child(root, "currentMemory").or_else(|| child(root, "memory")).and_then(bytes).unwrap_or(0);
        let owner = Owner::read(child(root, "metadata"), &domain.name);
        let mut info = info(domain, owner).ok_or(XmlError::Not("domain"))?;
        let kind = child(root, "os").and_then(|os| child(os, "type"));
        info.architecture = kind.and_then(|t| t.attribute("arch")).map(label).unwrap_or_default();
        let devices = child(root, "devices");
        info.devices = devices.map(host_devices).unwrap_or_default();
        Ok(Self {
            info: Arc::new(info),
            vcpus,
            memory_bytes,
            cputune: child(root, "cputune").map(CpuTune::read).unwrap_or_default(),
            memory_period: devices.and_then(memory_period),
            counts_cycles: child(root, "perf").is_some_and(counts_cycles),
        })
    }
}

/// Parses `text` within the limits of all that libvirtd sends.
pub fn document(text: &str) -> Result<Document<'_>, XmlError> {
    if text.len() > XML_MAX {
        return Err(XmlError::TooLong(text.len()));
    }
    let options = ParsingOptions { allow_dtd: false, nodes_limit: NODES_MAX, ..ParsingOptions::default() };
    Document::parse_with_options(text, options).map_err(|e| XmlError::Malformed(e.to_string()))
}

/// The first element of this name directly inside another.
pub fn child<'a, 'i>(of: Node<'a, 'i>, name: &str) -> Option<Node<'a, 'i>> {
    children(of, name).next()
}

/// All elements of this name directly inside another.
fn children<'a, 'i>(of: Node<'a, 'i>, name: &str) -> impl Iterator<Item = Node<'a, 'i>> {
    of.children().filter(move |c| c.is_element() && c.tag_name().name() == name)
}

fn info(domain: &Domain, owner: Owner) -> Option<WorkloadInfo> {
    let domain_name = label(&domain.name);
    let id = WorkloadId::new(&domain.uuid.to_string()).ok()?;
    Some(WorkloadInfo {
        name: if owner.name.is_empty() { domain_name.clone() } else { owner.name },
        project_id: owner.project_id,
        project_name: owner.project_name,
        user: owner.user,
        flavor: owner.flavor,
        addresses: owner.addresses,
        tags: owner.tags,
        ..WorkloadInfo::new(id, WorkloadKind::Vm, &domain_name)
    })
}

/// PCI devices of the host that are passed through, such as GPUs.
fn host_devices(devices: Node<'_, '_>) -> Vec<PciAddress> {
    children(devices, "hostdev")
        .filter(|device| device.attribute("type") == Some("pci"))
        .filter_map(|device| pci_address(child(child(device, "source")?, "address")?))
        .take(DEVICES_MAX)
        .collect()
}

fn pci_address(address: Node<'_, '_>) -> Option<PciAddress> {
    let part = |name| address.attribute(name).map(|text| text.trim_start_matches("0x"));
    let text =
        format!("{}:{}:{}.{}", part("domain").unwrap_or("0"), part("bus")?, part("slot")?, part("function")?);
    text.parse().ok()
}

fn memory_period(devices: Node<'_, '_>) -> Option<u64> {
    let stats = child(child(devices, "memballoon")?, "stats")?;
    stats.attribute("period")?.parse().ok().filter(|period| *period > 0)
}

fn counts_cycles(perf: Node<'_, '_>) -> bool {
    children(perf, "event")
        .any(|e| e.attribute("name") == Some("cpu_cycles") && e.attribute("enabled") == Some("yes"))
}

/// The text of an element, fit for a label; empty where there is none.
pub fn words(node: Option<Node<'_, '_>>) -> String {
    node.and_then(|n| n.text()).map(label).unwrap_or_default()
}

/// Trims, cuts, and takes out control characters: guests' owners choose these texts.
pub fn label(text: &str) -> String {
    text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).take(TEXT_MAX).collect()
}

/// A memory element in bytes. Units as libvirt reads them; KiB where none is given.
fn bytes(node: Node<'_, '_>) -> Option<u64> {
    let factor: u64 = match node.attribute("unit").unwrap_or("KiB").to_ascii_lowercase().as_str() {
        "b" | "bytes" => 1,
        "kb" => 1_000,
        "k" | "kib" => 1 << 10,
        "mb" => 1_000_000,
        "m" | "mib" => 1 << 20,
        "gb" => 1_000_000_000,
        "g" | "gib" => 1 << 30,
        "tb" => 1_000_000_000_000,
        "t" | "tib" => 1 << 40,
        _ => return None,
    };
    node.text()?.trim().parse::<u64>().ok()?.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::super::protocol::Uuid;
    use super::*;

    fn domain() -> Domain {
        Domain { name: "instance-0000002a".into(), uuid: Uuid([0x11; 16]), id: 7 }
    }

    fn read(inside: &str) -> Described {
        Described::read(&domain(), &format!("<domain type='kvm' id='7'>{inside}</domain>")).unwrap()
    }

    #[test]
    fn vcpus_and_memory_are_what_it_holds_now() {
        let d = read(
            "<memory unit='GiB'>4</memory><currentMemory unit='MiB'>2048</currentMemory>\
             <vcpu placement='static' current='2'>8</vcpu>",
        );
        assert_eq!((d.vcpus, d.memory_bytes), (2, 2 << 30));
        for (xml, vcpus, memory) in [
            ("<memory>1024</memory><vcpu>4</vcpu>", 4, 1 << 20),
            ("<memory unit='GB'>1</memory><vcpu>x</vcpu>", 0, 1_000_000_000),
            ("<memory unit='bytes'>4096</memory>", 0, 4096),
            ("<memory unit='parsec'>1</memory>", 0, 0),
            ("<memory unit='TiB'>99999999999999</memory>", 0, 0),
            ("<vcpu>-1</vcpu>", 0, 0),
        ] {
            let d = read(xml);
            assert_eq!((d.vcpus, d.memory_bytes), (vcpus, memory), "{xml}");
        }
    }

    #[test]
    fn architecture_devices_and_what_is_counted_are_read() {
        let d = read(
            "<os><type arch='aarch64' machine='virt'>hvm</type></os>
             <perf><event name='cpu_clock' enabled='yes'/><event name='cpu_cycles' enabled='yes'/></perf>
             <devices><hostdev mode='subsystem' type='pci'><source>
               <address domain='0x0000' bus='0x3b' slot='0x00' function='0x1'/></source>
               <address type='pci' domain='0x0000' bus='0x06' slot='0x00' function='0x0'/></hostdev>
             <hostdev type='pci'><source><address bus='3b' slot='0x1f' function='7'/></source></hostdev>
             <hostdev type='pci'><source><address domain='0x10000' bus='0x3b' slot='0x00' function='0x1'/></source></hostdev>
             <hostdev type='usb'><source><address bus='1' device='4'/></source></hostdev><hostdev type='pci'/>
             <memballoon model='virtio'><stats period='5'/></memballoon></devices>",
        );
        assert_eq!(d.info.architecture, "aarch64");
        assert_eq!(
            d.info.devices,
            ["0000:3b:00.1", "0000:3b:1f.7"].map(|a| a.parse::<PciAddress>().unwrap())
        );
        assert_eq!((d.memory_period, d.counts_cycles), (Some(5), true));
        let d = read(
            "<perf><event name='cpu_cycles' enabled='no'/></perf><devices><memballoon><stats period='0'/></memballoon></devices>",
        );
        assert_eq!((d.memory_period, d.counts_cycles, d.info.devices.len()), (None, false, 0));
        let many = "<hostdev type='pci'><source><address bus='1' slot='1' function='1'/></source></hostdev>"
            .repeat(100);
        assert_eq!(read(&format!("<devices>{many}</devices>")).info.devices.len(), DEVICES_MAX);
    }

    #[test]
    fn hostile_xml_is_an_error_and_hostile_names_are_tamed() {
        let bomb = "<!DOCTYPE d [<!ENTITY a 'aaaa'>]><domain>&a;</domain>";
        let deep = format!("<domain>{}{}</domain>", "<a>".repeat(90_000), "</a>".repeat(90_000));
        let wide = format!("<domain>{}</domain>", "<a/>".repeat(200_000));
        let long = " ".repeat(XML_MAX + 1);
        for xml in ["", "<", "<domain>", bomb, "<network/>", &wide, &long] {
            assert!(Described::read(&domain(), xml).is_err());
        }
        // Nested without end it may parse or not, but it must not exhaust the stack.
        let _ = Described::read(&domain(), &deep);

        let name = "x".repeat(5000);
        let d = read(&format!("<metadata><instance><name>a&#10;{name}</name></instance></metadata>"));
        assert_eq!(d.info.name.chars().count(), TEXT_MAX);
        assert!(d.info.name.starts_with("a x"));
    }

    #[test]
    fn recorded_descriptions_are_read() {
        let Some(recordings) = std::env::var_os("WATTRIBUTE_RECORDINGS") else {
            println!("WATTRIBUTE_RECORDINGS is unset: recorded domain XML not tried");
            return;
        };
        let read = |name: &str| {
            std::fs::read_to_string(std::path::Path::new(&recordings).join("libvirt").join(name)).unwrap()
        };
        let live = Described::read(&domain(), &read("instance-00000001-live.xml")).unwrap();
        assert_eq!((live.vcpus, live.memory_bytes), (1, 196_608 * 1024));
        let unprefixed = read("nova-metadata-unprefixed.xml");
        let wrapped = format!("<domain><metadata>{unprefixed}</metadata></domain>");
        let wrapped = Described::read(&domain(), &wrapped).unwrap();
        assert_eq!(*live.info, WorkloadInfo { architecture: "x86_64".into(), ..(*wrapped.info).clone() });
        assert_eq!(live.info.project_id.as_ref().unwrap().as_str(), "f241e906010e4917ae8153f4fb8aa021");
        let inactive = Described::read(&domain(), &read("d2.xml")).unwrap();
        assert_eq!((inactive.vcpus, inactive.memory_bytes), (2, 256 << 20));
        assert_eq!((inactive.info.name.as_str(), inactive.info.project_name.as_str()), ("db-1", "atlas"));
        assert_eq!(live.info.addresses, ["10.0.2.15".parse::<std::net::IpAddr>().unwrap()]);
        assert_eq!((live.info.architecture.as_str(), live.memory_period), ("x86_64", Some(10)));
    }
}
