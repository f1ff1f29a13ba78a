//! The worker role: consume → handle → sink → ledger → ack, any number of them at once.
//!
//! [`intake`] reads deliveries from N consumers and starts [`execute`] on each; what has ended goes through one bounded
//! channel to [`flush`], which shares one bulk request and one ledger script among what is there, then settles.
//! [`registry`] announces the worker and its numbers, [`load`] how full its hands are, [`health`] whether it can
//! work, and [`stall`] that it was stopped for a while. A stop takes no more, finishes what is held, gives the rest back.

mod context;
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

use std::sync::Arc;
use std::time::Duration;

use paceline_core::backoff::Backoff;
use paceline_core::{Error, Result};
use paceline_runtime::instruments::Instruments;
use paceline_runtime::lifecycle::Shutdown;
use tokio::sync::mpsc;

use context::Context;
use health::Health;
use intake::Intake;
use measured::Measured;

pub use context::{Config, Ports};
pub use handlers::{Handler, Handlers, JobContext};

/// Jobs that the consumers of a worker hold together, unless told otherwise: enough for full batches, little to give back.
const HELD_DEFAULT: usize = 1_280;
/// Consumers of all queues of a worker together, unless told otherwise.
const CONSUMERS_DEFAULT_MAX: usize = 1_024;
/// The most documents in one bulk request.
pub const BATCH_MAX_DEFAULT: usize = 1_000;
/// The longest pause between two tries to prepare the sink.
const PREPARE_DELAY_MAX: Duration = Duration::from_secs(1);
/// How long a stop may take to finish what is held.
pub const GRACE_DEFAULT: Duration = Duration::from_secs(20);

/// Consumers a queue, each on a channel of its own with its own prefetch. For one queue: 128 at a prefetch of 10, 4 at one of 1000;
/// both are measured (`docs/performance.md`). Many queues share the channels of a connection, of which RabbitMQ gives 2,047.
pub fn consumers_default(prefetch: u16, queues: usize) -> usize {
    let most = (CONSUMERS_DEFAULT_MAX / queues.max(1)).clamp(4, 128);
    (HELD_DEFAULT / usize::from(prefetch.max(1))).clamp(4, most)
}

/// Works until `shutdown`, then finishes what it holds within the grace. Services that are away are waited for, and the readiness
/// says which. A worker answers no calls, so of a role's entry it has all but the listener.
pub async fn run(config: Config, ports: Ports, shutdown: Shutdown) -> Result<()> {
    config.check()?;
    let Instruments { readiness, metrics, .. } = config.instruments.clone();
    metrics.show_role(&readiness);
    let stats = Arc::new(stats::Stats::new(Measured::new(&metrics, config.queues.keys())));
    let context = Arc::new(Context { config, ports });
    let health = Health::new(readiness, &context, &stats);
    prepare(&context, &health, &shutdown).await;
    // Bounded by what the broker hands out: every entry is an unsettled delivery.
    let (ended, ended_queue) = mpsc::channel(context.config.held_max());
    let (crashed, settled) = (Shutdown::new(), Shutdown::new());
    let announcing =
        registry::announce(context.clone(), stats.clone(), health.clone(), (shutdown.clone(), settled.clone()));
    let endings = Arc::default();
    let intake = Intake { context: context.clone(), stats: stats.clone(), health: health.clone(), endings, ended };
    let consuming = intake::consume(intake, shutdown.clone(), crashed.clone());
    let flushing =
        flush::Flusher::new(context.clone(), stats.clone(), health.clone(), crashed.clone()).run(ended_queue);
    let watching = settled.or(health.watch(&context, &stats, &shutdown));
    // The flusher's channel closes when the last consumer has ended, so it ends after everything is settled.
    let working = async {
        tokio::select! {
            // Work that is done by the end of the grace is done.
            biased;
            ((), ()) = async { tokio::join!(consuming, flushing) } => (),
            () = overdue(&shutdown, context.config.grace) => tracing::warn!("the grace is over; what is still held goes back to its queue"),
        }
        settled.trigger();
    };
    tokio::join!(working, announcing, watching);
    if crashed.is_triggered() {
        return Err(Error::internal("a fault struck at a seam"));
    }
    registry::forget(&context).await;
    Ok(())
}

async fn overdue(shutdown: &Shutdown, grace: Duration) {
    shutdown.triggered().await;
    tokio::time::sleep(grace).await;
}

/// Makes sure that documents have a place. A sink that is away is waited for, and said.
async fn prepare(context: &Context, health: &Health, shutdown: &Shutdown) {
    let mut backoff = Backoff::new(PREPARE_DELAY_MAX / 4, PREPARE_DELAY_MAX);
    while let Some(Err(error)) = shutdown.or(health.sink.observe(context.ports.sink.prepare())).await {
        tracing::warn!(%error, "waiting for the sink");
        shutdown.or(backoff.wait()).await;
    }
}
