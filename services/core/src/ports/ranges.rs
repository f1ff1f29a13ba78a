//! The ranges port: jobs that exist, and which of them the broker has confirmed.

use async_trait::async_trait;

use super::leases::Fence;
use crate::error::Result;
use crate::ids::RunId;
use crate::job::Range;
use crate::pacing::Pacing;

/// A scheduler's request for jobs.
#[derive(Debug, Clone, PartialEq)]
pub struct Reservation {
    /// At most [`crate::job::RANGE_JOBS_MAX`].
    pub count: u64,
    pub scheduled_at_ms: i64,
    /// The pacer's state once this is reserved.
    pub pacing: Pacing,
    /// The revision that the pacer knows; a newer one in the ledger refuses the reservation as `Aborted`.
    pub revision: u64,
}

/// The conformance suite `ranges` checks what is said here. A call with a fence fails with `Aborted` once a newer fence exists, and
/// changes nothing.
#[async_trait]
pub trait Ranges: Send + Sync + 'static {
    /// Reserves the next `count` jobs, fewer if the total comes first: from now on they exist, and the range is outstanding. An
    /// empty range says that the total is reached. `Unavailable` leaves open whether it happened: read the run again.
    /// `Aborted`: the fence or the revision is stale; nothing changed. `FailedPrecondition`: the run is not RUNNING.
    async fn reserve(&self, run: &RunId, fence: Fence, reservation: &Reservation) -> Result<Range>;

    /// Notes that the broker has confirmed the whole range. Idempotent: a range that is not outstanding changes nothing.
    async fn confirm(&self, run: &RunId, fence: Fence, range: &Range, producer: &str) -> Result<()>;

    /// Ranges that are reserved and not confirmed, in order.
    async fn outstanding(&self, run: &RunId) -> Result<Vec<Range>>;
}
