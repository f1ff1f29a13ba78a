//! Runs that have ended and that the sink does not keep as ended yet.

use paceline_core::ids::RunId;
use paceline_core::run::RunRecord;

use super::store::LedgerModel;

impl LedgerModel {
    pub(super) fn update_unkept(&mut self, record: &RunRecord) {
        let run = &record.spec.run_id;
        if record.state.is_terminal() {
            self.unkept.insert(run.clone(), record.revision);
        } else {
            self.unkept.remove(run);
        }
    }

    pub fn unkept_run_ids(&self, after: Option<&RunId>, limit: usize) -> Vec<RunId> {
        let later = self.unkept.keys().filter(|run| after.is_none_or(|after| *run > after));
        later.take(limit).cloned().collect()
    }

    pub fn note_kept(&mut self, run: &RunId, revision: u64) {
        if self.unkept.get(run) == Some(&revision) {
            self.unkept.remove(run);
        }
    }
}
