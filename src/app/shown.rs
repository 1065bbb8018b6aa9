//! A plan in words, for people: `check --print-plan`. Holds no secret.

use std::fmt;
use std::time::Duration;

use super::plan::{Plan, Reached};
use crate::inventory::{Feed, Host, Idle, Model, Weighting};
use crate::model::Ratio;

impl fmt::Display for Plan {
    /// What would run, for people: `check --print-plan`. Holds no secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "meters: {}", self.meters.len())?;
        for m in &self.meters {
            let (s, t) = (&m.settings, &m.timing);
            writeln!(
                f,
                "  {} ({} {}): every {}, deadline {}, stale after {}, gaps bridged up to {}, in {}",
                s.id,
                s.driver,
                s.address,
                span(t.interval),
                span(t.deadline),
                span(s.stale_after),
                span(s.max_gap),
                s.datacenter,
            )?;
        }
        writeln!(f, "hosts: {}", self.inventory.hosts.len())?;
        for (i, h) in self.inventory.hosts.iter().enumerate() {
            write!(f, "  {} ({}, {}", h.id, h.component.name(), h.datacenter)?;
            for (what, name) in [("rack", &h.rack), ("cluster", &h.cluster)] {
                if !name.is_empty() {
                    write!(f, ", {what} {name}")?;
                }
            }
            writeln!(f, ")")?;
            for (n, feed) in h.feeds.iter().enumerate() {
                writeln!(f, "    {}. {}", n + 1, Shown(feed))?;
            }
            if let Some(after) = h.fallback_after {
                writeln!(f, "    the next one counts after: {} of silence", span(after))?;
            }
            match h.idle {
                Idle::Fixed(power) => writeln!(f, "    idle power: {power}")?,
                Idle::Learned => writeln!(f, "    idle power: learned")?,
                Idle::None => writeln!(f, "    idle power: none, all of it follows load")?,
            }
            division(f, h)?;
            if h.cpu_overcommit != Ratio::ONE || h.memory_overcommit != Ratio::ONE {
                let (cpu, memory) = (h.cpu_overcommit.get(), h.memory_overcommit.get());
                writeln!(f, "    overcommit: {cpu} x CPUs, {memory} x memory")?;
            }
            let source = self.host_sources.get(i).copied().flatten().and_then(|s| self.sources.get(s.0));
            if let Some(s) = source {
                let (settings, every) = (&s.settings, span(s.timing.interval));
                let what = match &s.reached {
                    Reached::Libvirt(libvirt) | Reached::Both(libvirt, _) => &libvirt.uri,
                    Reached::Cgroups(_) | Reached::Processes(_) => "groups",
                };
                writeln!(
                    f,
                    "    workloads: {} {what} at {}, every {every}",
                    settings.driver, settings.address
                )?;
            }
        }
        for p in &self.inventory.facility {
            writeln!(
                f,
                "facility {} {}: {}",
                p.datacenter,
                p.point.name(),
                Shown(&Feed::Channels(p.channels.clone()))
            )?;
        }
        for e in &self.inventory.factors {
            writeln!(
                f,
                "emission factor {} {}: {} ({} {})",
                e.datacenter,
                e.basis.name(),
                e.value,
                e.tier,
                e.source
            )?;
        }
        for p in &self.inventory.prices {
            writeln!(f, "price {}: {} {}/kWh", p.datacenter, p.per_kilowatt_hour, p.currency)?;
        }
        if let Some(probe) = &self.probe {
            writeln!(
                f,
                "probe modules: {}, at most {} probes at once",
                probe.modules.len(),
                probe.concurrency
            )?;
            for m in &probe.modules {
                let targets: Vec<_> = m.targets.iter().map(ToString::to_string).collect();
                let (timeout, targets) = (span(m.timeout), targets.join(", "));
                writeln!(f, "  {} ({}): deadline {timeout}, for {targets}", m.name, m.kind)?;
            }
        }
        Ok(())
    }
}

/// How the host's energy is divided, where that is not as usual.
fn division(f: &mut fmt::Formatter<'_>, host: &Host) -> fmt::Result {
    if host.model != Model::default() {
        writeln!(f, "    model: {}", host.model.name())?;
    }
    for (what, channels) in [("packages", &host.parts.packages), ("memory", &host.parts.memory)] {
        if !channels.is_empty() {
            writeln!(f, "    {what}: {}", Shown(&Feed::Channels(channels.clone())))?;
        }
    }
    for gpu in &host.parts.gpus {
        let (meter, channel) = &gpu.channel;
        writeln!(f, "    GPU at {}: {meter}/{channel}", gpu.pci)?;
    }
    match host.work.weighting {
        Weighting::CpuTime => {}
        Weighting::Cycles => writeln!(f, "    work: by cycles, where all are counted")?,
    }
    if host.work.smt_factor != Ratio::ONE {
        writeln!(f, "    a hardware thread beside a busy one: {} of one alone", host.work.smt_factor.get())?;
    }
    Ok(())
}

fn span(time: Duration) -> humantime::FormattedDuration {
    humantime::format_duration(time)
}

/// A feed for people.
struct Shown<'a>(&'a Feed);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Feed::Channels(list) => {
                let names: Vec<_> = list.iter().map(|(m, c)| format!("{m}/{c}")).collect();
                f.write_str(&names.join(" + "))
            }
            Feed::Rated(power) => write!(f, "rated, {power}"),
            Feed::Modelled(model) => write!(f, "{model}"),
        }
    }
}
