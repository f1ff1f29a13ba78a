//! The way of one range: published until the broker has confirmed it, then confirmed in the ledger, in this order (L5).
//!
//! Whatever services and producers answer is retried, a refused login as much as silence: somebody can put it right while the run goes on.
//! Only a fault of the run itself ends the way.

use std::sync::Arc;
use std::time::Duration;

use paceline_core::backoff::Backoff;
use paceline_core::error::{Error, ErrorKind};
use paceline_core::ids::RunId;
use paceline_core::job::Range;
use paceline_core::ports::leases::Fence;
use paceline_core::trace::Sampling;

use super::turns::QueueTurns;
use crate::context::Context;
use crate::metrics::SchedulerMetrics;

const RETRY_DELAY_MIN: Duration = Duration::from_millis(50);
const RETRY_DELAY_MAX: Duration = Duration::from_secs(1);

/// The reason for which a range will never be confirmed by this owner.
#[derive(Debug)]
pub enum Fault {
    /// Another scheduler owns the run now.
    LeaseLost(Error),
    /// The range can be published by nobody, ever; the run has failed.
    Unpublishable(Error),
}

/// A range and everything that its way needs.
pub struct RangeDelivery {
    pub context: Context,
    pub metrics: SchedulerMetrics,
    pub turns: Arc<QueueTurns>,
    pub run: RunId,
    pub fence: Fence,
    pub range: Range,
    /// The most bytes that all messages of the range can have together.
    pub bytes: u64,
    pub sampling: Sampling,
}

impl RangeDelivery {
    /// L5: nothing is confirmed in the ledger before the broker has confirmed it.
    pub async fn deliver(self) -> Result<(), Fault> {
        let mut backoff = Backoff::new(RETRY_DELAY_MIN, RETRY_DELAY_MAX);
        let producer = self.publish(&mut backoff).await?;
        self.confirm(&producer, &mut backoff).await
    }

    /// Answers the id of the producer that published the range.
    async fn publish(&self, backoff: &mut Backoff) -> Result<String, Fault> {
        let (run, range) = (&self.run, &self.range);
        let mut has_failed = false;
        loop {
            let publish = |ask| self.context.ports.producers.publish(run, range, ask, self.sampling);
            let published = self.turns.offer(self.bytes.max(1), publish).await;
            let counts = self.metrics.counts();
            if published.is_ok() { &counts.confirmed } else { &counts.failed }.inc();
            match published {
                Ok(producer) => {
                    counts.published.inc_by(range.count);
                    return Ok(producer);
                }
                Err(error) if error.kind == ErrorKind::Unpublishable => return Err(Fault::Unpublishable(error)),
                Err(error) if !std::mem::replace(&mut has_failed, true) => {
                    tracing::warn!(%run, first = range.first, count = range.count, %error, code = %error.code, "publishing a range again")
                }
                Err(error) => tracing::debug!(%run, first = range.first, %error, "publishing a range once more"),
            }
            backoff.wait().await;
        }
    }

    async fn confirm(&self, producer: &str, backoff: &mut Backoff) -> Result<(), Fault> {
        let (run, range) = (&self.run, &self.range);
        loop {
            match self.context.ports.ledger.ranges.confirm(run, self.fence, range, producer).await {
                Ok(()) => return Ok(()),
                Err(error) if error.kind == ErrorKind::Aborted => return Err(Fault::LeaseLost(error)),
                Err(error) => tracing::warn!(%run, first = range.first, %error, "confirming a range again"),
            }
            backoff.wait().await;
        }
    }
}
