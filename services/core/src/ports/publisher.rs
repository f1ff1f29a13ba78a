//! The publisher port: the scheduler hands a range to a producer, in the same process or over gRPC. The caller cannot tell which.

use async_trait::async_trait;

use crate::error::codes;
use crate::error::{Error, Result};
use crate::ids::RunId;
use crate::job::Range;
use crate::ports::broker::Depth;
use crate::trace::Sampling;

/// Publishes ranges of a run's jobs.
#[async_trait]
pub trait RangePublisher: Send + Sync + 'static {
    /// Publishes every job of `range` and answers, with the producer's id, after the broker has confirmed all of them.
    ///
    /// `sampling` says which of the jobs' traces are recorded.
    ///
    /// `Err`: for some jobs it is unknown whether they were published. The same range may be published again, by any producer; only
    /// `Unpublishable` means that no producer can ever publish it. Never hangs.
    async fn publish(&self, run: &RunId, range: &Range, sampling: Sampling) -> Result<String>;

    /// The broker's depth of a run's queue: of each number the highest that any of the run's groups has. A queue that does not exist is
    /// empty.
    async fn depth(&self, run: &RunId) -> Result<Depth>;

    /// The broker's word about a queue by its name, for one group. A queue that is not there is empty.
    async fn depth_of(&self, queue: &str, group: &str) -> Result<Depth> {
        Err(Error::unavailable(format!("this producer cannot look at queue {queue} for group {group}"))
            .coded(codes::PRODUCER_TOO_OLD))
    }
}
