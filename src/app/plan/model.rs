//! How a host's energy is divided: from configuration to inventory.

use super::channels;
use crate::config::{self, Config};
use crate::inventory::{Gpu, Host, Model, Parts, Pool, Weighting, Work};

/// Takes what the host says, or its data centre where the host says nothing.
pub(super) fn divide(host: Host, said: &config::Host, config: &Config) -> Host {
    let division = &said.division;
    let of_all = || config.datacenters.iter().find(|d| d.id == said.datacenter).and_then(|d| d.model);
    let gpu = |(channel, pci): &(config::ChannelRef, _)| Gpu {
        channel: (channel.meter.clone(), channel.channel.clone()),
        pci: *pci,
    };
    let pool = match config::pool_of(said, &config.datacenters) {
        config::Pool::Host => Pool::Host,
        config::Pool::Cluster => Pool::Cluster,
    };
    Host {
        pool,
        model: division.model.or_else(of_all).map_or_else(Model::default, model),
        parts: Parts {
            packages: channels(&division.packages),
            memory: channels(&division.memory),
            gpus: division.gpus.iter().map(gpu).collect(),
        },
        work: Work {
            weighting: match division.weighting {
                config::Weighting::CpuTime => Weighting::CpuTime,
                config::Weighting::Cycles => Weighting::Cycles,
            },
            smt_factor: division.smt_factor,
        },
        ..host
    }
}

const fn model(named: config::Model) -> Model {
    match named {
        config::Model::IdleDynamic => Model::IdleDynamic,
        config::Model::CpuProportional => Model::CpuProportional,
        config::Model::RaplWeighted => Model::RaplWeighted,
        config::Model::PowerFactorVcores => Model::PowerFactorVcores,
        config::Model::Reservation => Model::Reservation,
        config::Model::EqualIdle => Model::EqualIdle,
    }
}
