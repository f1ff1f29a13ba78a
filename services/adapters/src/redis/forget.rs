//! Repair of counts: jobs without a document are forgotten, so that they can be done again. See `scripts/forget.lua`.

use std::collections::BTreeMap;

use paceline_core::Result;
use paceline_core::ids::RunId;

use super::keys::CHUNK_SEQS;
use super::ledger::RedisLedger;
use super::record::{SCRIPT_SEQS_MAX, SEQ_MAX};

/// Where the chunks begin among the KEYS of `scripts/forget.lua`, which are counted from 1.
const FIRST_CHUNK_KEY: usize = 3;

impl RedisLedger {
    pub(super) async fn forget_jobs(&self, run: &RunId, group: &str, seqs: &[u64]) -> Result<u64> {
        // A seq that no run can have was never counted.
        let mut seqs: Vec<u64> = seqs.iter().copied().filter(|seq| *seq < SEQ_MAX).collect();
        seqs.sort_unstable();
        seqs.dedup();
        let calls = seqs.chunks(SCRIPT_SEQS_MAX).map(|part| self.forget_part(run, group, part));
        Ok(futures::future::try_join_all(calls).await?.into_iter().sum())
    }

    async fn forget_part(&self, run: &RunId, group: &str, part: &[u64]) -> Result<u64> {
        let mut by_chunk: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
        for seq in part {
            by_chunk.entry(seq / CHUNK_SEQS).or_default().push(seq % CHUNK_SEQS);
        }
        let mut forget = self.scripts.forget.prepare_invoke();
        forget.key(self.keys.run(run)).key(self.keys.group(run, group));
        for (index, (chunk, places)) in by_chunk.into_iter().enumerate() {
            forget.key(self.keys.done(run, group, chunk)).key(self.keys.dead(run, group, chunk));
            for place in places {
                forget.arg(FIRST_CHUNK_KEY + 2 * index).arg(place);
            }
        }
        self.connection.script(&format!("run {run}"), &forget).await
    }
}
