//! Repair of runs: a run that the ledger lost, or that went back in time with it, is brought back to at least what the sink keeps of it.

use paceline_core::Result;
use paceline_core::run::{KeptRun, RunRecord};

use super::fields::{Fields, parse_record, to_json, total_field};
use super::ledger::RedisLedger;

impl RedisLedger {
    /// Listed after it is written, as a new run is: a repeat completes what a crash in between left out. A run that goes on may have
    /// ended here before, and whoever retired it may not be done: whoever looks after ends keeps an eye on it.
    pub(super) async fn restore_run(&self, kept: &KeptRun) -> Result<RunRecord> {
        let KeptRun { spec, state, revision, cursor, pacing, ended_at_ms, failure } = kept;
        let mut restore = self.scripts.restore_run.prepare_invoke();
        restore.key(self.keys.run(&spec.run_id));
        restore.arg(to_json(spec)?).arg(total_field(spec.total)).arg(state.name()).arg(revision).arg(cursor);
        restore.arg(to_json(pacing)?).arg(ended_at_ms.map_or(String::new(), |ms| ms.to_string()));
        restore.arg(failure.as_deref().unwrap_or_default());
        let fields: Fields = self.connection.script(&format!("run {}", spec.run_id), &restore).await?;
        let record = parse_record(&fields)?;
        self.enlist(&spec.run_id, record.state).await?;
        match record.state.is_terminal() {
            true => self.retire(&spec.run_id, record.revision).await?,
            false => self.note_end(&spec.run_id, record.revision).await?,
        }
        Ok(record)
    }
}
