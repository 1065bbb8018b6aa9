//! An exporter that reads nothing but what it is asked for.

use std::fs;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::bmc::Bmc;
use crate::nginx::{PASSWORD, USER};
use crate::page::Page;
use crate::process::{Exporter, Response, get};

pub struct Probing {
    pub exporter: Exporter,
    _dir: TempDir,
}

/// A page of a probe, how it came and how long that took.
pub struct Answer {
    pub response: Response,
    pub page: Page,
    pub took: Duration,
}

impl Answer {
    pub fn success(&self) -> bool {
        self.page.find("probe_success", &[]).unwrap().value == "1"
    }

    /// Why it failed.
    pub fn result(&self) -> Option<&str> {
        assert_eq!(self.page.of("wattribute_probe_failure_info").count(), usize::from(!self.success()));
        self.page.of("wattribute_probe_failure_info").next().map(|sample| sample.label("result"))
    }

    /// The watts of a channel.
    pub fn watts(&self, channel: &str) -> Option<f64> {
        let sample = self.page.find("wattribute_meter_power_watts", &[("channel", channel)]);
        sample.map(crate::page::Sample::number)
    }
}

/// Whose certificate the module `redfish` trusts.
pub fn certificate(bmc: &Bmc) -> &str {
    &bmc.certificate.pem
}

impl Probing {
    /// Modules `redfish` (trusting `ca`; nobody if it is empty), `ipmi`, `sim`, `pdu` and `chain` for all ports of the loopback.
    pub async fn start(ca: &str) -> Self {
        Self::with(ca, "targets: ['127.0.0.0/8:*', '*.invalid']").await
    }

    /// The same with this allow-list.
    pub async fn with(ca: &str, targets: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let nobody = crate::nginx::certificate().pem;
        let ca = if ca.is_empty() { &nobody } else { ca };
        for (name, text) in [
            ("redfish", PASSWORD),
            ("ipmi", "password"),
            ("sim", "secret"),
            ("pdu", "public"),
            ("chain", "apc_chain"),
            ("ca.pem", ca),
        ] {
            fs::write(dir.path().join(name), text).unwrap();
        }
        let config = dir.path().join("wattribute.yaml");
        let text = format!(
            "probe:\n  {targets}\n  modules:\n\
             \x20 - {{name: redfish, redfish: {{username: {USER}, password_file: redfish, ca_file: ca.pem}}}}\n\
             \x20 - {{name: ipmi, timeout: 5s, ipmi: {{username: admin, password_file: ipmi}}}}\n\
             \x20 - {{name: sim, ipmi: {{username: admin, password_file: sim, privilege: administrator}}}}\n\
             \x20 - {{name: pdu, timeout: 1s, snmp: {{community_file: pdu}}}}\n\
             \x20 - {{name: chain, snmp: {{community_file: chain}}}}\n"
        );
        fs::write(&config, text).unwrap();
        Self { exporter: Exporter::start(&config).await, _dir: dir }
    }

    pub const fn address(&self) -> SocketAddr {
        self.exporter.address
    }

    /// Asks for `target` by `module`, with further header lines; the answer must be a page.
    pub async fn probe(&self, module: &str, target: &str, fields: &str) -> Answer {
        let began = Instant::now();
        let path = format!("/probe?module={module}&target={target}");
        let response = get(self.address(), &path, fields).await;
        let took = began.elapsed();
        assert_eq!(response.status, 200, "{}", response.text());
        Answer { page: Page::parse(response.text()), response, took }
    }
}
