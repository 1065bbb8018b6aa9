//! Simulated SNMP agents: a rack PDU of APC's rPDU2 family (v2c), one of Eaton's ePDU family (v3), and a utility meter.
//!
//! What they show is in `apc.rs` and `eaton.rs`; the protocol is async-snmp's agent. For load there is `fleet`, which knows only v2c.

mod apc;
mod ber;
mod eaton;
pub mod fleet;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use async_snmp::agent::{Agent, AgentBuilder, SecurityModel};
use async_snmp::handler::{
    BoxFuture, GetNextResult, GetResult, HandlerResult, MibHandler, OidTable, RequestContext,
};
use async_snmp::message::SecurityLevel;
use async_snmp::{AuthProtocol, AuthoritativeEngine, Oid, PrivProtocol, Value, VarBind, oid};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::StartError;
use super::endpoint::{Counters, Live, counted};
use super::world::{Side, World};

/// Which device an agent is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Device {
    /// APC rPDU2 on a side's feed.
    Apc(Side),
    /// Eaton ePDU on a side's feed.
    Eaton(Side),
    /// The building's meter, speaking as an Eaton ePDU without outlets.
    Utility,
}

/// Who may read.
#[derive(Debug, Clone)]
pub enum Access {
    /// SNMP v1 and v2c with a community.
    Community(String),
    /// SNMPv3 with SHA authentication and AES-128 privacy; nothing less is let in.
    User {
        /// User name.
        name: String,
        /// Password for authentication, 8 characters or more.
        auth_password: String,
        /// Password for privacy, 8 characters or more.
        privacy_password: String,
    },
}

/// An agent that runs.
pub struct Running {
    /// Where it listens, UDP.
    pub address: SocketAddr,
    /// Variables asked for; SNMP has no sessions.
    pub counters: Arc<Counters>,
}

/// Starts an agent. It ends when `stop` is cancelled.
///
/// # Errors
/// When no loopback port can be had, or a password is too short.
pub async fn start(
    live: Live,
    device: Device,
    access: Access,
    stop: CancellationToken,
    tasks: &TaskTracker,
) -> Result<Running, StartError> {
    let counters = Arc::new(Counters::default());
    let shown = Shown { live, device, counters: counters.clone(), page: Mutex::default() };
    let builder = Agent::builder()
        .bind("127.0.0.1:0")
        .recv_buffer_size(None)
        .without_builtin_handlers()
        .handler(oid!(1, 3, 6, 1), Arc::new(shown))
        .cancellation_token(stop);
    let agent = admit(builder, access, device)?.build().await?;
    let address = agent.local_addr();
    tasks.spawn(async move {
        if let Err(error) = agent.run().await {
            tracing::warn!(%error, "simulated SNMP agent ended");
        }
    });
    Ok(Running { address, counters })
}

fn admit(builder: AgentBuilder, access: Access, device: Device) -> Result<AgentBuilder, StartError> {
    match access {
        Access::Community(community) => Ok(builder.community(community.into_bytes()).allow_all_access()),
        Access::User { name, auth_password, privacy_password } => {
            // Enterprise 8072's "octets" format; the last octets tell the devices apart.
            let mut engine = vec![0x80, 0x00, 0x1f, 0x88, 0x05];
            engine.extend_from_slice(format!("sim-{device:?}").as_bytes());
            let engine = AuthoritativeEngine::install(engine, |_| Ok::<(), std::convert::Infallible>(()))?;
            let (auth, privacy) = (auth_password.into_bytes(), privacy_password.into_bytes());
            let builder = builder.authoritative_engine(engine).usm_user(name.clone(), |user| {
                user.auth_priv(AuthProtocol::Sha1, &auth, PrivProtocol::Aes128, &privacy)
            })?;
            Ok(builder.vacm(|vacm| {
                vacm.group(name, SecurityModel::Usm, "readers")
                    .access("readers", SecurityModel::Usm, SecurityLevel::AuthPriv, |a| a.read_view("all"))
                    .view("all", |v| v.include(oid!(1, 3, 6, 1)))
            }))
        }
    }
}

/// Name, watts and joules of the server on `outlet` of `side`; a spare outlet has zeros.
fn outlet(world: &World, side: Side, outlet: u32, t: f64) -> (String, f64, f64) {
    world.hosts().iter().enumerate().find(|(_, h)| h.outlet == outlet).map_or_else(
        || (format!("Outlet {outlet}"), 0.0, 0.0),
        |(i, h)| {
            (h.name.clone(), h.share(side) * world.host_watts(i, t), h.share(side) * world.host_joules(i, t))
        },
    )
}

/// Rows of a device as they are collected.
#[derive(Default)]
struct Rows(Vec<(Oid, Value)>);

impl Rows {
    fn add(&mut self, base: &[u32], rest: &[u32], value: impl Into<Value>) {
        self.0.push((Oid::new(base.iter().chain(rest).copied()), value.into()));
    }

    /// The system group of SNMPv2-MIB; `enterprise` is the rest of sysObjectID after 1.3.6.1.4.1.
    fn system(&mut self, descr: &str, enterprise: &[u32], name: &str, t: f64) {
        const SYSTEM: &[u32] = &[1, 3, 6, 1, 2, 1, 1];
        let object = Oid::new([1, 3, 6, 1, 4, 1].iter().chain(enterprise).copied());
        // The agent has been up for a day; TimeTicks wrap.
        let ticks = counted((86_400.0 + t) * 100.0) % (u64::from(u32::MAX) + 1);
        self.add(SYSTEM, &[1, 0], descr);
        self.add(SYSTEM, &[2, 0], object);
        self.add(SYSTEM, &[3, 0], Value::TimeTicks(u32::try_from(ticks).unwrap_or(0)));
        self.add(SYSTEM, &[4, 0], "operations");
        self.add(SYSTEM, &[5, 0], name);
        self.add(SYSTEM, &[6, 0], "simulated");
    }
}

/// How long one page of values is shown before the sensors are read again, seconds: far below any poll's interval,
/// long enough for a walk over it not to recompute the world for each variable.
const PAGE_SECONDS: f64 = 0.02;

struct Page {
    at: f64,
    table: Arc<OidTable<Value>>,
}

struct Shown {
    live: Live,
    device: Device,
    counters: Arc<Counters>,
    page: Mutex<Option<Page>>,
}

impl Shown {
    fn table(&self) -> Arc<OidTable<Value>> {
        self.counters.request();
        let t = self.live.seconds();
        let mut page = self.page.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(page) = page.as_ref().filter(|p| t - p.at < PAGE_SECONDS) {
            return page.table.clone();
        }
        let mut rows = Rows::default();
        match self.device {
            Device::Apc(side) => apc::rows(&self.live.world, side, t, &mut rows),
            Device::Eaton(side) => eaton::rack_pdu(&self.live.world, side, t, &mut rows),
            Device::Utility => eaton::utility(&self.live.world, t, &mut rows),
        }
        let table = Arc::new(rows.0.into_iter().collect::<OidTable<Value>>());
        *page = Some(Page { at: t, table: table.clone() });
        table
    }
}

impl MibHandler for Shown {
    fn get<'a>(&'a self, _: &'a RequestContext, oid: &'a Oid) -> BoxFuture<'a, HandlerResult<GetResult>> {
        let value = self.table().get(oid).cloned();
        Box::pin(std::future::ready(Ok(value.map_or(GetResult::NoSuchObject, GetResult::Value))))
    }

    fn get_next<'a>(
        &'a self,
        _: &'a RequestContext,
        oid: &'a Oid,
    ) -> BoxFuture<'a, HandlerResult<GetNextResult>> {
        let next = self.table().get_next(oid).map(|(oid, value)| VarBind::new(oid.clone(), value.clone()));
        Box::pin(std::future::ready(Ok(next.map_or(GetNextResult::EndOfMibView, GetNextResult::Value))))
    }
}
