//! The worker role: consume → handle → sink → ledger → ack, any number of jobs at once.
//!
//! The way of a job: [`intake`] reads deliveries from N consumers, [`mod@execute`] runs the handler, and a job that has ended goes through one
//! bounded channel to [`flush`], where jobs share one bulk request and one call of the ledger before each is settled. A stop takes no more,
//! finishes the jobs that are held, and gives the rest back.
//!
//! Beside the way: [`registry`] announces the worker and its numbers, [`health`] says whether it can work, [`metrics`] has its counts and
//! [`spans`] its part of a trace. [`handlers`] and [`context`] are below all of them; [`work`] puts the parts together.
//!
//! [`Config`], [`Ports`] and [`run`] have the same names in every role.
//!
//! Here: from a delivery to its settlement, and nothing of pacing or publishing runs. It may use core and runtime; no other role and no
//! adapter.

mod context;
mod execute;
mod execution;
mod flush;
pub mod handlers;
mod health;
mod intake;
mod metrics;
mod registry;
mod spans;
#[cfg(test)]
mod stubs;
mod work;

use std::sync::Arc;
use std::time::Duration;

use paceline_core::{Error, Result};
use paceline_runtime::instruments::Instruments;
use paceline_runtime::lifecycle::Shutdown;

use context::Context;
use health::WorkerHealth;
use metrics::{Stats, WorkerMetrics};
use work::RunningWorker;

pub use context::{Config, Ports};
pub use handlers::{Handler, Handlers, JobContext};

/// Jobs that the consumers of a worker hold together, unless told otherwise: enough for full batches, little to give back.
const HELD_DEFAULT: usize = 1_280;
/// Consumers of all queues of a worker together, unless told otherwise.
const CONSUMERS_DEFAULT_MAX: usize = 1_024;
/// The most documents in one bulk request.
pub const BATCH_MAX_DEFAULT: usize = 1_000;
/// The longest time that a stop may take to finish the jobs that are held.
pub const GRACE_DEFAULT: Duration = Duration::from_secs(20);

/// Consumers a queue, each on a channel of its own with its own prefetch. For one queue: 128 at a prefetch of 10, 4 at one of 1000;
/// both are measured (`docs/performance.md`). Many queues share the channels of a connection, of which RabbitMQ gives 2,047.
pub fn consumers_default(prefetch: u16, queues: usize) -> usize {
    let most = (CONSUMERS_DEFAULT_MAX / queues.max(1)).clamp(4, 128);
    (HELD_DEFAULT / usize::from(prefetch.max(1))).clamp(4, most)
}

/// Works until `shutdown`, then finishes the jobs that it holds within the grace. Services that are away are waited for, and the readiness
/// says which. A worker answers no calls, so of a role's entry it has all but the listener.
pub async fn run(config: Config, ports: Ports, shutdown: Shutdown) -> Result<()> {
    config.check()?;
    let Instruments { readiness, metrics, .. } = config.instruments.clone();
    metrics.show_role(&readiness);
    let stats = Arc::new(Stats::new(WorkerMetrics::new(&metrics, config.queues.keys())));
    let context = Arc::new(Context { config, ports });
    let health = WorkerHealth::new(readiness, &context, &stats);
    let (crashed, settled) = (Shutdown::new(), Shutdown::new());
    let worker = RunningWorker { context, stats, health, shutdown, crashed, settled };
    worker.prepare().await;
    tokio::join!(worker.work(), worker.announce(), worker.watch());
    if worker.crashed.is_triggered() {
        return Err(Error::internal("a fault struck at a seam"));
    }
    registry::forget(&worker.context).await;
    Ok(())
}
