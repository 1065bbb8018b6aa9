//! One VM as its hypervisor sees it: identity on the wire, domain XML with Nova's metadata, statistics. Pure.

use super::super::endpoint::counted;
use super::super::world::{Run, Tenant, Vm};
use super::xdr::Writer;

/// A VM that the hypervisor knows, and its run if it runs.
pub(super) struct Domain<'a> {
    pub vm: &'a Vm,
    pub run: Option<Run>,
}

/// Groups of statistics, as bits of the call's mask; an empty mask asks for all.
const STATE: u32 = 1;
const CPU_TOTAL: u32 = 2;
const BALLOON: u32 = 4;
const VCPU: u32 = 8;

/// A typed parameter's value.
enum Param {
    Int(i32),
    UInt(u32),
    ULong(u64),
}

impl Domain<'_> {
    /// The 16 bytes of its UUID.
    pub fn uuid(&self) -> [u8; 16] {
        u128::from_str_radix(&self.vm.uuid.replace('-', ""), 16).unwrap_or(0).to_be_bytes()
    }

    /// libvirt's id: -1 while it does not run.
    pub fn id(&self) -> i32 {
        self.run.map_or(-1, |run| run.id)
    }

    /// State and reason: running (booted) or shut off (shut down).
    pub fn state(&self) -> (i32, i32) {
        if self.run.is_some() { (1, 1) } else { (5, 1) }
    }

    pub fn memory_kib(&self) -> u64 {
        self.vm.memory_mib * 1024
    }

    /// Nanoseconds of CPU. A shut-off domain has none of its own: libvirtd then answers with its own CPU time, a trap
    /// that is kept here (`daemon_seconds`).
    pub fn cpu_nanos(&self, daemon_seconds: f64) -> u64 {
        counted(self.run.map_or(daemon_seconds, |run| run.cpu_seconds) * 1e9)
    }

    /// `remote_nonnull_domain`.
    pub fn identity(&self, into: &mut Writer) {
        into.string(&self.vm.domain).raw(&self.uuid()).i32(self.id());
    }

    /// `remote_domain_stats_record` with the groups asked for.
    pub fn stats(&self, groups: u32, daemon_seconds: f64, into: &mut Writer) {
        let wants = |group| groups == 0 || groups & group != 0;
        let mut params: Vec<(String, Param)> = Vec::new();
        let mut push = |name: &str, value| params.push((name.to_owned(), value));
        let (state, reason) = self.state();
        if wants(STATE) {
            push("state.state", Param::Int(state));
            push("state.reason", Param::Int(reason));
        }
        let nanos = self.cpu_nanos(daemon_seconds);
        if wants(CPU_TOTAL) {
            push("cpu.time", Param::ULong(nanos));
            push("cpu.user", Param::ULong(nanos / 10));
            push("cpu.system", Param::ULong(nanos / 20));
        }
        if wants(BALLOON) {
            push("balloon.current", Param::ULong(self.memory_kib()));
            push("balloon.maximum", Param::ULong(self.memory_kib()));
        }
        if wants(VCPU) {
            push("vcpu.current", Param::UInt(self.vm.vcpus));
            push("vcpu.maximum", Param::UInt(self.vm.vcpus));
            for n in 0..self.vm.vcpus.min(if self.run.is_some() { u32::MAX } else { 0 }) {
                push(&format!("vcpu.{n}.state"), Param::Int(1));
                push(&format!("vcpu.{n}.time"), Param::ULong(nanos / u64::from(self.vm.vcpus)));
            }
        }
        self.identity(into);
        into.len(params.len());
        for (name, value) in params {
            into.string(&name);
            match value {
                Param::Int(v) => into.i32(1).i32(v),
                Param::UInt(v) => into.i32(2).u32(v),
                Param::ULong(v) => into.i32(4).u64(v),
            };
        }
    }

    /// Domain XML as libvirt writes it, with the metadata that Nova leaves.
    pub fn xml(&self, tenant: &Tenant) -> String {
        let vm = self.vm;
        let id = self.run.map_or_else(String::new, |run| format!(" id='{}'", run.id));
        let kib = self.memory_kib();
        format!(
            "<domain type='kvm'{id}>\n  <name>{domain}</name>\n  <uuid>{uuid}</uuid>\n  <metadata>\n{nova}  </metadata>\n\
            \x20 <memory unit='KiB'>{kib}</memory>\n  <currentMemory unit='KiB'>{kib}</currentMemory>\n\
            \x20 <vcpu placement='static'>{vcpus}</vcpu>\n\
            \x20 <os>\n    <type arch='x86_64' machine='pc-q35-7.2'>hvm</type>\n    <boot dev='hd'/>\n  </os>\n\
            \x20 <clock offset='utc'/>\n  <on_poweroff>destroy</on_poweroff>\n  <on_reboot>restart</on_reboot>\n\
            \x20 <on_crash>destroy</on_crash>\n\
            \x20 <devices>\n    <emulator>/usr/bin/qemu-system-x86_64</emulator>\n    <memballoon model='virtio'/>\n  </devices>\n\
            </domain>\n",
            domain = vm.domain,
            uuid = vm.uuid,
            vcpus = vm.vcpus,
            nova = nova(vm, tenant),
        )
    }
}

fn nova(vm: &Vm, tenant: &Tenant) -> String {
    format!(
        "    <nova:instance xmlns:nova=\"http://openstack.org/xmlns/libvirt/nova/1.1\">\n\
        \x20     <nova:package version=\"31.0.0\"/>\n      <nova:name>{name}</nova:name>\n\
        \x20     <nova:creationTime>2026-01-15 08:30:00</nova:creationTime>\n\
        \x20     <nova:flavor name=\"{flavor}\">\n        <nova:memory>{memory}</nova:memory>\n        <nova:disk>20</nova:disk>\n\
        \x20       <nova:swap>0</nova:swap>\n        <nova:ephemeral>0</nova:ephemeral>\n        <nova:vcpus>{vcpus}</nova:vcpus>\n\
        \x20     </nova:flavor>\n\
        \x20     <nova:owner>\n        <nova:user uuid=\"{project:.16}0123456789abcdef\">{user}</nova:user>\n\
        \x20       <nova:project uuid=\"{project}\">{tenant}</nova:project>\n      </nova:owner>\n    </nova:instance>\n",
        name = vm.name,
        flavor = vm.flavor,
        memory = vm.memory_mib,
        vcpus = vm.vcpus,
        user = tenant.user,
        project = tenant.project_id,
        tenant = tenant.name,
    )
}
