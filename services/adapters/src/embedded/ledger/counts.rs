//! The counts port: each job once per group, all numbers of a run at one moment, and what repair takes back.

use async_trait::async_trait;
use paceline_core::Result;
use paceline_core::ids::RunId;
use paceline_core::ports::Counts;
use paceline_core::ports::counts::{EndedJob, Recorded};
use paceline_core::ports::runs::unknown;
use paceline_core::run::Snapshot;
use paceline_core::seqset::SeqSet;

use super::bitmaps::{self, Bits};
use super::{EmbeddedLedger, forget, record, snapshot};

#[async_trait]
impl Counts for EmbeddedLedger {
    async fn record(&self, group: &str, worker: &str, ended: &[EndedJob]) -> Result<Recorded> {
        let by_run = record::split_by_run(ended);
        let (group, worker, clock) = (group.to_owned(), worker.to_owned(), self.clock.clone());
        self.database.write(move |c| record::record(c, &group, &worker, &by_run, clock.wall_ms())).await
    }

    async fn snapshot(&self, run: &RunId, group: &str) -> Result<Option<Snapshot>> {
        let (run, group, clock) = (run.clone(), group.to_owned(), self.clock.clone());
        self.database.read(move |c| snapshot::read(c, &run, &group, clock.wall_ms())).await
    }

    async fn counted(&self, run: &RunId, group: &str) -> Result<SeqSet> {
        self.seqs(run, group, Bits::Counted).await
    }

    async fn dead(&self, run: &RunId, group: &str) -> Result<SeqSet> {
        self.seqs(run, group, Bits::Dead).await
    }

    async fn forget(&self, run: &RunId, group: &str, seqs: &[u64]) -> Result<u64> {
        let (run, group, seqs) = (run.clone(), group.to_owned(), seqs.to_vec());
        self.database.write(move |c| forget::forget(c, &run, &group, &seqs)).await
    }
}

impl EmbeddedLedger {
    async fn seqs(&self, run: &RunId, group: &str, bits: Bits) -> Result<SeqSet> {
        let (id, group) = (run.clone(), group.to_owned());
        let found = self.database.read(move |c| bitmaps::seqs(c, &id, &group, bits)).await?;
        found.ok_or_else(|| unknown(run))
    }
}
