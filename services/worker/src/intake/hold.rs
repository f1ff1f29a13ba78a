//! The hold on a delivery: it lasts from the moment at which the broker handed the delivery out until the delivery is settled or lost.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use paceline_runtime::lifecycle::Shutdown;
use tokio::time::Instant;
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::execution::Execution;
use crate::metrics::{QueueMetrics, Stats};

/// A job that has ended and is not settled yet.
pub struct HeldJob {
    pub execution: Execution,
    pub hold: Hold,
}

/// Keeps the consumer of a delivery open, and the delivery counted as held, until it is settled or lost.
pub struct Hold {
    _open: TaskTrackerToken,
    consumer: Arc<OpenConsumer>,
    since: Instant,
}

/// A consumer, as its deliveries share it.
pub struct OpenConsumer {
    stats: Arc<Stats>,
    queue: Arc<QueueMetrics>,
    /// Triggered when a delivery could not be settled.
    pub(super) unsettled: Shutdown,
}

impl OpenConsumer {
    pub fn new(stats: Arc<Stats>, queue: &str) -> Arc<Self> {
        let queue = stats.metrics.queue(queue);
        Arc::new(Self { stats, queue, unsettled: Shutdown::new() })
    }
}

impl Hold {
    pub fn new(open: TaskTrackerToken, consumer: &Arc<OpenConsumer>) -> Self {
        Stats::add(&consumer.stats.held, 1);
        consumer.queue.hands.took();
        Self { _open: open, consumer: consumer.clone(), since: Instant::now() }
    }

    /// The metrics of the delivery's queue.
    pub fn queue(&self) -> &QueueMetrics {
        &self.consumer.queue
    }

    /// The delivery could not be settled and stays with its consumer while that is open. So the consumer is ended, and a new one is made.
    pub fn end_consumer(&self) {
        self.consumer.unsettled.trigger();
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.consumer.stats.held.fetch_sub(1, Ordering::Relaxed);
        self.consumer.queue.hands.gave(self.since.elapsed());
    }
}
