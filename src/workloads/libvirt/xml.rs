//! A domain's XML: vCPUs, memory, and what Nova wrote about its owner. Pure; hostile input costs bounded time and
//! memory and never more than an error.

use std::sync::Arc;

use roxmltree::{Document, Node, ParsingOptions};

use super::protocol::Domain;
use crate::model::{ProjectId, WorkloadId};
use crate::workloads::{WorkloadInfo, WorkloadKind};

/// The longest description that is read, bytes. A guest with a hundred disks has about 200,000.
const XML_MAX: usize = 2 * 1024 * 1024;
/// The most nodes of a description.
const NODES_MAX: u32 = 100_000;
/// The longest name that is kept, characters: it becomes a label's value.
const TEXT_MAX: usize = 200;
/// Nova's metadata namespace, without its version (`1.0`, `1.1`).
const NOVA: &str = "http://openstack.org/xmlns/libvirt/nova/";

/// Why a description cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum XmlError {
    /// Longer than [`XML_MAX`].
    #[error("{0} bytes of XML are more than a domain has")]
    TooLong(usize),
    /// Not XML, or with a document type, or with too many nodes.
    #[error("{0}")]
    Malformed(String),
    /// Something else than a domain.
    #[error("its root is not a domain")]
    NotADomain,
}

/// What a domain's description says. Of a domain without one, all but its names is unknown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    /// Who it is.
    pub info: Arc<WorkloadInfo>,
    /// vCPUs it holds now; 0 when unknown.
    pub vcpus: u32,
    /// Memory it holds now, bytes; 0 when unknown.
    pub memory_bytes: u64,
}

impl Described {
    /// What is known without a description. None if even its id cannot stand in a label, which a UUID always can.
    pub fn unknown(domain: &Domain) -> Option<Self> {
        let info = info(domain, None)?;
        Some(Self { info: Arc::new(info), vcpus: 0, memory_bytes: 0 })
    }

    /// Reads the description of `domain`.
    ///
    /// # Errors
    /// If `xml` is too long, malformed, or not a domain's.
    pub fn read(domain: &Domain, xml: &str) -> Result<Self, XmlError> {
        if xml.len() > XML_MAX {
            return Err(XmlError::TooLong(xml.len()));
        }
        let options =
            ParsingOptions { allow_dtd: false, nodes_limit: NODES_MAX, ..ParsingOptions::default() };
        let document =
            Document::parse_with_options(xml, options).map_err(|e| XmlError::Malformed(e.to_string()))?;
        let root = document.root_element();
        if root.tag_name().name() != "domain" {
            return Err(XmlError::NotADomain);
        }
        let vcpus = child(root, "vcpu")
            .and_then(|v| v.attribute("current").or_else(|| v.text()))
            .and_then(|n| n.trim().parse().ok())
            .unwrap_or(0);
        let memory_bytes =
            child(root, "currentMemory").or_else(|| child(root, "memory")).and_then(bytes).unwrap_or(0);
        let nova = child(root, "metadata").and_then(nova_instance);
        let info = info(domain, nova).ok_or(XmlError::NotADomain)?;
        Ok(Self { info: Arc::new(info), vcpus, memory_bytes })
    }
}

fn child<'a, 'i>(of: Node<'a, 'i>, name: &str) -> Option<Node<'a, 'i>> {
    of.children().find(|c| c.is_element() && c.tag_name().name() == name)
}

/// Nova's element, whatever prefix it has: the namespace says that it is Nova's. Without any namespace it is what
/// `virDomainGetMetadata` makes of it, which tools copy around.
fn nova_instance<'a, 'i>(metadata: Node<'a, 'i>) -> Option<Node<'a, 'i>> {
    metadata.children().find(|c| {
        c.tag_name().name() == "instance" && c.tag_name().namespace().is_none_or(|ns| ns.starts_with(NOVA))
    })
}

fn info(domain: &Domain, nova: Option<Node<'_, '_>>) -> Option<WorkloadInfo> {
    let owner = nova.and_then(|n| child(n, "owner"));
    let project = owner.and_then(|o| child(o, "project"));
    let user = owner.and_then(|o| child(o, "user"));
    let flavor = nova.and_then(|n| child(n, "flavor"));
    let domain_name = label(&domain.name);
    let given = words(nova.and_then(|n| child(n, "name")));
    let id = WorkloadId::new(&domain.uuid.to_string()).ok()?;
    Some(WorkloadInfo {
        name: if given.is_empty() { domain_name.clone() } else { given },
        project_id: project.and_then(|p| p.attribute("uuid")).and_then(|id| ProjectId::new(id).ok()),
        project_name: words(project),
        user: words(user),
        flavor: flavor.and_then(|f| f.attribute("name")).map(label).unwrap_or_default(),
        ..WorkloadInfo::new(id, WorkloadKind::Vm, &domain_name)
    })
}

/// The text of an element, fit for a label; empty where there is none.
fn words(node: Option<Node<'_, '_>>) -> String {
    node.and_then(|n| n.text()).map(label).unwrap_or_default()
}

/// Trims, cuts, and takes out control characters: guests' owners choose these texts.
fn label(text: &str) -> String {
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

    const OWNER: &str =
        "<n:owner><n:user uuid='u1'>buzz</n:user><n:project uuid='p1'>moonshot</n:project></n:owner>";

    #[test]
    fn novas_metadata_gives_tenant_user_flavor_and_name() {
        let unprefixed = OWNER.replace("n:", "");
        for xml in [
            format!(
                "<n:instance xmlns:n='http://openstack.org/xmlns/libvirt/nova/1.1'><n:name>web-1</n:name>\
                 <n:flavor name='m1.tiny' id='f'><n:vcpus>1</n:vcpus></n:flavor>{OWNER}</n:instance>"
            ),
            format!(
                "<n:instance xmlns:n='http://openstack.org/xmlns/libvirt/nova/1.0'><n:name>web-1</n:name>\
                 <n:flavor name='m1.tiny'/>{OWNER}<n:root type='image' uuid='i'/></n:instance>"
            ),
            format!(
                "<instance xmlns='http://openstack.org/xmlns/libvirt/nova/1.0'><name>web-1</name>\
                 <flavor name='m1.tiny'/>{unprefixed}</instance>"
            ),
            format!("<instance><name>web-1</name><flavor name='m1.tiny'/>{unprefixed}</instance>"),
        ] {
            let info = read(&format!("<metadata>{xml}</metadata>")).info;
            assert_eq!(info.id.as_str(), "11111111-1111-1111-1111-111111111111");
            assert_eq!((info.domain.as_str(), info.name.as_str()), ("instance-0000002a", "web-1"));
            assert_eq!(info.project_id.as_ref().unwrap().as_str(), "p1");
            assert_eq!((info.project_name.as_str(), info.user.as_str()), ("moonshot", "buzz"));
            assert_eq!(info.flavor, "m1.tiny");
        }
    }

    #[test]
    fn an_absent_part_is_empty_and_a_foreign_instance_is_not_novas() {
        for xml in [
            "",
            "<metadata/>",
            "<metadata><instance xmlns='http://example.org/other'><name>x</name></instance></metadata>",
            "<metadata><n:instance xmlns:n='http://openstack.org/xmlns/libvirt/nova/1.1'/></metadata>",
            "<metadata><n:instance xmlns:n='http://openstack.org/xmlns/libvirt/nova/1.1'><n:owner>\
             <n:project uuid=''/></n:owner></n:instance></metadata>",
        ] {
            let info = read(xml).info;
            assert_eq!(info.name, "instance-0000002a", "{xml}");
            assert_eq!((&info.project_id, info.project_name.as_str()), (&None, ""), "{xml}");
        }
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
        assert_eq!(live.info, wrapped.info);
        assert_eq!(live.info.project_id.as_ref().unwrap().as_str(), "f241e906010e4917ae8153f4fb8aa021");
        let inactive = Described::read(&domain(), &read("d2.xml")).unwrap();
        assert_eq!((inactive.vcpus, inactive.memory_bytes), (2, 256 << 20));
        assert_eq!((inactive.info.name.as_str(), inactive.info.project_name.as_str()), ("db-1", "atlas"));
    }
}
