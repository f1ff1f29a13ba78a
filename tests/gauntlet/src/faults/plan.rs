//! The plan: the faults, their victims, times and lengths, all of it drawn from one seed before anything starts, so that the same seed
//! strikes the same blows whatever the machine's speed. Every kind comes up once before any comes up again.

use std::time::Duration;

use super::blow::{Blow, Planned};
use crate::world::gate::Way;
use crate::world::roles::Kind;
use crate::world::services::Service;

/// From one fault to the next.
const PAUSE_MS: std::ops::Range<u64> = 2_000..6_000;
/// Faults that may be planned at once.
const AT_ONCE_MAX: usize = 3;
/// After so many faults there is a time without any: a standstill can only be told from the next one if jobs flow between.
const FAULTS_IN_A_ROW: usize = 5;
const BREATHER: Duration = Duration::from_secs(5);
/// All services fall together once, after this share of the time. While not all of them are free, it is tried again so much later.
const ALL_AT_ONCE_SHARE: f64 = 0.45;
const ALL_AT_ONCE_RETRY: Duration = Duration::from_millis(500);
/// Rates to which the small run may be changed, jobs a minute.
const SMALL_PER_MINUTE: std::ops::Range<u64> = 600..12_000;
/// Before this nothing is struck: the roles have to be there, and a queue that RabbitMQ was told of a moment ago does not
/// survive a kill in 3.10 (infra/local/README.md).
pub const QUIET: Duration = Duration::from_secs(5);

/// Every fault of a gauntlet of this length, in order.
pub fn plan(rng: &mut fastrand::Rng, length: Duration) -> Vec<Planned> {
    let mut planned: Vec<Planned> = Vec::new();
    let mut at = QUIET;
    let mut draw = Draw { deck: Vec::new(), all_at_once_at: Some(length.mul_f64(ALL_AT_ONCE_SHARE)) };
    while at < length {
        let is_due = draw.all_at_once_at.is_some_and(|due| at >= due);
        if let Some(blow) = draw.next(rng, &planned, at) {
            planned.push(Planned { at, lasts: lasts(rng, &blow), blow });
            if planned.len().is_multiple_of(FAULTS_IN_A_ROW) {
                let all_over = planned.iter().map(Planned::over).max().unwrap_or(at);
                at = all_over.max(at) + BREATHER;
                continue;
            }
        }
        at += if is_due && draw.all_at_once_at.is_some() {
            ALL_AT_ONCE_RETRY
        } else {
            Duration::from_millis(rng.u64(PAUSE_MS))
        };
    }
    planned
}

/// The faults that are left to draw.
struct Draw {
    /// The rest of the deck: each kind comes up once before any comes up again.
    deck: Vec<Blow>,
    /// From then on all services fall together, as soon as all are free; `None`: they have.
    all_at_once_at: Option<Duration>,
}

impl Draw {
    /// The fault of this moment; `None`: as many as may be are under way, or nothing that is left to strike is free.
    fn next(&mut self, rng: &mut fastrand::Rng, planned: &[Planned], at: Duration) -> Option<Blow> {
        let active: Vec<&Planned> = planned.iter().filter(|planned| planned.over() > at).collect();
        let held: Vec<String> = active.iter().flat_map(|planned| planned.blow.holds()).collect();
        let is_free = |blow: &Blow| blow.holds().iter().all(|thing| !held.contains(thing));
        if active.len() >= AT_ONCE_MAX {
            return None;
        }
        if self.all_at_once_at.is_some_and(|due| at >= due) {
            let blow = Some(Blow::CrashAll).filter(is_free);
            self.all_at_once_at = self.all_at_once_at.filter(|_| blow.is_none());
            return blow;
        }
        if self.deck.is_empty() {
            self.deck = full_deck(rng);
        }
        self.deck.iter().rposition(is_free).map(|position| self.deck.remove(position))
    }
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
    let speakers = Kind::ALL.into_iter().filter(|kind| kind.speaks_to(service));
    rng.choice(speakers.flat_map(Kind::members).collect::<Vec<_>>())
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
