//! The counts port: each call goes over the network to the model, and the oracle sees its effect.

use async_trait::async_trait;
use paceline_core::Result;
use paceline_core::ids::RunId;
use paceline_core::ports::counts::{Counts, EndedJob, Recorded};
use paceline_core::run::Snapshot;
use paceline_core::seqset::SeqSet;

use super::SimLedger;
use crate::net::Call;

#[async_trait]
impl Counts for SimLedger {
    async fn record(&self, group: &str, worker: &str, ended: &[EndedJob]) -> Result<Recorded> {
        let seqs: Vec<u64> = ended.iter().map(|job| job.seq).collect();
        let call = Call::idempotent("record", format!("{seqs:?}"));
        let (group, worker, ended) = (group.to_owned(), worker.to_owned(), ended.to_vec());
        self.0
            .call(call, move |state, at| {
                state.laws.recorded(&ended);
                Ok(state.ledger.record(at.now_ms, &group, &worker, &ended))
            })
            .await
    }

    async fn forget(&self, run: &RunId, group: &str, seqs: &[u64]) -> Result<u64> {
        let call = Call::new("forget", format!("{} {} jobs", self.number(run), seqs.len()));
        let (run, group, seqs) = (run.clone(), group.to_owned(), seqs.to_vec());
        self.0.call(call, move |state, _| state.ledger.forget(&run, &group, &seqs)).await
    }

    async fn snapshot(&self, run: &RunId, group: &str) -> Result<Option<Snapshot>> {
        let (call, run, group) = (Call::idempotent("snapshot", self.number(run)), run.clone(), group.to_owned());
        self.0.call(call, move |state, at| Ok(state.ledger.snapshot(at.now_ms, &run, &group))).await
    }

    async fn counted(&self, run: &RunId, group: &str) -> Result<SeqSet> {
        let (call, run, group) = (Call::idempotent("counted", self.number(run)), run.clone(), group.to_owned());
        self.0.call(call, move |state, _| state.ledger.counted(&run, &group)).await
    }

    async fn dead(&self, run: &RunId, group: &str) -> Result<SeqSet> {
        let (call, run, group) = (Call::idempotent("dead", self.number(run)), run.clone(), group.to_owned());
        self.0.call(call, move |state, _| state.ledger.dead(&run, &group)).await
    }
}
