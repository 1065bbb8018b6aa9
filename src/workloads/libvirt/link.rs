//! An opened driver at a libvirtd: connection, authentication, events, and what is asked once. Procedures as typed
//! calls; no policy.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::client::{Connection, Pending, Stale};
use super::error::CallError;
use super::node::{self, NodeInfo, Pool, Processors};
use super::protocol::{self, Domain, Procedure};
use super::stats::{self, Record};
use super::transport::Transport;
use crate::workloads::Space;

/// "No authentication" in the list of ways to authenticate.
const AUTH_NONE: i32 = 0;

/// An opened driver.
#[derive(Debug)]
pub struct Link {
    connection: Arc<Connection>,
    /// The node, where it was told.
    pub node: Option<NodeInfo>,
    /// The node's address, unless it is this machine.
    pub peer: Option<IpAddr>,
}

/// Whether a connection asks to be told of domains' changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Events {
    /// It asks.
    Wanted,
    /// It does not.
    Unwanted,
}

impl Link {
    /// Connects, authenticates and opens the driver `uri` read-only, all within `deadline`.
    ///
    /// # Errors
    /// As the transport's; `Auth` when the server wants credentials; `Refused` when it does not open the driver.
    pub async fn open(
        transport: &Transport,
        uri: &str,
        events: Events,
        deadline: Duration,
    ) -> Result<Self, CallError> {
        let opening = async {
            let (stream, peer) = transport.connect().await?;
            let connection = Connection::new(stream);
            authenticate(&connection, deadline).await?;
            connection.call(Procedure::Open, &protocol::open_args(uri), deadline).await?;
            let version = optional(&connection, Procedure::LibVersion, &[], deadline).await?;
            let version = version.and_then(|body| protocol::double_word(&body).ok());
            // From here on the server pings, and frees what we hold there if we vanish without a word.
            let feature = protocol::feature_args(protocol::FEATURE_KEEPALIVE);
            optional(&connection, Procedure::SupportsFeature, &feature, deadline).await?;
            for event in protocol::EVENTS.iter().copied().filter(|_| events == Events::Wanted) {
                let args = protocol::event_args(event);
                optional(&connection, Procedure::RegisterEvent, &args, deadline).await?;
            }
            let node = optional(&connection, Procedure::NodeInfo, &[], deadline).await?;
            let node = read(node, Procedure::NodeInfo, node::node_info)?;
            tracing::debug!(uri, version, "opened libvirt");
            Ok(Self { connection, node, peer })
        };
        tokio::time::timeout(deadline, opening).await.unwrap_or(Err(CallError::ConnectTimeout(deadline)))
    }

    /// Whether the connection still stands.
    pub fn alive(&self) -> bool {
        self.connection.ended().is_none()
    }

    /// The domains that events have marked since the last time.
    pub fn take_stale(&self) -> Stale {
        self.connection.take_stale()
    }

    /// Starts to ask for statistics of `domains` (all, if there are none).
    ///
    /// # Errors
    /// When the connection has ended.
    pub fn start_stats(&self, domains: &[Domain], groups: u32) -> Result<Pending, CallError> {
        let args = protocol::stats_args(domains, groups, stats::NOWAIT);
        self.connection.start(Procedure::AllDomainStats, &args)
    }

    /// CPU time of the node outside idle and I/O wait, nanoseconds, where told.
    ///
    /// # Errors
    /// As [`Connection::call`], except that a refusal means "not told".
    pub async fn node_busy(&self, deadline: Duration) -> Result<Option<u64>, CallError> {
        let procedure = Procedure::NodeCpuStats;
        let body = optional(&self.connection, procedure, &protocol::cpu_args(), deadline).await?;
        read(body, procedure, node::node_busy).map(Option::flatten)
    }

    /// Free memory of the node, bytes, where told.
    ///
    /// # Errors
    /// As [`Link::node_busy`].
    pub async fn free_memory(&self, deadline: Duration) -> Result<Option<u64>, CallError> {
        let procedure = Procedure::NodeFreeMemory;
        let body = optional(&self.connection, procedure, &[], deadline).await?;
        read(body, procedure, protocol::double_word)
    }

    /// A domain's XML; none if the server refuses, as it does for a domain that has just gone.
    ///
    /// # Errors
    /// As [`Link::node_busy`].
    pub async fn xml(&self, domain: &Domain, deadline: Duration) -> Result<Option<String>, CallError> {
        let procedure = Procedure::DomainXml;
        let body = optional(&self.connection, procedure, &protocol::xml_args(domain), deadline).await?;
        read(body, procedure, protocol::text)
    }

    /// The node's name, where told.
    ///
    /// # Errors
    /// As [`Link::node_busy`].
    pub async fn hostname(&self, deadline: Duration) -> Result<Option<String>, CallError> {
        let body = optional(&self.connection, Procedure::Hostname, &[], deadline).await?;
        read(body, Procedure::Hostname, protocol::text)
    }

    /// The node's processors, where told.
    ///
    /// # Errors
    /// As [`Link::node_busy`].
    pub async fn processors(&self, deadline: Duration) -> Result<Option<Processors>, CallError> {
        let body = optional(&self.connection, Procedure::Capabilities, &[], deadline).await?;
        let text = read(body, Procedure::Capabilities, protocol::text)?;
        Ok(text.and_then(|text| node::processors(&text).ok()))
    }

    /// The active storage pools; none where there is no storage driver.
    ///
    /// # Errors
    /// As [`Link::node_busy`].
    pub async fn pools(&self, deadline: Duration) -> Result<Option<Vec<Pool>>, CallError> {
        let body = optional(&self.connection, Procedure::Pools, &protocol::pools_args(), deadline).await?;
        read(body, Procedure::Pools, node::pools)
    }

    /// The size of a storage pool and what of it is taken, bytes; none of one that has just gone.
    ///
    /// # Errors
    /// As [`Link::node_busy`].
    pub async fn pool(&self, pool: &Pool, deadline: Duration) -> Result<Option<Space>, CallError> {
        let body = optional(&self.connection, Procedure::PoolInfo, &pool.args(), deadline).await?;
        read(body, Procedure::PoolInfo, node::pool_info)
    }

    /// Says good-bye.
    pub async fn close(self, deadline: Duration) {
        let _ = self.connection.call(Procedure::Close, &[], deadline).await;
    }
}

/// Reads the answer to a statistics call.
///
/// # Errors
/// `Protocol` if it is not one.
pub fn records(body: &[u8]) -> Result<Vec<Record>, CallError> {
    stats::records(body).map_err(|e| CallError::unreadable(Procedure::AllDomainStats, e))
}

async fn authenticate(connection: &Arc<Connection>, deadline: Duration) -> Result<(), CallError> {
    let body = connection.call(Procedure::AuthList, &[], deadline).await?;
    let ways = protocol::auth_list(&body).map_err(|e| CallError::unreadable(Procedure::AuthList, e))?;
    if ways.is_empty() || ways.contains(&AUTH_NONE) {
        return Ok(());
    }
    let names: Vec<_> = ways
        .iter()
        .map(|way| match way {
            1 => "SASL".to_owned(),
            2 => "polkit".to_owned(),
            other => format!("method {other}"),
        })
        .collect();
    Err(CallError::Auth(format!("libvirtd wants authentication by {}", names.join(" or "))))
}

/// A call whose refusal means "not told".
async fn optional(
    connection: &Arc<Connection>,
    procedure: Procedure,
    body: &[u8],
    deadline: Duration,
) -> Result<Option<Vec<u8>>, CallError> {
    match connection.call(procedure, body, deadline).await {
        Ok(body) => Ok(Some(body)),
        Err(CallError::Refused(..)) => Ok(None),
        Err(other) => Err(other),
    }
}

fn read<T>(
    body: Option<Vec<u8>>,
    procedure: Procedure,
    reader: fn(&[u8]) -> Result<T, super::xdr::XdrError>,
) -> Result<Option<T>, CallError> {
    body.map(|b| reader(&b)).transpose().map_err(|e| CallError::unreadable(procedure, e))
}
