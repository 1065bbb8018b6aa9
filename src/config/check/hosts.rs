//! Hosts: feeds that exist and feed nobody else, and a libvirt daemon reached in one way.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::datacenters::label;
use super::feeds::Fed;
use super::meters::Defaults;
use super::model::Metered;
use super::{Check, entries};
use crate::config::field::Field;
use crate::config::files::Pem;
use crate::config::leaf::{Endpoint, FilePath, IdlePower, Label, Name};
use crate::config::load::Documents;
use crate::config::problem::Mark;
use crate::config::schema;
use crate::config::types::{Host, Idle, Libvirt, LibvirtAddress, Overcommit};
use crate::model::{HostId, Ratio};

const DEFAULT_CALL_TIMEOUT: Duration = Duration::from_secs(2);
const DEFAULT_URI: &str = "qemu:///system";
const DEFAULT_SOCKET: &str = "/run/libvirt/libvirt-sock-ro";
const DEFAULT_TCP_PORT: u16 = 16509;
const DEFAULT_TLS_PORT: u16 = 16514;

impl Check<'_> {
    /// Checks the hosts of all files.
    pub(super) fn all_hosts(&mut self, documents: &Documents, defaults: &Defaults) -> Vec<Host> {
        let mut names: BTreeMap<HostId, Mark> = BTreeMap::new();
        let mut fed = Fed::new();
        let mut metered = Metered::new();
        let mut hosts = Vec::new();
        for (raw, at, folder) in entries(documents, |part| &part.hosts) {
            let id = self.host_name(raw, at, &mut names);
            let datacenter = self.datacenter_of(&raw.datacenter, at);
            let feeds = self.feeds(raw, at, datacenter.as_ref(), &mut fed);
            let fallback_after = self.fallback_after(&raw.fallback_after, &feeds);
            let division = self.division(raw, datacenter.as_ref(), &mut metered);
            let hypervisor =
                raw.hypervisor.located().map(|(one, at)| self.hypervisor(one, at, folder, defaults));
            let (Some(id), Some(datacenter)) = (id, datacenter) else { continue };
            hosts.push(Host {
                id,
                place: self.problems.borrow().place(at),
                datacenter,
                component: raw.component.get().copied().unwrap_or_default(),
                rack: label(&raw.rack),
                cluster: label(&raw.cluster),
                feeds,
                fallback_after,
                idle: raw.idle_power.get().map_or(Idle::Learned, |IdlePower(idle)| *idle),
                division,
                overcommit: overcommit(&raw.overcommit),
                hypervisor: hypervisor.flatten(),
            });
        }
        hosts
    }

    fn host_name(&self, raw: &schema::Host, at: Mark, names: &mut BTreeMap<HostId, Mark>) -> Option<HostId> {
        let Name(name) = self.need(&raw.name, at, "name", "give the host a name")?;
        let id = HostId::new(name).ok()?;
        if let Some(first) = names.get(&id) {
            self.twice(raw.name.located().map_or(at, |(_, at)| at), name, *first);
            return None;
        }
        names.insert(id.clone(), raw.name.located().map_or(at, |(_, at)| at));
        Some(id)
    }

    pub(super) fn libvirt(
        &mut self,
        raw: &schema::Libvirt,
        at: Mark,
        folder: &Path,
        defaults: &Defaults,
    ) -> Option<Libvirt> {
        let interval = self.span(&raw.interval).map_or(defaults.interval, |(interval, _)| interval);
        let call_timeout = self.deadline(&raw.timeout, DEFAULT_CALL_TIMEOUT, ("`interval`", interval));
        let uri = raw.uri.get().map_or_else(|| DEFAULT_URI.to_owned(), |Label(uri)| uri.clone());
        let address = self.libvirt_address(raw, at, folder)?;
        Some(Libvirt { uri, address, interval, call_timeout })
    }

    fn libvirt_address(&mut self, raw: &schema::Libvirt, at: Mark, folder: &Path) -> Option<LibvirtAddress> {
        match (&raw.socket, &raw.tcp, &raw.tls) {
            (Field::Absent, Field::Absent, Field::Absent) => {
                Some(LibvirtAddress::Unix(PathBuf::from(DEFAULT_SOCKET)))
            }
            (Field::Is(FilePath(path), _), Field::Absent, Field::Absent) => {
                Some(LibvirtAddress::Unix(folder.join(path)))
            }
            (Field::Absent, Field::Is(endpoint, _), Field::Absent) => {
                Some(LibvirtAddress::Tcp(with_port(endpoint, DEFAULT_TCP_PORT)))
            }
            (Field::Absent, Field::Absent, Field::Is(tls, at)) => self.libvirt_tls(tls, *at, folder),
            (Field::Bad, Field::Absent, Field::Absent)
            | (Field::Absent, Field::Bad, Field::Absent)
            | (Field::Absent, Field::Absent, Field::Bad) => None,
            _ => {
                self.error(at, "more than one of `socket`, `tcp` and `tls` is given", "keep one of them");
                None
            }
        }
    }

    fn libvirt_tls(&mut self, raw: &schema::LibvirtTls, at: Mark, folder: &Path) -> Option<LibvirtAddress> {
        let endpoint = self.need(&raw.endpoint, at, "endpoint", "write HOST or HOST:PORT of the daemon");
        self.need(
            &raw.ca_file,
            at,
            "ca_file",
            "name the PEM file of the authority that signed its certificate",
        );
        let ca_file = raw
            .ca_file
            .located()
            .and_then(|(path, at)| self.pem(folder, "ca_file", path, at, Pem::Certificates));
        let certificate = raw
            .cert_file
            .located()
            .and_then(|(path, at)| self.pem(folder, "cert_file", path, at, Pem::Certificates));
        let key =
            raw.key_file.located().and_then(|(path, at)| self.pem(folder, "key_file", path, at, Pem::Key));
        if raw.cert_file.is_absent() != raw.key_file.is_absent() {
            self.error(at, "`cert_file` and `key_file` belong together", "give both or neither");
        }
        let endpoint = with_port(endpoint?, DEFAULT_TLS_PORT);
        Some(LibvirtAddress::Tls { endpoint, ca_file: ca_file?, identity: certificate.zip(key) })
    }
}

fn with_port(Endpoint((host, port)): &Endpoint, default: u16) -> String {
    format!("{host}:{}", port.unwrap_or(default))
}

/// A number that its limits have checked; 1 where there is none.
pub(super) fn ratio(field: &Field<f64>) -> Ratio {
    let one = Ratio::ZERO;
    field.get().and_then(|value| Ratio::new(*value).ok()).or_else(|| Ratio::new(1.0).ok()).unwrap_or(one)
}

fn overcommit(field: &Field<schema::Overcommit>) -> Overcommit {
    let absent = schema::Overcommit::default();
    let raw = field.get().unwrap_or(&absent);
    Overcommit { cpu: ratio(&raw.cpu), memory: ratio(&raw.memory) }
}
