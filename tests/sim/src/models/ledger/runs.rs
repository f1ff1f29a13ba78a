//! The runs port: making runs, finding them, and the callers' changes.

use paceline_core::Result;
use paceline_core::ids::RunId;
use paceline_core::pacing::Pacing;
use paceline_core::ports::runs::Created;
use paceline_core::run::{RunChange, RunRecord, RunSpec, RunState};

use super::store::LedgerModel;

impl LedgerModel {
    pub fn create_run(&mut self, spec: &RunSpec, request_id: &str) -> Created {
        if !request_id.is_empty() {
            if let Some(run) = self.requests.get(request_id) {
                return Created::Existing(run.clone());
            }
            self.requests.insert(request_id.to_owned(), spec.run_id.clone());
        }
        if self.number(&spec.run_id).is_none() {
            let record = RunRecord {
                spec: spec.clone(),
                state: RunState::Running,
                revision: 0,
                cursor: 0,
                pacing: Pacing::default(),
                ended_at_ms: None,
                failure: None,
            };
            self.insert(record, 0);
        }
        Created::New
    }

    pub fn run(&self, run: &RunId) -> Option<RunRecord> {
        self.entry(run).map(|entry| entry.record.clone())
    }

    pub fn run_ids(&self, before: Option<&RunId>, limit: usize) -> Vec<RunId> {
        let older = self.index.keys().rev().filter(|run| before.is_none_or(|before| *run < before));
        older.take(limit).cloned().collect()
    }

    pub fn active_run_ids(&self) -> Vec<RunId> {
        let active = self.runs.iter().filter(|entry| !entry.record.state.is_terminal());
        active.map(|entry| entry.record.spec.run_id.clone()).collect()
    }

    pub fn change_run(&mut self, now_ms: i64, run: &RunId, change: &RunChange) -> Result<RunRecord> {
        let entry = self.known(run)?;
        if !change.check(&entry.record)? {
            return Ok(entry.record.clone());
        }
        entry.record.spec = change.spec.clone();
        Ok(self.step(now_ms, run, change.state, None))
    }
}
