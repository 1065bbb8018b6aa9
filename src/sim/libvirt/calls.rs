//! What the hypervisor answers to each call of the remote protocol (program 0x20008086, version 1). Pure but for the
//! world's clock; frames and connections are in `mod.rs`.
//!
//! Numbers and layouts are those of libvirt's `remote_protocol.x`.

use super::super::endpoint::{Live, counted};
use super::super::world::{Host, Vm};
use super::domain::Domain;
use super::xdr::{Reader, Writer};

/// A refused call: code of virErrorNumber and a message.
pub(super) struct Refusal(pub i32, pub String);

const NO_SUPPORT: i32 = 3;
const NO_DOMAIN: i32 = 42;
const BAD_CALL: i32 = 39;

/// Whether a call asked for something that the connection itself must do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    None,
    /// The client answers keepalive messages: it may be probed from now on.
    Keepalive,
    /// Send lifecycle events to this callback.
    Lifecycle(i32),
    /// The client is done.
    Close,
}

/// One hypervisor.
#[derive(Clone)]
pub(super) struct Hypervisor {
    pub live: Live,
    pub host: usize,
}

type Reply = Result<(Writer, Effect), Refusal>;

impl Hypervisor {
    /// The body of the reply to `procedure`.
    pub fn call(&self, procedure: i32, body: &[u8]) -> Reply {
        let t = self.live.seconds();
        let args = &mut Reader(body);
        let mut out = Writer::default();
        let mut effect = Effect::None;
        match procedure {
            1 | 360 | 361 => {}          // CONNECT_OPEN, (UN)REGISTER_CLOSE_CALLBACK
            2 => effect = Effect::Close, // CONNECT_CLOSE
            3 => {
                out.string("QEMU");
            } // CONNECT_GET_TYPE
            4 => {
                out.u64(7_002_000);
            } // CONNECT_GET_VERSION
            157 => {
                out.u64(9_000_000);
            } // CONNECT_GET_LIB_VERSION
            66 => {
                out.u32(1).i32(0);
            } // AUTH_LIST: none
            110 => {
                out.string("qemu:///system");
            } // CONNECT_GET_URI
            59 => {
                out.string(&self.node()?.name);
            } // CONNECT_GET_HOSTNAME
            60 => {
                // CONNECT_SUPPORTS_FEATURE: strings in parameters 9, keepalive 10, events by callback 14.
                let feature = args.i32().ok_or_else(cut)?;
                if feature == 10 {
                    effect = Effect::Keepalive;
                }
                out.i32(i32::from(matches!(feature, 9 | 10 | 14)));
            }
            316 => {
                // DOMAIN_EVENT_CALLBACK_REGISTER_ANY: the callback's number is the event's.
                let event = args.i32().ok_or_else(cut)?;
                if event == 0 {
                    effect = Effect::Lifecycle(event);
                }
                out.i32(event);
            }
            317 => {}
            6 => self.node_info(&mut out)?,
            7 => {
                out.string(&capabilities(self.node()?));
            }
            102 => {
                out.u64(self.free_bytes(t)?);
            }
            227 => self.node_cpu_stats(args, t, &mut out)?,
            14 | 16 | 22 | 23 | 24 | 212 => self.domain_call(procedure, args, t, &mut out)?,
            273 => self.list_domains(args, t, &mut out)?,
            344 => self.all_stats(args, t, &mut out)?,
            other => return Err(Refusal(NO_SUPPORT, format!("procedure {other} is not simulated"))),
        }
        Ok((out, effect))
    }

    /// Every VM this hypervisor knows at `t` seconds.
    pub fn domains(&self, t: f64) -> impl Iterator<Item = Domain<'_>> {
        let world = &self.live.world;
        let known = world.vms().iter().filter(move |vm| world.knows(self.host, vm, t));
        known.map(move |vm: &Vm| Domain { vm, run: vm.run(self.host, t) })
    }

    fn node(&self) -> Result<&Host, Refusal> {
        self.live.world.hosts().get(self.host).ok_or_else(|| Refusal(NO_SUPPORT, "no such host".into()))
    }

    /// CPU time of the management daemon itself, seconds.
    fn daemon_seconds(t: f64) -> f64 {
        12.0 + t * 0.002
    }

    fn node_info(&self, out: &mut Writer) -> Result<(), Refusal> {
        let node = self.node()?;
        // `char model[32]`: XDR spends a whole word on each character.
        let model = *b"x86_64\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
        for c in model {
            out.i32(i32::from(c));
        }
        let cpus = i32::try_from(node.cpus).unwrap_or(i32::MAX);
        out.u64(node.memory_mib * 1024).i32(cpus).i32(2600).i32(1).i32(2).i32(cpus / 4).i32(2);
        Ok(())
    }

    fn free_bytes(&self, t: f64) -> Result<u64, Refusal> {
        const DAEMONS_MIB: u64 = 6000;
        let held: u64 = self.domains(t).filter(|d| d.run.is_some()).map(|d| d.vm.memory_mib).sum();
        Ok(self.node()?.memory_mib.saturating_sub(held + DAEMONS_MIB) * 1024 * 1024)
    }

    /// NODE_GET_CPU_STATS: nanoseconds since boot, summed over the logical CPUs.
    fn node_cpu_stats(&self, args: &mut Reader<'_>, t: f64, out: &mut Writer) -> Result<(), Refusal> {
        const UPTIME_SECONDS: f64 = 86_400.0;
        const PAST_BUSY_SECONDS: f64 = 250_000.0;
        let _cpu = args.i32().ok_or_else(cut)?;
        let wanted = args.i32().ok_or_else(cut)?;
        if wanted == 0 {
            out.u32(0).i32(4);
            return Ok(());
        }
        let busy = PAST_BUSY_SECONDS + self.live.world.host_cpu_seconds(self.host, t);
        let all = f64::from(self.node()?.cpus) * (UPTIME_SECONDS + t);
        let waiting = 0.002 * (all - busy);
        let times = [
            ("kernel", busy * 0.1),
            ("user", busy * 0.9),
            ("idle", all - busy - waiting),
            ("iowait", waiting),
        ];
        out.len(times.len());
        for (field, seconds) in times {
            out.string(field).u64(counted(seconds * 1e9));
        }
        out.i32(0);
        Ok(())
    }

    /// Calls on one domain, found by name, UUID or id.
    fn domain_call(
        &self,
        procedure: i32,
        args: &mut Reader<'_>,
        t: f64,
        out: &mut Writer,
    ) -> Result<(), Refusal> {
        let mut all = self.domains(t);
        let found = match procedure {
            22 => args.i32().map(|id| all.find(|d| d.run.is_some() && d.id() == id)),
            23 => args.string().map(|name| all.find(|d| d.vm.domain == name)),
            24 => args.raw(16).map(|uuid| all.find(|d| d.uuid() == uuid)),
            _ => domain_arg(args).map(|uuid| all.find(|d| d.uuid() == uuid)),
        };
        let domain = found.ok_or_else(cut)?.ok_or_else(|| Refusal(NO_DOMAIN, "Domain not found".into()))?;
        match procedure {
            14 => {
                let tenant = self.live.world.tenant_of(domain.vm).ok_or_else(cut)?;
                out.string(&domain.xml(tenant));
            }
            16 => {
                let cpus = i32::try_from(domain.vm.vcpus).unwrap_or(i32::MAX);
                out.i32(domain.state().0).u64(domain.memory_kib()).u64(domain.memory_kib()).i32(cpus);
                out.u64(domain.cpu_nanos(Self::daemon_seconds(t)));
            }
            212 => {
                let (state, reason) = domain.state();
                out.i32(state).i32(reason);
            }
            _ => domain.identity(out),
        }
        Ok(())
    }

    /// CONNECT_LIST_ALL_DOMAINS.
    fn list_domains(&self, args: &mut Reader<'_>, t: f64, out: &mut Writer) -> Result<(), Refusal> {
        let _need_results = args.i32().ok_or_else(cut)?;
        let flags = args.u32().ok_or_else(cut)?;
        let listed: Vec<Domain<'_>> = self.domains(t).filter(|d| passes(flags, d)).collect();
        out.len(listed.len());
        listed.iter().for_each(|d| d.identity(out));
        out.len(listed.len());
        Ok(())
    }

    /// CONNECT_GET_ALL_DOMAIN_STATS: of the domains listed, or of all.
    fn all_stats(&self, args: &mut Reader<'_>, t: f64, out: &mut Writer) -> Result<(), Refusal> {
        let wanted = args.u32().ok_or_else(cut)?;
        let wanted: Vec<[u8; 16]> = (0..wanted).map_while(|_| domain_arg(args)).collect();
        let (groups, flags) = args.u32().zip(args.u32()).ok_or_else(cut)?;
        let told: Vec<Domain<'_>> = self
            .domains(t)
            .filter(|d| if wanted.is_empty() { passes(flags, d) } else { wanted.contains(&d.uuid()) })
            .collect();
        out.len(told.len());
        told.iter().for_each(|d| d.stats(groups, Self::daemon_seconds(t), out));
        Ok(())
    }
}

/// Filters of listings: active 1, inactive 2; no filter lets everything through.
fn passes(flags: u32, domain: &Domain<'_>) -> bool {
    let wanted = flags & 3;
    wanted == 0 || wanted & if domain.run.is_some() { 1 } else { 2 } != 0
}

/// The UUID of a domain given as an argument; its name and id say nothing more.
fn domain_arg(args: &mut Reader<'_>) -> Option<[u8; 16]> {
    args.string()?;
    let uuid = args.raw(16)?.try_into().ok()?;
    args.i32()?;
    Some(uuid)
}

fn cut() -> Refusal {
    Refusal(BAD_CALL, "Unable to decode message payload".into())
}

fn capabilities(node: &Host) -> String {
    format!(
        "<capabilities>\n  <host>\n    <cpu>\n      <arch>x86_64</arch>\n      <topology sockets='2' dies='1' cores='{}' threads='2'/>\n\
        \x20   </cpu>\n  </host>\n</capabilities>\n",
        node.cpus / 4
    )
}
