//! Whose a domain is, by what the cloud that made it left in its metadata or its name. Pure.
//!
//! Sources: OpenStack `nova/virt/libvirt/config.py`; OpenNebula `LibVirtDriverKVM.cc`; KubeVirt's domain API, whose domains
//! are called `NAMESPACE_NAME`; CloudStack, whose instances are called `i-ACCOUNT-NUMBER-VM`.

use std::net::IpAddr;

use roxmltree::Node;

use super::{child, children, label, words};
use crate::model::ProjectId;

/// Nova's metadata namespace, without its version (`1.0`, `1.1`).
const NOVA: &str = "http://openstack.org/xmlns/libvirt/nova/";
/// OpenNebula's, without its version.
const OPENNEBULA: &str = "http://opennebula.org/xmlns/libvirt/";
/// KubeVirt's.
const KUBEVIRT: &str = "http://kubevirt.io";
/// The most addresses of one domain.
const ADDRESSES_MAX: usize = 16;
/// The most tags of one domain.
const TAGS_MAX: usize = 64;

/// What is known of a domain's owner. Empty text means that nobody said.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Owner {
    /// The name its owner gave the domain.
    pub name: String,
    /// Its tenant's id.
    pub project_id: Option<ProjectId>,
    /// Its tenant's name.
    pub project_name: String,
    /// Who created it.
    pub user: String,
    /// Flavor name.
    pub flavor: String,
    /// Addresses of its ports.
    pub addresses: Vec<IpAddr>,
    /// Simple texts of the metadata, except those of clouds: there, guests' owners choose some of them.
    pub tags: Vec<(String, String)>,
}

/// Which cloud an element of the metadata is of.
enum Cloud {
    Nova,
    OpenNebula,
    KubeVirt,
}

impl Cloud {
    /// By name and namespace, whatever prefix it has. Without any namespace Nova's is what `virDomainGetMetadata` makes of
    /// it, which tools copy around.
    fn of(element: Node<'_, '_>) -> Option<Self> {
        let tag = element.tag_name();
        match (tag.name(), tag.namespace()) {
            ("instance", None) => Some(Self::Nova),
            ("instance", Some(space)) if space.starts_with(NOVA) => Some(Self::Nova),
            ("vm", Some(space)) if space.starts_with(OPENNEBULA) => Some(Self::OpenNebula),
            ("kubevirt", Some(KUBEVIRT)) => Some(Self::KubeVirt),
            _ => None,
        }
    }
}

impl Owner {
    /// Reads the metadata of the domain that its hypervisor calls `domain`.
    pub fn read(metadata: Option<Node<'_, '_>>, domain: &str) -> Self {
        let elements = || metadata.into_iter().flat_map(|m| m.children()).filter(Node::is_element);
        let cloud = elements().find_map(|element| Some((Cloud::of(element)?, element)));
        let owner = match cloud {
            Some((Cloud::Nova, instance)) => nova(instance),
            Some((Cloud::OpenNebula, vm)) => opennebula(vm),
            Some((Cloud::KubeVirt, _)) => kubevirt(domain),
            None => cloudstack(domain),
        };
        let foreign = elements().filter(|element| Cloud::of(*element).is_none());
        Self { tags: foreign.flat_map(tags).take(TAGS_MAX).collect(), ..owner }
    }
}

fn nova(instance: Node<'_, '_>) -> Owner {
    let owner = child(instance, "owner");
    let project = owner.and_then(|o| child(o, "project"));
    let flavor = child(instance, "flavor").and_then(|f| f.attribute("name"));
    let ports = child(instance, "ports").into_iter().flat_map(|ports| children(ports, "port"));
    let addresses = ports
        .flat_map(|port| children(port, "ip"))
        .filter_map(|ip| ip.attribute("address")?.parse().ok())
        .take(ADDRESSES_MAX);
    Owner {
        name: words(child(instance, "name")),
        project_id: project.and_then(|p| p.attribute("uuid")).and_then(|id| ProjectId::new(id).ok()),
        project_name: words(project),
        user: words(owner.and_then(|o| child(o, "user"))),
        flavor: flavor.map(label).unwrap_or_default(),
        addresses: addresses.collect(),
        tags: Vec::new(),
    }
}

/// The group is the tenant. Its name is the id too: its number, 0 or 100, says nothing beside other clouds.
fn opennebula(vm: Node<'_, '_>) -> Owner {
    let group = words(child(vm, "gname"));
    Owner {
        name: words(child(vm, "name")),
        project_id: ProjectId::new(&group).ok(),
        project_name: group,
        user: words(child(vm, "uname")),
        ..Owner::default()
    }
}

/// A namespace holds no underscore.
fn kubevirt(domain: &str) -> Owner {
    let Some((namespace, name)) = domain.split_once('_') else { return Owner::default() };
    Owner {
        name: label(name),
        project_id: ProjectId::new(namespace).ok(),
        project_name: label(namespace),
        ..Owner::default()
    }
}

/// Only the account's number is known. Its routers and system machines (`r-4-VM`, `s-1-VM`) are nobody's.
fn cloudstack(domain: &str) -> Owner {
    let digits = |text: &str| (1..=19).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    let middle = domain.strip_prefix("i-").and_then(|rest| rest.strip_suffix("-VM"));
    let account = middle
        .and_then(|middle| middle.split_once('-'))
        .filter(|(account, number)| digits(account) && digits(number));
    let project = account.and_then(|(account, _)| ProjectId::new(&format!("account-{account}")).ok());
    Owner { project_id: project, ..Owner::default() }
}

/// Elements that hold nothing but text, by name without prefix.
fn tags<'a>(element: Node<'a, '_>) -> impl Iterator<Item = (String, String)> + 'a {
    let simple = |node: &Node<'_, '_>| node.is_element() && !node.children().any(|c| c.is_element());
    element.descendants().filter(simple).filter_map(|node| {
        let value = words(Some(node));
        (!value.is_empty()).then(|| (label(node.tag_name().name()), value))
    })
}

#[cfg(test)]
mod tests {
    use super::super::document;
    use super::*;

    fn of(domain: &str, inside: &str) -> Owner {
        let text = format!("<metadata>{inside}</metadata>");
        Owner::read(Some(document(&text).unwrap().root_element()), domain)
    }

    fn read(inside: &str) -> Owner {
        of("instance-0000002a", inside)
    }

    fn project(owner: &Owner) -> Option<&str> {
        owner.project_id.as_ref().map(ProjectId::as_str)
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
            let info = read(&xml);
            assert_eq!(info.name, "web-1");
            assert_eq!(info.project_id.as_ref().unwrap().as_str(), "p1");
            assert_eq!((info.project_name.as_str(), info.user.as_str()), ("moonshot", "buzz"));
            assert_eq!(info.flavor, "m1.tiny");
        }
    }

    #[test]
    fn an_absent_part_is_empty_and_a_foreign_instance_is_not_novas() {
        for xml in [
            "",
            "<instance xmlns='http://example.org/other'><name>x</name></instance>",
            "<n:instance xmlns:n='http://openstack.org/xmlns/libvirt/nova/1.1'/>",
            "<n:instance xmlns:n='http://openstack.org/xmlns/libvirt/nova/1.1'><n:owner>\
             <n:project uuid=''/></n:owner></n:instance>",
        ] {
            let info = read(xml);
            assert_eq!(info.name, "", "{xml}");
            assert_eq!((&info.project_id, info.project_name.as_str()), (&None, ""), "{xml}");
        }
    }

    #[test]
    fn novas_ports_give_addresses() {
        let ip = |n| format!("<ip type='fixed' address='10.0.{}.{}' ipVersion='4'/>", n / 256, n % 256);
        let owner = read(&format!(
            "<instance><ports><port uuid='a'>{}<ip address='2001:db8::7' ipVersion='6'/></port><port>{}\
             <ip address='nonsense'/><ip/></port></ports></instance>",
            ip(5),
            ip(6)
        ));
        let text: Vec<_> = owner.addresses.iter().map(IpAddr::to_string).collect();
        assert_eq!(text, ["10.0.0.5", "2001:db8::7", "10.0.0.6"]);
        let many: String = (0..1000).map(ip).collect();
        let owner = read(&format!("<instance><ports><port>{many}</port></ports></instance>"));
        assert_eq!(owner.addresses.len(), ADDRESSES_MAX);
    }

    #[test]
    fn opennebulas_group_is_the_tenant() {
        let vm = "<one:vm xmlns:one='http://opennebula.org/xmlns/libvirt/1.0'><one:name>web</one:name>\
                  <one:uname>buzz</one:uname><one:uid>3</one:uid><one:gname>moonshot</one:gname><one:gid>101</one:gid></one:vm>";
        let owner = of("one-7", vm);
        assert_eq!((project(&owner), owner.project_name.as_str()), (Some("moonshot"), "moonshot"));
        assert_eq!((owner.name.as_str(), owner.user.as_str(), owner.tags.len()), ("web", "buzz", 0));
        let owner = of("one-7", &vm.replace("opennebula.org", "example.org"));
        assert_eq!((project(&owner), owner.name.as_str()), (None, ""));
    }

    #[test]
    fn kubevirts_namespace_is_the_tenant_and_only_with_its_metadata() {
        let metadata = "<kubevirt xmlns='http://kubevirt.io'><uid>4321</uid></kubevirt>";
        let owner = of("moonshot_web_1", metadata);
        assert_eq!((project(&owner), owner.name.as_str(), owner.tags.len()), (Some("moonshot"), "web_1", 0));
        assert_eq!(project(&of("moonshot_web_1", "")), None);
        assert_eq!(project(&of("nothing", metadata)), None);
        assert_eq!(project(&of("_web", metadata)), None);
    }

    #[test]
    fn cloudstacks_account_stands_in_the_name() {
        for (domain, tenant) in [
            ("i-2-15-VM", Some("account-2")),
            ("i-2-15-QA", None),
            ("i-2-VM", None),
            ("i--15-VM", None),
            ("i-2a-15-VM", None),
            ("i-2-1-5-VM", None),
            ("r-4-VM", None),
            ("i-99999999999999999999-1-VM", None),
        ] {
            assert_eq!(project(&of(domain, "")), tenant, "{domain}");
        }
        assert_eq!(project(&of("i-2-15-VM", "<instance/>")), None, "metadata comes first");
    }

    #[test]
    fn tags_are_simple_texts_of_what_no_cloud_wrote() {
        let owner = read(
            "<app:x xmlns:app='urn:app'><app:tenant> blue\n</app:tenant><app:deep><app:cost>7</app:cost></app:deep>\
             <app:empty/></app:x><owner xmlns='urn:y'>ann</owner>\
             <nova:instance xmlns:nova='http://openstack.org/xmlns/libvirt/nova/1.1'><nova:name>tenant</nova:name></nova:instance>",
        );
        let tags: Vec<_> = owner.tags.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(tags, [("tenant", "blue"), ("cost", "7"), ("owner", "ann")]);
        let many = format!("<x>{}</x>", "<t>v</t>".repeat(1000));
        assert_eq!(read(&many).tags.len(), TAGS_MAX);
        let long = read(&format!("<{0}>{0}</{0}>", "y".repeat(5000)));
        assert_eq!(long.tags, [("y".repeat(200), "y".repeat(200))]);
    }
}
