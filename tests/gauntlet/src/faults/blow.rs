//! The faults that there are: whom each strikes, its name, and the class under which its recovery is counted. A leaf of plans and strikes.

use std::time::Duration;

use super::victim::{Harm, Victim};
use crate::world::gate::Way;
use crate::world::services::Service;

/// The time that a service takes until it answers again, as a plan sees it.
const RESTART: Duration = Duration::from_secs(7);

/// One fault and its victim.
#[derive(Debug, Clone, PartialEq)]
pub enum Blow {
    KillRole(String),
    FreezeRole(String),
    /// SIGKILL, and the start after some time.
    Crash(Service),
    CrashAll,
    Freeze(Service),
    /// Every connection is reset, and new ones are refused while it lasts. `None`: of all roles.
    Cut(Service, Option<String>),
    Stall(Service, Option<String>),
    HalfOpen(Service, Option<String>, Way),
    CloseChannels,
    MemoryAlarm,
    SinkRefuses(u16),
    SinkRefusesSome(u16),
    MappingConflict,
    /// The small run gets so many jobs a minute.
    ChangeRate(u64),
    Pause,
    /// A node of a cluster is struck.
    Node(Harm, Victim),
}

/// A fault with its time.
#[derive(Debug, Clone, PartialEq)]
pub struct Planned {
    pub at: Duration,
    /// The time for which it is kept up; the start of a service comes on top.
    pub lasts: Duration,
    pub blow: Blow,
}

impl Planned {
    /// The end of the fault, as the plan sees it.
    pub fn over(&self) -> Duration {
        self.at + self.lasts + self.blow.restart()
    }
}

/// The class under which a recovery time is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    Roles,
    RabbitMq,
    Redis,
    Elasticsearch,
    Network,
    Calls,
}

impl Class {
    pub fn name(self) -> &'static str {
        match self {
            Self::Roles => "roles",
            Self::RabbitMq => "rabbitmq",
            Self::Redis => "redis",
            Self::Elasticsearch => "elasticsearch",
            Self::Network => "network",
            Self::Calls => "calls",
        }
    }

    fn of(service: Service) -> Self {
        match service {
            Service::RabbitMq => Self::RabbitMq,
            Service::Redis => Self::Redis,
            Service::Elasticsearch => Self::Elasticsearch,
        }
    }
}

impl Blow {
    pub fn class(&self) -> Class {
        match self {
            Self::KillRole(_) | Self::FreezeRole(_) => Class::Roles,
            Self::Crash(service) | Self::Freeze(service) => Class::of(*service),
            Self::Cut(..) | Self::Stall(..) | Self::HalfOpen(..) => Class::Network,
            Self::CloseChannels | Self::MemoryAlarm => Class::RabbitMq,
            // The slowest of the three to come back.
            Self::CrashAll | Self::SinkRefuses(_) | Self::SinkRefusesSome(_) => Class::Elasticsearch,
            Self::MappingConflict | Self::ChangeRate(_) | Self::Pause => Class::Calls,
            Self::Node(_, victim) => Class::of(victim.service()),
        }
    }

    /// The service whose node is struck.
    pub fn node_of(&self) -> Option<Service> {
        match self {
            Self::Node(_, victim) => Some(victim.service()),
            _ => None,
        }
    }

    pub fn name(&self) -> String {
        match self {
            Self::KillRole(_) => "kill and restart".into(),
            Self::FreezeRole(_) | Self::Freeze(_) => "freeze and wake".into(),
            Self::Crash(_) | Self::CrashAll => "crash and restart".into(),
            Self::Cut(..) => "cut TCP".into(),
            Self::Stall(..) => "stalled TCP".into(),
            Self::HalfOpen(_, _, Way::Up) => "half-open TCP, up".into(),
            Self::HalfOpen(_, _, Way::Down) => "half-open TCP, down".into(),
            Self::CloseChannels => "close all channels".into(),
            Self::MemoryAlarm => "memory alarm".into(),
            Self::SinkRefuses(status) => format!("answer {status}"),
            Self::SinkRefusesSome(status) => format!("{status} for 20 % of items"),
            Self::MappingConflict => "mapping conflict".into(),
            Self::ChangeRate(_) => "rate change".into(),
            Self::Pause => "pause and resume".into(),
            Self::Node(harm, _) => harm.name().into(),
        }
    }

    pub fn target(&self) -> String {
        match self {
            Self::KillRole(role) | Self::FreezeRole(role) => role.clone(),
            Self::Crash(service) | Self::Freeze(service) => service.name().into(),
            Self::CrashAll => "all services".into(),
            Self::Cut(service, whose) | Self::Stall(service, whose) | Self::HalfOpen(service, whose, _) => {
                format!("{} ↔ {}", whose.as_deref().unwrap_or("all roles"), service.name())
            }
            Self::CloseChannels | Self::MemoryAlarm => "rabbitmq".into(),
            Self::SinkRefuses(_) | Self::SinkRefusesSome(_) => "elasticsearch".into(),
            Self::MappingConflict => "a run of its own".into(),
            Self::ChangeRate(_) | Self::Pause => "the small run".into(),
            Self::Node(_, victim) => victim.name(),
        }
    }

    /// The things that may not be under another fault meanwhile, in the order of their names.
    pub fn holds(&self) -> Vec<String> {
        match self {
            Self::KillRole(role) | Self::FreezeRole(role) => vec![role.clone()],
            Self::CrashAll => Service::ALL.iter().map(|service| service.name().to_owned()).collect(),
            Self::Crash(service) | Self::Freeze(service) => vec![service.name().to_owned()],
            Self::Cut(service, whose) | Self::Stall(service, whose) | Self::HalfOpen(service, whose, _) => {
                [Some(service.name().to_owned()), whose.clone()].into_iter().flatten().collect()
            }
            Self::CloseChannels | Self::MemoryAlarm => vec![Service::RabbitMq.name().to_owned()],
            Self::SinkRefuses(_) | Self::SinkRefusesSome(_) => vec![Service::Elasticsearch.name().to_owned()],
            Self::MappingConflict | Self::ChangeRate(_) | Self::Pause => vec!["calls".to_owned()],
            Self::Node(_, victim) => vec![victim.service().name().to_owned()],
        }
    }

    fn restart(&self) -> Duration {
        if matches!(self, Self::Crash(_) | Self::CrashAll) { RESTART } else { Duration::ZERO }
    }
}
