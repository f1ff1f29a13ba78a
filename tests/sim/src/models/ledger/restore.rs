//! Bringing a run back from what the sink keeps of it.

use paceline_core::run::{KeptRun, RunRecord};

use super::store::LedgerModel;

impl LedgerModel {
    pub fn restore_run(&mut self, kept: &KeptRun) -> RunRecord {
        let restored = self.bring_back(kept);
        self.update_unkept(&restored);
        restored
    }

    fn bring_back(&mut self, kept: &KeptRun) -> RunRecord {
        let wanted = kept.enqueued_within(kept.spec.total);
        let Some(number) = self.number(&kept.spec.run_id) else {
            let record = RunRecord {
                spec: kept.spec.clone(),
                state: kept.state,
                revision: kept.revision,
                cursor: wanted,
                pacing: kept.pacing,
                ended_at_ms: kept.ended_at_ms,
                failure: kept.failure.clone(),
            };
            self.insert(record.clone(), wanted);
            return record;
        };
        let entry = &mut self.runs[number];
        let record = &mut entry.record;
        let is_older = record.revision < kept.revision;
        let leaves_failed = is_older && record.state.leaves_failed(kept.state);
        if is_older {
            record.spec = kept.spec.clone();
            record.state = kept.state;
            record.failure = kept.failure.clone();
            record.ended_at_ms = kept.ended_at_ms;
            record.revision = kept.revision;
        }
        let limit = kept.enqueued_within(record.spec.total);
        if record.cursor < limit {
            entry.published += limit - record.cursor;
            record.cursor = limit;
            record.pacing = kept.pacing;
            record.revision += 1;
            if !is_older && let Some(state) = record.state.reopened() {
                (record.state, record.ended_at_ms) = (state, None);
            }
        } else if leaves_failed && record.cursor == limit {
            record.pacing = kept.pacing;
        }
        record.clone()
    }
}
