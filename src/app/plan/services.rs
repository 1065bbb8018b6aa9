//! Services, from the configuration to the inventory.

use crate::config::{self, Config};
use crate::inventory::{Member, Service, Services};

/// The services of `config`.
pub(super) fn services(config: &Config) -> Services {
    let member = |member: &config::Member| Member {
        matches: member.matches.clone(),
        project_id: member.project_id.clone(),
        weight: member.weight,
    };
    let service = |service: &config::Service| Service {
        name: service.name.clone(),
        members: service.members.iter().map(member).collect(),
    };
    Services::new(config.services.iter().map(service).collect())
}
