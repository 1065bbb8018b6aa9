//! The files that the simulated data centre leaves for its clients: authority, secrets, the exporter's configuration
//! and a Prometheus configuration. Writing only; what the servers do is not decided here.

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::world::{Point, Role, World};

/// Where everything listens, by the names that the configuration uses.
pub(super) struct Addresses {
    /// BMC of each host, in the world's order.
    pub bmcs: Vec<SocketAddr>,
    /// The BMC that never answers.
    pub silent_bmc: SocketAddr,
    pub pdu_a: SocketAddr,
    pub pdu_b: SocketAddr,
    pub utility: SocketAddr,
    /// The gateway with the building's other meters.
    pub building: SocketAddr,
    /// Socket of each hypervisor, in the order of the world's hosts; only of compute hosts.
    pub hypervisors: Vec<Option<PathBuf>>,
}

/// Secrets of the devices, as the files that clients read them from.
pub(super) struct SecretFiles {
    pub bmc: PathBuf,
    pub community: PathBuf,
    pub auth: PathBuf,
    pub privacy: PathBuf,
}

/// Writes `text` to a file that only its owner can read.
pub(super) fn secret(path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())
}

/// The exporter's configuration for this data centre.
pub(super) fn exporter(world: &World, at: &Addresses, secrets: &SecretFiles, ca: &Path) -> String {
    let mut text = String::from(
        "# A simulated data centre on loopback: two racks, eight servers, two PDUs, one building.\n\
         poll: {interval: 1s, timeout: 900ms}\n\
         datacenters:\n\
         \x20 - name: demo\n\
         \x20   emission_factors: [{basis: location, value: 380 g/kWh, source: example, tier: national}]\n\
         \x20   facility:\n",
    );
    for point in [Point::Utility].into_iter().chain(Point::METERED) {
        line(&mut text, format_args!("      {}: [{}/input]", point.name(), point.meter()));
    }
    text.push_str("meters:\n");
    meters(&mut text, world, at, secrets, ca);
    hosts(&mut text, world, at);
    text.push_str("tenants:\n");
    for tenant in world.tenants() {
        line(&mut text, format_args!("  - {{project_id: {:?}, name: {}}}", tenant.project_id, tenant.name));
    }
    text
}

fn meters(text: &mut String, world: &World, at: &Addresses, secrets: &SecretFiles, ca: &Path) {
    let bmc = |text: &mut String, name: &str, address: &SocketAddr| {
        line(text, format_args!("  - name: bmc-{name}"));
        line(
            text,
            format_args!(
                "    redfish: {{url: \"https://{address}\", username: monitor, password_file: {:?}, ca_file: {ca:?}}}",
                secrets.bmc
            ),
        );
    };
    for (host, address) in world.hosts().iter().zip(&at.bmcs) {
        bmc(text, &host.name, address);
    }
    text.push_str("  # Accepts connections and never answers: its host's next feed must take over.\n");
    bmc(text, "silent", &at.silent_bmc);
    for (name, address) in [("pdu-a", at.pdu_a), (Point::Utility.meter(), at.utility)] {
        line(text, format_args!("  - name: {name}"));
        line(
            text,
            format_args!(
                "    snmp: {{address: \"{address}\", version: 2c, community_file: {:?}}}",
                secrets.community
            ),
        );
    }
    text.push_str("  - name: pdu-b\n    snmp:\n");
    line(text, format_args!("      address: \"{}\"\n      version: 3\n      user: monitor", at.pdu_b));
    line(text, format_args!("      auth: {{protocol: sha, password_file: {:?}}}", secrets.auth));
    line(text, format_args!("      privacy: {{protocol: aes128, password_file: {:?}}}", secrets.privacy));
    text.push_str("  # Four energy meters behind one gateway.\n");
    for (unit, point) in (1..).zip(Point::METERED) {
        let at = at.building;
        line(text, format_args!("  - name: {}", point.meter()));
        line(text, format_args!("    modbus: {{tcp: \"{at}\", unit: {unit}, profile: schneider-iem3000}}"));
    }
}

fn hosts(text: &mut String, world: &World, at: &Addresses) {
    text.push_str("hosts:\n");
    for (host, hypervisor) in world.hosts().iter().zip(&at.hypervisors) {
        let outlets = format!("[pdu-a/outlet/{n}, pdu-b/outlet/{n}]", n = host.outlet);
        let bmc = format!("bmc-{}/input", host.name);
        let feeds = match host.role {
            Role::Compute => format!("{outlets}, {bmc}, {{rated: 500 W, power_factor: 1}}"),
            Role::Storage => format!("bmc-silent/input, {outlets}, {bmc}"),
            Role::Management => format!("{bmc}, {outlets}"),
        };
        line(text, format_args!("  - name: {}", host.name));
        line(text, format_args!("    rack: {}", host.rack));
        if host.role == Role::Compute {
            text.push_str("    cluster: c1\n");
        }
        line(text, format_args!("    component: {}", host.role.name()));
        line(text, format_args!("    feeds: [{feeds}]"));
        line(text, format_args!("    idle_power: {} W", host.idle_watts));
        if let Some(socket) = hypervisor {
            line(
                text,
                format_args!(
                    "    hypervisor: {{libvirt: {{uri: \"qemu:///system\", socket: {socket:?}, interval: 1s}}}}"
                ),
            );
        }
    }
}

/// A Prometheus that scrapes the exporter each second and evaluates every rule file of `rules` as often.
pub(super) fn prometheus(exporter: SocketAddr, rules: &Path) -> String {
    let rules = rules.join("*.y*ml");
    format!(
        "global:\n  scrape_interval: 1s\n  scrape_timeout: 1s\n  evaluation_interval: 1s\n\
         rule_files: [{rules:?}]\n\
         scrape_configs:\n  - job_name: wattribute\n    static_configs: [{{targets: [\"{exporter}\"]}}]\n"
    )
}

fn line(text: &mut String, args: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = text.write_fmt(args);
    text.push('\n');
}
