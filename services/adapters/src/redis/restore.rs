//! Repair: what the sink knows better than a ledger that was lost or went back in time. Jobs without a document are forgotten,
//! and runs are brought back to at least what is kept of them.

use std::collections::BTreeMap;

use paceline_core::Result;
use paceline_core::ids::RunId;
use paceline_core::run::{KeptRun, RunRecord};

use super::keys::CHUNK_SEQS;
use super::ledger::RedisLedger;
use super::record::{SCRIPT_SEQS_MAX, SEQ_MAX};
use super::runs::{Fields, parse_record, to_json, total_field};

/// Where the chunks begin among the KEYS of `scripts/forget.lua`, which are counted from 1.
const FIRST_CHUNK_KEY: usize = 3;

impl RedisLedger {
    pub(super) async fn forget_jobs(&self, run: &RunId, group: &str, seqs: &[u64]) -> Result<u64> {
        // What no run can have was never admitted.
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

    /// Listed after it is written, as a new run is: a repeat completes what a crash in between left out. A run that goes on may have
    /// ended here before, and whoever retired it may not be done: whoever looks after ends keeps an eye on it.
    pub(super) async fn bring_back(&self, kept: &KeptRun) -> Result<RunRecord> {
        let KeptRun { spec, state, revision, cursor, pacing, ended_at_ms, failure } = kept;
        let mut restore = self.scripts.restore_run.prepare_invoke();
        restore.key(self.keys.run(&spec.run_id));
        restore.arg(to_json(spec)?).arg(total_field(spec.total)).arg(state.name()).arg(revision).arg(cursor);
        restore.arg(to_json(pacing)?).arg(ended_at_ms.map_or(String::new(), |ms| ms.to_string()));
        restore.arg(failure.as_deref().unwrap_or_default());
        let fields: Fields = self.connection.script(&format!("run {}", spec.run_id), &restore).await?;
        let record = parse_record(&fields)?;
        self.list(&spec.run_id, record.state).await?;
        match record.state.is_terminal() {
            true => self.retire(&spec.run_id, record.revision).await?,
            false => self.note_end(&spec.run_id, record.revision).await?,
        }
        Ok(record)
    }
}
