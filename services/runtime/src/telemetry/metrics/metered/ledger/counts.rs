//! The counts port, measured. `record` is the counting of a batch.

use async_trait::async_trait;
use paceline_core::Result;
use paceline_core::ids::RunId;
use paceline_core::ports::counts::{Counts, EndedJob, Recorded};
use paceline_core::run::Snapshot;
use paceline_core::seqset::SeqSet;

use super::super::call::metered;

metered!(MeteredCounts, Counts, "ledger": record, forget, snapshot, counted, dead);

#[async_trait]
impl Counts for MeteredCounts {
    async fn record(&self, group: &str, worker: &str, ended: &[EndedJob]) -> Result<Recorded> {
        self.calls.record.time(self.inner.record(group, worker, ended)).await
    }

    async fn forget(&self, run: &RunId, group: &str, seqs: &[u64]) -> Result<u64> {
        self.calls.forget.time(self.inner.forget(run, group, seqs)).await
    }

    async fn snapshot(&self, run: &RunId, group: &str) -> Result<Option<Snapshot>> {
        self.calls.snapshot.time(self.inner.snapshot(run, group)).await
    }

    async fn counted(&self, run: &RunId, group: &str) -> Result<SeqSet> {
        self.calls.counted.time(self.inner.counted(run, group)).await
    }

    async fn dead(&self, run: &RunId, group: &str) -> Result<SeqSet> {
        self.calls.dead.time(self.inner.dead(run, group)).await
    }
}
