//! One way through the gauntlet: runs are started, the plan is carried out, all is made well again, runs drain, and the outcome
//! is proved and reported.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Context as _;
use paceline_proto::v1::StartRunRequest;
use tokio::task::JoinSet;

use crate::faults::blow::Planned;
use crate::faults::plan::plan;
use crate::faults::{Struck, strike};
use crate::proof;
use crate::recovery::progress;
use crate::report::Report;
use crate::sampler;
use crate::world::api::Change;
use crate::world::place::{Place, say};
use crate::world::refusals::Refusals;
use crate::world::{Watched, World};

/// The small run's first rate, jobs a minute: 50 a second.
const SMALL_PER_MINUTE: u64 = 3_000;
/// The jobs that the small run has left when its total is set.
const SMALL_LAST_JOBS: u64 = 200;
/// The time for which everything is well before the runs are ended, so that the last fault has a recovery too.
const CALM: Duration = Duration::from_secs(5);
const NEWS_INTERVAL: Duration = Duration::from_secs(10);

#[derive(Debug, Clone)]
pub struct Course {
    pub seed: u64,
    pub length: Duration,
    /// The rate of the big run.
    pub jobs_per_second: u64,
    /// Faults that are left out, by a part of their names or targets; the others stay as the seed has them.
    pub without: Vec<String>,
}

pub async fn run(course: Course, place: Place) -> anyhow::Result<Report> {
    let mut rng = fastrand::Rng::with_seed(course.seed);
    let mut planned = plan(&mut rng, course.length);
    planned.retain(|planned| {
        let about = format!("{}: {}", planned.blow.name(), planned.blow.target());
        !course.without.iter().any(|text| about.contains(text))
    });
    let world = Arc::new(World::build(place, &mut rng).await?);
    let _background = background(&world);

    let big = world.start_run("big", steady(course.jobs_per_second * 60)).await?;
    let small = world.start_run("small", steady(SMALL_PER_MINUTE)).await?;
    let struck = carry_out(&world, planned, &small).await?;

    tokio::time::sleep(CALM).await;
    end_runs(&world, &big, &small).await?;
    let lasted = world.now();
    finish(&world, "gauntlet", course.seed, lasted, struck, &big).await
}

/// The sampler and its like; they end when this is dropped.
pub fn background(world: &Arc<World>) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    tasks.spawn(sampler::sample(world.clone()));
    tasks.spawn(sampler::look_after_roles(world.clone()));
    tasks.spawn(tell_news(world.clone()));
    tasks
}

pub fn steady(jobs_per_minute: u64) -> StartRunRequest {
    StartRunRequest { jobs: jobs_per_minute, per_minutes: 1.0, ..Default::default() }
}

/// Strikes every fault at its time; returns when all are over.
async fn carry_out(world: &Arc<World>, planned: Vec<Planned>, small: &Arc<Watched>) -> anyhow::Result<Vec<Struck>> {
    let began = world.now();
    let mut striking = JoinSet::new();
    let mut struck = Vec::new();
    for (planned, number) in planned.into_iter().zip(1..) {
        world.sleep_until(began + planned.at).await;
        striking.spawn(strike(world.clone(), number, planned, small.clone()));
        while let Some(done) = striking.try_join_next() {
            struck.push(done.context("a fault ended badly")??);
        }
    }
    while let Some(done) = striking.join_next().await {
        struck.push(done.context("a fault ended badly")??);
    }
    struck.sort_by_key(|struck: &Struck| struck.number);
    Ok(struck)
}

/// The small run gets a total, which it must meet to the job; the big one is stopped and drains.
pub async fn end_runs(world: &World, big: &Watched, small: &Watched) -> anyhow::Result<()> {
    let total = small.watch().last().enqueued + SMALL_LAST_JOBS;
    let total = world.api.change(&small.id, &Change::Total(total)).await?.total.unwrap_or_default();
    world.api.change(&big.id, &Change::Stop).await?;
    let left = proof::drain(world).await;
    say(&format!("{:7.2} s  drained, but for {left:?}", world.now().as_secs_f64()));
    let enqueued = small.watch().last().enqueued;
    if left.is_empty() && enqueued != total {
        world.violation(format!("run small: enqueued {enqueued} jobs of a total of {total}"));
    }
    Ok(())
}

/// Proves every run and reports.
pub async fn finish(
    world: &World,
    name: &str,
    seed: u64,
    lasted: Duration,
    struck: Vec<Struck>,
    big: &Watched,
) -> anyhow::Result<Report> {
    let proofs = proof::prove_all(world).await?;
    let processed = progress(&big.watch().readings, |reading| reading.processed + reading.dead);
    let runs = world.runs();
    let enqueued = runs.iter().filter(|run| !run.is_refused);
    let enqueued = enqueued.map(|run| progress(&run.watch().readings, |reading| reading.enqueued)).collect();
    let overshoot = runs.iter().map(|run| (run.name.clone(), run.watch().overshoot_max)).collect();
    Ok(Report {
        name: name.to_owned(),
        seed,
        lasted,
        struck,
        processed,
        enqueued,
        proofs,
        violations: world.violations(),
        snapshots: world.snapshots.load(Ordering::Relaxed),
        reads_failed: world.reads_failed.load(Ordering::Relaxed),
        refused: world.refusals().map_or(0, Refusals::refused),
        elections: Vec::new(),
        overshoot,
        memory_max_mb: world.memory_max_mb.lock().expect("nobody panics with it").clone(),
    })
}

/// Says now and then how far the runs are, for whoever looks on. Never returns.
async fn tell_news(world: Arc<World>) {
    let mut ticks = tokio::time::interval(NEWS_INTERVAL);
    loop {
        ticks.tick().await;
        for run in world.runs() {
            let last = run.watch().last().clone();
            if !last.has_ended() {
                say(&format!(
                    "{:7.2} s  {}: enqueued {}, processed {}, dead {}, duplicates {}",
                    world.now().as_secs_f64(),
                    run.name,
                    last.enqueued,
                    last.processed,
                    last.dead,
                    last.duplicates
                ));
            }
        }
    }
}
