//! The plan that a seed draws.

use fastrand::Rng;
use paceline_core::pacing::CatchUp;
use paceline_core::seam::Seam;

use super::{Ask, Fault, PRODUCERS, Plan, RunPlan, SCHEDULERS};
use crate::process::{Place, Role};
use crate::storm::{Service, Trouble};

impl Plan {
    /// One seed in eight is calm: no faults, so the pace has to be exact.
    pub fn draw(random: &mut Rng) -> Self {
        let is_calm = random.u8(0..8) == 0;
        let workers = random.usize(2..=3);
        let calm_from_ms = random.u64(5_000..20_000);
        let runs = (0..random.usize(1..=3)).map(|_| RunPlan::draw(random, calm_from_ms, is_calm)).collect();
        let count = if is_calm { 0 } else { random.usize(3..16) };
        let mut faults: Vec<(u64, Fault)> =
            (0..count).map(|_| (random.u64(200..calm_from_ms), Fault::draw(random, workers))).collect();
        if !is_calm {
            faults.extend(losses(random, calm_from_ms));
        }
        faults.sort_by_key(|(at_ms, _)| *at_ms);
        Self {
            workers,
            runs,
            faults,
            calm_from_ms,
            latency_max_us: if is_calm { 2_000 } else { random.choice([2_000, 5_000, 20_000]).unwrap_or(2_000) },
            rejected_of_97: if random.u8(0..4) == 0 { 3 } else { 0 },
            has_late_effects: random.u8(0..4) == 0,
            keeps_names: random.bool(),
            prefetch: random.choice([1, 3, 10]).unwrap_or(10),
            consumers: random.usize(1..=2),
            batch_max: random.choice([2, 10, 100]).unwrap_or(100),
            high_water: if is_calm { 1_000_000 } else { random.choice([10, 50, 1_000_000]).unwrap_or(1_000_000) },
            tells_unacked: random.bool(),
        }
    }
}

impl RunPlan {
    fn draw(random: &mut Rng, until_ms: u64, is_calm: bool) -> Self {
        let start_ms = random.u64(0..until_ms / 2);
        let (jobs, per_minutes) = rate(random);
        let mut asks: Vec<(u64, Ask)> = Vec::new();
        if !is_calm || random.bool() {
            for _ in 0..random.usize(0..5) {
                asks.push((random.u64(start_ms..until_ms), Ask::draw(random)));
            }
        }
        asks.sort_by_key(|(at_ms, _)| *at_ms);
        Self {
            start_ms,
            jobs,
            per_minutes,
            total: (random.u8(0..3) > 0).then(|| random.u64(1..150)),
            catch_up: if random.u8(0..3) == 0 { CatchUp::Skip } else { CatchUp::All },
            asks,
        }
    }
}

/// From one job in two seconds to forty a second.
fn rate(random: &mut Rng) -> (u64, f64) {
    match random.u8(0..4) {
        0 => (random.u64(30..200), 1.0),
        1 => (random.u64(1..50), 0.1),
        _ => (random.u64(5..40), 1.0 / 60.0),
    }
}

impl Ask {
    fn draw(random: &mut Rng) -> Self {
        match random.u8(0..10) {
            0..=3 => {
                let (jobs, per_minutes) = rate(random);
                Self::Rate { jobs, per_minutes }
            }
            4 => Self::Total(Some(random.u64(20..250))),
            5 | 6 => Self::Pause,
            7 | 8 => Self::Resume,
            _ if random.u8(0..3) == 0 => Self::Stop,
            _ => Self::Resume,
        }
    }
}

impl Fault {
    fn draw(random: &mut Rng, workers: usize) -> Self {
        let place = place(random, workers);
        let ms = random.u64(200..6_000);
        match random.u8(0..20) {
            0..=2 => Self::Crash(place),
            3..=5 => Self::CrashAtCall { place, calls: random.u32(0..30), is_after_effect: random.bool() },
            6 => {
                let seam = random.choice(Seam::ALL).unwrap_or(Seam::BeforeSink);
                let place = Place { role: Role::Worker, index: random.usize(0..workers) };
                Self::CrashAtSeam { place, seam, passes: random.u32(0..8) }
            }
            7 => Self::Restart(place),
            8..=9 => Self::Stall { place, ms },
            10 => Self::ClockStep { place, by_ms: random.i64(-20_000..20_000) },
            11 => Self::ConsumersLost((random.u8(0..3) > 0).then_some(place)),
            _ => Self::Trouble { trouble: trouble(random, place), ms },
        }
    }
}

/// One seed in four loses a queue, one in four a part of the ledger's memory, some both or twice.
fn losses(random: &mut Rng, until_ms: u64) -> Vec<(u64, Fault)> {
    let mut losses = Vec::new();
    for _ in 0..2 {
        if random.u8(0..8) == 0 {
            losses.push((random.u64(1_000..until_ms), Fault::QueueLost { are_made_again: random.bool() }));
        }
        if random.u8(0..8) == 0 {
            let by_ms = random.choice([600, 2_000, 6_000]).unwrap_or(600);
            losses.push((random.u64(1_000..until_ms), Fault::LedgerRewound { by_ms: random.u64(250..by_ms) }));
        }
    }
    losses
}

fn place(random: &mut Rng, workers: usize) -> Place {
    match random.u8(0..3) {
        0 => Place { role: Role::Scheduler, index: random.usize(0..SCHEDULERS) },
        1 => Place { role: Role::Producer, index: random.usize(0..PRODUCERS) },
        _ => Place { role: Role::Worker, index: random.usize(0..workers) },
    }
}

fn trouble(random: &mut Rng, place: Place) -> Trouble {
    let service = service(random, place.role);
    match random.u8(0..13) {
        0..=2 => Trouble::Partition { place, service },
        3 => Trouble::Down { service },
        4..=6 => {
            let role = random.bool().then_some(place.role);
            Trouble::Flaky { role, service, percent: random.u32(5..60) }
        }
        7 | 8 => Trouble::Slow { service, max_ms: random.u64(20..1_500) },
        9 => Trouble::SinkOverloaded { retry_percent: random.u32(0..60), error_percent: random.u32(0..60) },
        11 => Trouble::Unwelcome { service },
        10 => Trouble::BrokerOverloaded { refuse_percent: random.u32(0..30), error_percent: random.u32(0..60) },
        _ => Trouble::Reordering,
    }
}

/// One that the role calls.
fn service(random: &mut Rng, role: Role) -> Service {
    match (role, random.u8(0..3)) {
        (Role::Scheduler, 0) => Service::Producer(random.usize(0..PRODUCERS)),
        (Role::Worker, 0) => Service::Sink,
        (Role::Producer | Role::Worker, 1) => Service::Broker,
        _ => Service::Ledger,
    }
}
