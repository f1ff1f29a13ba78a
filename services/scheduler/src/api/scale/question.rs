//! A question for the number of workers that a queue needs: takes the readings, and lets [`paceline_core::scaling`] do the arithmetic.
//!
//! Nothing is kept between two questions, so any scheduler gives the same answer. A reading that fails is the answer's failure: unknown is
//! not zero (L8).

use std::time::Duration;

use futures::future::join3;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use paceline_core::error::Violations;
use paceline_core::error::codes;
use paceline_core::ids::{self, DEFAULT_QUEUE, RunId};
use paceline_core::ports::broker::Depth;
use paceline_core::run::Snapshot;
use paceline_core::scaling::{Aim, Decision, Feed, ScaleReadings, WorkerReading, decide};
use paceline_core::{Error, Result};
use tokio::time::Instant;

use crate::context::{Config, Context};

/// A caller gives up soon after that, and should hear why.
const READ_TIMEOUT: Duration = Duration::from_secs(3);
/// Runs that are read at once.
const RUN_READS_MAX: usize = 16;

#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    pub queue: String,
    pub group: String,
    pub aim: Aim,
}

impl Question {
    /// This question with defaults for an empty queue and group, or every mistake at once. `field` is the caller's name of a field.
    pub fn checked(mut self, config: &Config, field: impl Fn(&'static str) -> String) -> Result<Self> {
        let mut violations = Violations::default();
        let queues = &config.rules.queues;
        if self.queue.is_empty() {
            self.queue = DEFAULT_QUEUE.to_owned();
        }
        if !queues.contains(&self.queue) {
            let wrong = format!("{:?} is not configured; there are: {}", self.queue, queues.join(", "));
            violations.add_coded(codes::QUEUE_UNKNOWN, field("queue"), wrong);
        }
        if self.group.is_empty() {
            self.group.clone_from(&config.group);
        }
        if let Err(error) = ids::check_group("group", &self.group) {
            error
                .fields
                .into_iter()
                .for_each(|wrong| violations.add_coded(codes::NAME_INVALID, field("group"), wrong.description));
        }
        self.aim.check(&mut violations, field);
        violations.check()?;
        Ok(self)
    }

    /// Reads everything anew and decides.
    pub async fn answer(&self, context: &Context) -> Result<Decision> {
        let readings = tokio::time::timeout(READ_TIMEOUT, self.read(context)).await.map_err(|_| {
            let (queue, seconds) = (&self.queue, READ_TIMEOUT.as_secs());
            Error::unavailable(format!("queue {queue}, its runs and its workers could not be read within {seconds} s"))
                .coded(codes::DEMAND_UNKNOWN)
        })?;
        decide(self.aim, readings?)
    }

    async fn read(&self, context: &Context) -> Result<ScaleReadings> {
        let (depth, runs, workers) =
            join3(self.depth(context), self.runs(context), context.ports.ledger.workers.alive()).await;
        let (depth, read_at) = depth.map_err(|error| unknown("the depth of the queue", error))?;
        let runs = runs.map_err(|error| unknown("the state of its runs", error))?;
        let workers = workers.map_err(|error| unknown("the list of its workers", error))?;
        let now_ms = context.ports.clock.wall_ms();
        let worker = |info| WorkerReading::of(info, &self.queue, &self.group);
        Ok(ScaleReadings {
            depth,
            depth_age_ms: u64::try_from(read_at.elapsed().as_millis()).unwrap_or(u64::MAX),
            feeds: runs.iter().map(|run| Feed::of(run, now_ms)).collect(),
            workers: workers.iter().filter_map(worker).collect(),
        })
    }

    async fn depth(&self, context: &Context) -> Result<(Depth, Instant)> {
        let depth = context.ports.producers.depth_of(&self.queue, &self.group).await?;
        Ok((depth, Instant::now()))
    }

    /// The runs that have not ended and put jobs into the queue for the group.
    async fn runs(&self, context: &Context) -> Result<Vec<Snapshot>> {
        let active = context.ports.ledger.runs.active().await?;
        let mut reads = Vec::with_capacity(active.len());
        for run in &active {
            reads.push(self.run(context, run));
        }
        let runs: Vec<_> = stream::iter(reads).buffered(RUN_READS_MAX).try_collect().await?;
        Ok(runs.into_iter().flatten().collect())
    }

    async fn run(&self, context: &Context, run: &RunId) -> Result<Option<Snapshot>> {
        let snapshot = context.ports.ledger.counts.snapshot(run, &self.group).await?;
        Ok(snapshot.filter(|snapshot| {
            let spec = &snapshot.record.spec;
            spec.queue == self.queue && spec.groups.contains(&self.group) && !snapshot.record.state.is_terminal()
        }))
    }
}

/// A failure to read is `Unavailable`, whatever its kind was: nothing about the question is wrong.
fn unknown(what: &str, error: Error) -> Error {
    Error::unavailable(format!("{what} is not known: {error}")).coded(codes::DEMAND_UNKNOWN)
}
