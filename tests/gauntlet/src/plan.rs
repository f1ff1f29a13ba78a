//! Which faults, on whom, when and how long: all of it drawn from one seed before anything starts, so that the same seed
//! strikes the same blows whatever the machine's speed. Every kind comes up once before any comes up again.

use std::time::Duration;

use crate::cluster::{Harm, Victim};
use crate::gate::Way;
use crate::roles::Kind;
use crate::services::Service;

/// From one fault to the next.
const PAUSE_MS: std::ops::Range<u64> = 2_000..6_000;
/// Faults that may be planned at once.
const AT_ONCE_MAX: usize = 3;
/// After so many faults there is a time without any: a standstill can only be told from the next one if jobs flow between.
const FAULTS_IN_A_ROW: usize = 5;
const BREATHER: Duration = Duration::from_secs(5);
/// What a service takes until it answers again, as the plan sees it.
const RESTART: Duration = Duration::from_secs(7);
/// What the small run's rate may be changed to, jobs a minute.
const SMALL_PER_MINUTE: std::ops::Range<u64> = 600..12_000;
/// Before this nothing is struck: the roles have to be there, and a queue that RabbitMQ was told of a moment ago does not
/// survive a kill in 3.10 (infra/local/README.md).
pub const QUIET: Duration = Duration::from_secs(5);

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
    /// To so many jobs a minute.
    ChangeRate(u64),
    Pause,
    /// In a cluster.
    Node(Harm, Victim),
}

#[derive(Debug, Clone, PartialEq)]
pub struct Planned {
    pub at: Duration,
    /// How long it is kept up; the start of a service comes on top.
    pub lasts: Duration,
    pub blow: Blow,
}

impl Planned {
    fn over(&self) -> Duration {
        self.at + self.lasts + self.blow.restart()
    }
}

/// What a recovery time is counted under.
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

    /// What may not be under another fault meanwhile, in the order of their names.
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

/// Every fault of a gauntlet of this length, in order.
pub fn plan(rng: &mut fastrand::Rng, length: Duration) -> Vec<Planned> {
    let mut planned: Vec<Planned> = Vec::new();
    let mut at = QUIET;
    let mut deck: Vec<Blow> = Vec::new();
    let mut all_at_once_at = Some(length.mul_f64(0.45));
    while at < length {
        let active: Vec<&Planned> = planned.iter().filter(|planned| planned.over() > at).collect();
        let held: Vec<String> = active.iter().flat_map(|planned| planned.blow.holds()).collect();
        let is_free = |blow: &Blow| blow.holds().iter().all(|thing| !held.contains(thing));
        let is_due = all_at_once_at.is_some_and(|due| at >= due);
        let blow = if active.len() >= AT_ONCE_MAX {
            None
        } else if is_due {
            let blow = Some(Blow::CrashAll).filter(is_free);
            all_at_once_at = all_at_once_at.filter(|_| blow.is_none());
            blow
        } else {
            if deck.is_empty() {
                deck = full_deck(rng);
            }
            deck.iter().rposition(is_free).map(|position| deck.remove(position))
        };
        if let Some(blow) = blow {
            planned.push(Planned { at, lasts: lasts(rng, &blow), blow });
            if planned.len().is_multiple_of(FAULTS_IN_A_ROW) {
                let all_over = planned.iter().map(Planned::over).max().unwrap_or(at);
                at = all_over.max(at) + BREATHER;
                continue;
            }
        }
        at += if is_due && all_at_once_at.is_some() {
            Duration::from_millis(500)
        } else {
            Duration::from_millis(rng.u64(PAUSE_MS))
        };
    }
    planned
}

/// Each kind of fault once, with its victim, shuffled.
fn full_deck(rng: &mut fastrand::Rng) -> Vec<Blow> {
    let mut deck = vec![
        Blow::Freeze(Service::Redis),
        Blow::CloseChannels,
        Blow::MemoryAlarm,
        Blow::SinkRefuses(429),
        Blow::SinkRefuses(503),
        Blow::SinkRefusesSome(*rng.choice(&[429, 503]).expect("it is not empty")),
        Blow::MappingConflict,
        Blow::ChangeRate(rng.u64(SMALL_PER_MINUTE)),
        Blow::Pause,
    ];
    for kind in Kind::ALL {
        let one =
            |rng: &mut fastrand::Rng| rng.choice(kind.members().collect::<Vec<_>>()).expect("there are some of each");
        deck.push(Blow::KillRole(one(rng)));
        deck.push(Blow::FreezeRole(one(rng)));
    }
    for service in Service::ALL {
        deck.push(Blow::Crash(service));
        deck.push(Blow::Cut(service, whose(rng, service)));
        deck.push(Blow::Stall(service, whose(rng, service)));
        let way = if rng.bool() { Way::Up } else { Way::Down };
        deck.push(Blow::HalfOpen(service, whose(rng, service), way));
    }
    rng.shuffle(&mut deck);
    deck
}

/// Everybody's connections to the service, or one role's.
fn whose(rng: &mut fastrand::Rng, service: Service) -> Option<String> {
    if rng.u8(0..3) == 0 {
        return None;
    }
    let speakers = Kind::ALL.into_iter().filter(|kind| speaks(*kind, service));
    rng.choice(speakers.flat_map(Kind::members).collect::<Vec<_>>())
}

/// Whether a role has anything to do with a service.
pub fn speaks(kind: Kind, service: Service) -> bool {
    match (kind, service) {
        (_, Service::Redis) | (Kind::Worker, _) => true,
        (Kind::Scheduler, service) => service == Service::Elasticsearch,
        (Kind::Producer, service) => service == Service::RabbitMq,
    }
}

fn lasts(rng: &mut fastrand::Rng, blow: &Blow) -> Duration {
    let ms = match blow {
        Blow::KillRole(_) => rng.u64(200..3_000),
        Blow::FreezeRole(_) => rng.u64(3_000..25_000),
        Blow::Crash(_) | Blow::CrashAll => rng.u64(500..4_000),
        Blow::Freeze(_) => 10_000,
        // A cut alone, or one with a while without a network.
        Blow::Cut(..) => *rng.choice(&[0, 1_000, 3_000]).expect("it is not empty"),
        Blow::Stall(..) => rng.u64(2_000..12_000),
        // Longer than a heartbeat may take to notice.
        Blow::HalfOpen(..) => rng.u64(12_000..16_000),
        Blow::CloseChannels | Blow::MappingConflict | Blow::ChangeRate(_) => 0,
        Blow::MemoryAlarm => rng.u64(4_000..8_000),
        Blow::SinkRefuses(_) | Blow::SinkRefusesSome(_) => rng.u64(3_000..10_000),
        Blow::Pause => rng.u64(1_000..6_000),
        Blow::Node(..) => unreachable!("a node is in no plan of single services"),
    };
    Duration::from_millis(ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(seed: u64, seconds: u64) -> Vec<Planned> {
        plan(&mut fastrand::Rng::with_seed(seed), Duration::from_secs(seconds))
    }

    #[test]
    fn a_seed_says_everything_and_another_says_something_else() {
        assert_eq!(of(7, 600), of(7, 600));
        assert_ne!(of(7, 600), of(8, 600));
    }

    #[test]
    fn nothing_is_struck_twice_at_once_and_all_services_fall_together_once() {
        for seed in 0..50 {
            let planned = of(seed, 120);
            assert!(planned.len() >= 15, "seed {seed}: {}", planned.len());
            assert_eq!(planned.iter().filter(|planned| planned.blow == Blow::CrashAll).count(), 1, "seed {seed}");
            for (position, later) in planned.iter().enumerate() {
                let still = |earlier: &&Planned| earlier.over() > later.at;
                let held: Vec<_> = planned[..position].iter().filter(still).flat_map(|p| p.blow.holds()).collect();
                assert!(later.blow.holds().iter().all(|thing| !held.contains(thing)), "seed {seed}: {later:?}");
            }
        }
    }

    #[test]
    fn ten_minutes_have_every_kind_of_fault() {
        let names: std::collections::BTreeSet<_> = of(3, 600).iter().map(|planned| planned.blow.name()).collect();
        assert!(names.len() >= 14, "{names:?}");
    }
}
