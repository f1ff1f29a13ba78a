//! The leases port, measured.

use std::time::Duration;

use async_trait::async_trait;
use paceline_core::Result;
use paceline_core::ids::RunId;
use paceline_core::pacing::Pacing;
use paceline_core::ports::leases::{Fence, Leases};
use paceline_core::run::{RunRecord, RunState};

use super::super::call::metered;

metered!(MeteredLeases, Leases, "ledger": acquire, release, renew, advance_state);

#[async_trait]
impl Leases for MeteredLeases {
    async fn acquire(&self, run: &RunId, owner: &str, ttl: Duration) -> Result<Option<Fence>> {
        self.calls.acquire.time(self.inner.acquire(run, owner, ttl)).await
    }

    async fn release(&self, run: &RunId, fence: Fence) -> Result<()> {
        self.calls.release.time(self.inner.release(run, fence)).await
    }

    async fn renew(&self, run: &RunId, fence: Fence, ttl: Duration, pacing: &Pacing) -> Result<RunRecord> {
        self.calls.renew.time(self.inner.renew(run, fence, ttl, pacing)).await
    }

    async fn advance(&self, run: &RunId, fence: Fence, next: RunState, failure: Option<&str>) -> Result<RunRecord> {
        self.calls.advance_state.time(self.inner.advance(run, fence, next, failure)).await
    }
}
