//! `paceline worker --autoscale 1..8`: one process that starts and stops workers of this host, as many as the scheduler says the queues need.
//!
//! The supervisor asks every few seconds ([`ask`]). Workers that are missing start at once; surplus ones leave only after the scheduler has
//! asked for no more than the lower number all through a window. A worker that leaves takes no more jobs and finishes those that it holds. A
//! scheduler that is away, or does not know, changes nothing. Each worker is a process of its own ([`children`], [`process`]), with its own
//! core, admin port and fate.
//!
//! Here: the supervisor and its children. It may use the scheduler's API and core's scaling; it does no job and builds no role itself.

mod arguments;
mod ask;
mod children;
mod process;

use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use paceline_core::error::codes;
use paceline_core::policy::Policy;
use paceline_core::scaling::{DRAIN_SECONDS_DEFAULT, Stabiliser, WINDOW_MS_DEFAULT};
use paceline_core::{Error, Result};
use paceline_runtime::lifecycle::Shutdown;
use tokio::time::{Instant, MissedTickBehavior};

use crate::context::CommandContext;
use crate::exit::Exit;
use crate::flags;
use ask::Asker;
use children::{ChildExit, Children};

pub use arguments::WorkerBounds;

const ASK_INTERVAL: Duration = Duration::from_secs(2);
/// A worker that leaves may take so much longer than its longest handler: to store, count and acknowledge.
const FINISH_MARGIN: Duration = Duration::from_secs(5);

#[derive(Debug, Args)]
#[command(next_help_heading = "Autoscaling")]
pub struct Autoscale {
    /// Start and stop workers of this host, as many as the scheduler (--server) says the queues need
    #[arg(long, value_name = "MIN..MAX")]
    pub autoscale: Option<WorkerBounds>,
    /// Seconds within which a backlog is to be done
    #[arg(long, value_name = "SECONDS", default_value_t = DRAIN_SECONDS_DEFAULT, requires = "autoscale", value_parser = seconds)]
    pub drain_seconds: f64,
    /// Seconds for which fewer workers must have been enough before one leaves
    #[arg(long, value_name = "SECONDS", default_value_t = WINDOW_MS_DEFAULT as f64 / 1e3, requires = "autoscale", value_parser = seconds)]
    pub scale_in_after: f64,
}

fn seconds(text: &str) -> Result<f64, String> {
    flags::seconds(text, 1.0..=3600.0)
}

/// The settings that workers are started with, and how long a stop of all of them may take.
pub struct WorkerFleet {
    pub queues: Vec<(String, Policy)>,
    pub id: Option<String>,
    pub grace: Duration,
}

/// Keeps as many workers as are wanted, until `shutdown`; then stops every worker and waits for all. The error says that no worker can
/// start with these options and settings.
pub async fn supervise(
    autoscale: &Autoscale,
    range: WorkerBounds,
    workers: WorkerFleet,
    context: &CommandContext,
    shutdown: Shutdown,
) -> anyhow::Result<Exit> {
    let timeout = workers.queues.iter().map(|(_, policy)| policy.timeout()).max().unwrap_or_default();
    // A worker that leaves because there is less to do may finish whatever it has begun.
    let patience = workers.grace.max(timeout + FINISH_MARGIN);
    let mut children = Children::new(workers.id.clone(), range.max, patience)?;
    let queues = workers.queues.into_iter().map(|(queue, _)| queue).collect();
    let wanted = Wanted {
        asker: Asker::new(queues, autoscale.drain_seconds, &context.settings)?,
        stabiliser: Stabiliser::new((autoscale.scale_in_after * 1e3) as u64),
        begun: Instant::now(),
        range,
        target: range.min,
    };
    let outcome = follow(wanted, &mut children, &shutdown).await;
    children.stop_all(workers.grace).await;
    outcome.context("autoscaling ended")
}

/// The number of workers that there should be.
struct Wanted {
    asker: Asker,
    stabiliser: Stabiliser,
    begun: Instant,
    range: WorkerBounds,
    target: u32,
}

impl Wanted {
    /// Asks the scheduler anew. A number that is not known changes nothing.
    async fn ask(&mut self, children: &Children) {
        let wanted = self.asker.ask(&children.ids()).await;
        let now_ms = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let next = self.range.clamp(self.stabiliser.target(now_ms, self.target, wanted));
        if next != self.target {
            tracing::info!(before = self.target, next, wanted, "the number of workers changes");
        }
        self.target = next;
    }
}

async fn follow(mut wanted: Wanted, children: &mut Children, shutdown: &Shutdown) -> anyhow::Result<Exit> {
    let mut ask = tokio::time::interval(ASK_INTERVAL);
    ask.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        children.fill(wanted.target);
        let start_at = children.start_at();
        tokio::select! {
            biased;
            () = shutdown.triggered() => return Ok(Exit::Done),
            ended = children.ended() => if let ChildExit::ForGood(code) = ended {
                return Err(cannot_start(code).into());
            },
            () = until(start_at) => (),
            _ = ask.tick() => if shutdown.or(wanted.ask(children)).await.is_none() {
                return Ok(Exit::Done);
            },
        }
    }
}

fn cannot_start(code: i32) -> Error {
    let words = format!("cannot start with these options and settings (exit code {code}); its words are above");
    Error::invalid_field("worker", words).coded(codes::WORKER_CANNOT_START)
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
