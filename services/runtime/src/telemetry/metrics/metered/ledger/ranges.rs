//! The ranges port, measured.

use async_trait::async_trait;
use paceline_core::Result;
use paceline_core::ids::RunId;
use paceline_core::job::Range;
use paceline_core::ports::leases::Fence;
use paceline_core::ports::ranges::{Ranges, Reservation};

use super::super::call::metered;

metered!(MeteredRanges, Ranges, "ledger": reserve, confirm, outstanding);

#[async_trait]
impl Ranges for MeteredRanges {
    async fn reserve(&self, run: &RunId, fence: Fence, reservation: &Reservation) -> Result<Range> {
        self.calls.reserve.time(self.inner.reserve(run, fence, reservation)).await
    }

    async fn confirm(&self, run: &RunId, fence: Fence, range: &Range, producer: &str) -> Result<()> {
        self.calls.confirm.time(self.inner.confirm(run, fence, range, producer)).await
    }

    async fn outstanding(&self, run: &RunId) -> Result<Vec<Range>> {
        self.calls.outstanding.time(self.inner.outstanding(run)).await
    }
}
