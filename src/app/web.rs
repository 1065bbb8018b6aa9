//! From the web configuration to the server's rules: reads the keys it names.

use axum::http::{HeaderName, HeaderValue};

use crate::config::{self, WebClients, WebTls};
use crate::http::{ClientCertificate, TlsSettings, Web, tls_server};

/// The rules that `web` asks for.
///
/// # Errors
/// If the key is not that of the certificate, or a file changed while it was read.
pub(super) fn rules(web: config::Web) -> Result<Web, String> {
    let config::Web { tls, users, headers, warnings: _ } = web;
    let header = |(name, value): (String, String)| {
        // Checked to be names and text of a header.
        Some((name.parse::<HeaderName>().ok()?, value.parse::<HeaderValue>().ok()?))
    };
    Ok(Web {
        users,
        tls: tls.map(|tls| tls_server(&settings(tls))).transpose()?,
        headers: headers.into_iter().filter_map(header).collect(),
    })
}

fn settings(tls: WebTls) -> TlsSettings {
    let WebTls { cert_file, key_file, clients, allow_1_2, allow_1_3 } = tls;
    let clients = clients.map(|(how, path)| match how {
        WebClients::IfGiven => (ClientCertificate::IfGiven, path),
        WebClients::Required => (ClientCertificate::Required, path),
    });
    TlsSettings { cert_file, key_file, clients, allow_1_2, allow_1_3 }
}
