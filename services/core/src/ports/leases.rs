//! The leases port: one owner a run, and the owner's steps along the state diagram (L9).

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::ids::RunId;
use crate::pacing::Pacing;
use crate::run::{RunRecord, RunState};

/// A scheduler's claim on a run. `epoch` grows with every new owner; the ledger refuses what carries another one (L9). A new
/// epoch is the ledger's time in milliseconds, or one more than the last where that is higher: so a ledger that went back in
/// time never hands out one that somebody holds already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Fence {
    pub epoch: u64,
}

/// The conformance suite `leases` checks these promises: its cases are in `owning`, `advancing` and `groups`. A call with a fence fails
/// with `Aborted` once a newer fence exists, and changes nothing.
#[async_trait]
pub trait Leases: Send + Sync + 'static {
    /// Takes or renews the lease of a run for `ttl`. `Some`: `owner` has it; the same epoch while it held it all along, a new
    /// one otherwise. `None`: somebody else's lease is still good.
    async fn acquire(&self, run: &RunId, owner: &str, ttl: Duration) -> Result<Option<Fence>>;

    /// Renews the lease for `ttl` and stores the pacer's state. `Aborted`: the lease was lost.
    async fn renew(&self, run: &RunId, fence: Fence, ttl: Duration, pacing: &Pacing) -> Result<RunRecord>;

    /// Gives the lease up, so that another may take it at once; its fence is stale from then on. Not owning it is no error.
    async fn release(&self, run: &RunId, fence: Fence) -> Result<()>;

    /// The owner's step along the state diagram (DRAINING, COMPLETED, STOPPED, FAILED). To DRAINING only if the total is
    /// reserved, to COMPLETED or STOPPED only if the run is drained for each group of its spec: otherwise
    /// `FailedPrecondition`, and nothing changes. Being in that state already is a success.
    async fn advance(&self, run: &RunId, fence: Fence, next: RunState, failure: Option<&str>) -> Result<RunRecord>;
}
