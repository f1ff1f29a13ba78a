//! The worker role: consume → handle → sink → ledger → ack, any number of them at once.
//!
//! [`intake`] reads deliveries from N consumers and starts [`execute`] on each; what has ended goes through one bounded
//! channel to [`flush`], which shares one bulk request and one ledger script among what is there, then settles.
//! [`registry`] announces the worker and its numbers, [`load`] how full its hands are, [`health`] whether it can
//! work, and [`stall`] that it was stopped for a while. A stop takes no more, finishes what is held, gives the rest back.

mod endings;
mod execute;
mod flush;
pub mod handlers;
mod health;
mod intake;
mod load;
mod measured;
mod publishes;
mod registry;
mod stall;
mod stats;
#[cfg(test)]
mod stubs;
mod way;
mod window;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use paceline_core::clock::SharedClock;
use paceline_core::error::Violations;
use paceline_core::policy::Policy;
use paceline_core::ports::{Broker, Ledger, Sink};
use paceline_core::seam::Faults;
use paceline_core::{Error, Result};
use paceline_runtime::lifecycle::Shutdown;
use paceline_runtime::readiness::Readiness;
use paceline_runtime::telemetry::metrics::Metrics;
use paceline_runtime::telemetry::traces::Traces;
use tokio::sync::mpsc;

use health::Health;
use intake::Intake;
use measured::Measured;
use way::Scribe;

pub use handlers::{Context as JobContext, Handler, Handlers};

/// Jobs that the consumers of a worker hold together, unless told otherwise: enough for full batches, little to give back.
const HELD_DEFAULT: usize = 1_280;
/// Consumers of all queues of a worker together, unless told otherwise.
const CONSUMERS_DEFAULT_MAX: usize = 1_024;
/// The most documents in one bulk request.
pub const BATCH_MAX_DEFAULT: usize = 1_000;
/// How long a stop may take to finish what is held.
pub const GRACE_DEFAULT: Duration = Duration::from_secs(20);

/// Consumers a queue, each on a channel of its own with its own prefetch. For one queue: 128 at a prefetch of 10, 4 at one of 1000;
/// both are measured (`docs/performance.md`). Many queues share the channels of a connection, of which RabbitMQ gives 2,047.
pub fn consumers_default(prefetch: u16, queues: usize) -> usize {
    let most = (CONSUMERS_DEFAULT_MAX / queues.max(1)).clamp(4, 128);
    (HELD_DEFAULT / usize::from(prefetch.max(1))).clamp(4, most)
}

/// What a worker works with.
#[derive(Clone)]
pub struct Config {
    pub id: String,
    /// Of its software, for people.
    pub version: &'static str,
    pub group: String,
    /// The queues to consume, each with its policy.
    pub queues: BTreeMap<String, Policy>,
    /// Consumers a queue.
    pub consumers: usize,
    pub prefetch: u16,
    pub batch_max: usize,
    pub grace: Duration,
    pub broker: Arc<dyn Broker>,
    pub sink: Arc<dyn Sink>,
    pub ledger: Arc<dyn Ledger>,
    pub handlers: Handlers,
    pub clock: SharedClock,
    pub faults: Arc<dyn Faults>,
    /// What is recorded of the jobs' way.
    pub traces: Traces,
    /// What is measured of this worker.
    pub metrics: Metrics,
}

impl Config {
    fn scribe(&self) -> Scribe<'_> {
        Scribe { traces: &self.traces, worker: &self.id, group: &self.group }
    }
}

/// Works until `shutdown`, then finishes what it holds within the grace. Services that are away are waited for, and
/// `readiness` says which.
pub async fn run(config: Config, readiness: Readiness, shutdown: Shutdown) -> Result<()> {
    check(&config)?;
    config.metrics.show_role(&readiness);
    let stats = Arc::new(stats::Stats::new(Measured::new(&config.metrics, config.queues.keys())));
    let health = Health::new(readiness, &config, &stats);
    prepare(&config, &health, &shutdown).await;
    let config = Arc::new(config);
    // Bounded by what the broker hands out: every entry is an unsettled delivery.
    let (ended, ended_queue) = mpsc::channel(usize::from(config.prefetch) * config.consumers * config.queues.len());
    let (crashed, settled) = (Shutdown::new(), Shutdown::new());
    let announcing =
        registry::announce(config.clone(), stats.clone(), health.clone(), (shutdown.clone(), settled.clone()));
    let endings = Arc::default();
    let intake = Intake { config: config.clone(), stats: stats.clone(), health: health.clone(), endings, ended };
    let consuming = intake::consume(intake, shutdown.clone(), crashed.clone());
    let flushing = flush::Flusher::new(config.clone(), stats.clone(), health.clone(), crashed.clone()).run(ended_queue);
    let watching = settled.or(health.watch(&config, &stats, &shutdown));
    // The flusher's channel closes when the last consumer has ended, so it ends after everything is settled.
    let working = async {
        tokio::select! {
            // Work that is done by the end of the grace is done.
            biased;
            ((), ()) = async { tokio::join!(consuming, flushing) } => (),
            () = overdue(&shutdown, config.grace) => tracing::warn!("the grace is over; what is still held goes back to its queue"),
        }
        settled.trigger();
    };
    tokio::join!(working, announcing, watching);
    if crashed.is_triggered() {
        return Err(Error::internal("a fault struck at a seam"));
    }
    registry::forget(&config).await;
    Ok(())
}

async fn overdue(shutdown: &Shutdown, grace: Duration) {
    shutdown.triggered().await;
    tokio::time::sleep(grace).await;
}

fn check(config: &Config) -> Result<()> {
    let mut violations = Violations::default();
    let limits = [
        ("queues", config.queues.len()),
        ("consumers", config.consumers),
        ("prefetch", config.prefetch.into()),
        ("batch_max", config.batch_max),
    ];
    limits
        .into_iter()
        .filter(|(_, count)| *count == 0)
        .for_each(|(name, _)| violations.add(name, "must be at least 1"));
    violations.check()
}

/// Makes sure that documents have a place. A sink that is away is waited for, and said.
async fn prepare(config: &Config, health: &Health, shutdown: &Shutdown) {
    const RETRY_DELAY: Duration = Duration::from_secs(1);
    while let Some(Err(error)) = shutdown.or(health.sink.observe(config.sink.prepare())).await {
        tracing::warn!(%error, "waiting for the sink");
        shutdown.or(tokio::time::sleep(RETRY_DELAY)).await;
    }
}
