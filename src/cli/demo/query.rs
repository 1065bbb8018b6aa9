//! Asking Prometheus over its HTTP API, and any of the programs whether it is ready.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde::Deserialize;

/// How long one answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// A client for plain HTTP on loopback.
pub(super) struct Http {
    client: reqwest::Client,
}

/// One series of an answer.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Series {
    /// Labels, `__name__` among them.
    pub metric: BTreeMap<String, String>,
    /// One sample, for an instant query.
    value: Option<Sample>,
    /// All samples, for a range selector.
    #[serde(default)]
    values: Vec<Sample>,
}

/// Unix seconds and the value as text.
#[derive(Debug, Clone, Deserialize)]
struct Sample(f64, String);

impl Sample {
    fn read(&self) -> Option<(f64, f64)> {
        Some((self.0, self.1.parse().ok().filter(|v: &f64| v.is_finite())?))
    }
}

impl Series {
    /// A label's value; empty where it has none.
    pub fn label(&self, name: &str) -> &str {
        self.metric.get(name).map_or("", String::as_str)
    }

    /// The value of an instant query, if it is a number.
    pub fn value(&self) -> Option<f64> {
        self.value.as_ref()?.read().map(|(_, v)| v)
    }

    /// Unix seconds and value of each sample, oldest first.
    pub fn samples(&self) -> Vec<(f64, f64)> {
        self.values.iter().filter_map(Sample::read).collect()
    }
}

#[derive(Deserialize)]
struct Answer {
    data: Option<Data>,
    error: Option<String>,
}

#[derive(Deserialize)]
struct Data {
    result: Vec<Series>,
}

impl Http {
    pub fn new() -> anyhow::Result<Self> {
        // No TLS is spoken here, but the client wants to be told which it would speak.
        let tls =
            rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
                .with_safe_default_protocol_versions()?
                .with_root_certificates(rustls::RootCertStore::empty())
                .with_no_client_auth();
        let client =
            reqwest::Client::builder().no_proxy().timeout(PATIENCE).tls_backend_preconfigured(tls).build()?;
        Ok(Self { client })
    }

    /// Whether the program at `address` says that it is ready.
    pub async fn ready(&self, address: SocketAddr) -> bool {
        let answer = self.client.get(format!("http://{address}/-/ready")).send().await;
        answer.is_ok_and(|a| a.status().is_success())
    }

    /// Evaluates `query` at Prometheus, now.
    pub async fn query(&self, prometheus: SocketAddr, query: &str) -> anyhow::Result<Vec<Series>> {
        let url = format!("http://{prometheus}/api/v1/query");
        let url = reqwest::Url::parse_with_params(&url, &[("query", query)])?;
        let answer = self.client.get(url).send().await.context("ask Prometheus")?;
        let answer: Answer = answer.json().await.context("read Prometheus' answer")?;
        match answer {
            Answer { data: Some(data), .. } => Ok(data.result),
            Answer { error, .. } => bail!("Prometheus refuses {query}: {}", error.unwrap_or_default()),
        }
    }
}
