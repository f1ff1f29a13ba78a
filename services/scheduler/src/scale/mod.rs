//! The number of workers that a queue needs: takes the readings, lets [`paceline_core::scaling`] do the arithmetic. Asked by [`service`], for
//! `paceline scale explain` and `paceline worker --autoscale`, and by [`keda`].
//!
//! Nothing is kept between two questions, so any scheduler gives the same answer. A reading that fails is the answer's failure: what is
//! not known is not zero (L8).

pub mod keda;
pub mod service;

use std::time::Duration;

use futures::future::join3;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use paceline_core::error::Violations;
use paceline_core::error::codes;
use paceline_core::ids::{self, DEFAULT_QUEUE, RunId};
use paceline_core::ports::broker::Depth;
use paceline_core::run::Snapshot;
use paceline_core::scaling::{Aim, Decision, Feed, Readings, Worker, decide};
use paceline_core::{Error, Result};
use tokio::time::Instant;

use crate::context::Context;
use crate::validate::Rules;

/// A caller gives up soon after that, and should hear why.
const READ_TIMEOUT: Duration = Duration::from_secs(3);
/// Runs that are read at once.
const RUN_READS_MAX: usize = 16;

/// A question: of which queue, for which group, with which aim.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    pub queue: String,
    pub group: String,
    pub aim: Aim,
}

impl Question {
    /// With defaults for an empty queue and group, or every mistake at once. `field` is how the caller calls a field.
    pub fn new(
        (queue, group, aim): (&str, &str, Aim),
        (rules, default_group): (&Rules, &str),
        field: impl Fn(&'static str) -> String,
    ) -> Result<Self> {
        let mut violations = Violations::default();
        let queue = if queue.is_empty() { DEFAULT_QUEUE } else { queue };
        if !rules.queues.iter().any(|known| known == queue) {
            let known = rules.queues.join(", ");
            violations.add_coded(
                codes::QUEUE_UNKNOWN,
                field("queue"),
                format!("{queue:?} is not configured; there are: {known}"),
            );
        }
        let group = if group.is_empty() { default_group } else { group };
        if let Err(error) = ids::check_group("group", group) {
            error
                .fields
                .into_iter()
                .for_each(|wrong| violations.add_coded(codes::NAME_INVALID, field("group"), wrong.description));
        }
        aim.check(&mut violations, field);
        violations.check()?;
        Ok(Self { queue: queue.into(), group: group.into(), aim })
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

    async fn read(&self, context: &Context) -> Result<Readings> {
        let (depth, runs, workers) =
            join3(self.depth(context), self.runs(context), context.ports.ledger.workers.alive()).await;
        let (depth, read_at) = depth.map_err(|error| unknown("the length of the queue", error))?;
        let (runs, workers) = (
            runs.map_err(|error| unknown("what its runs do", error))?,
            workers.map_err(|error| unknown("which workers there are", error))?,
        );
        let now_ms = context.ports.clock.wall_ms();
        let worker = |info| Worker::of(info, &self.queue, &self.group);
        Ok(Readings {
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

/// A failure to read is `Unavailable` whatever it was: nothing about the question is wrong.
fn unknown(what: &str, error: Error) -> Error {
    Error::unavailable(format!("{what} is not known: {error}")).coded(codes::DEMAND_UNKNOWN)
}
