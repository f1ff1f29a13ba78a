//! The runs port: each call goes over the network to the model, and the oracle sees its effect.

use async_trait::async_trait;
use paceline_core::Result;
use paceline_core::ids::RunId;
use paceline_core::ports::runs::{Created, Runs};
use paceline_core::run::{KeptRun, RunChange, RunRecord, RunSpec};

use super::SimLedger;
use crate::at::At;
use crate::clock::WALL_MS;
use crate::laws::pace::Pace;
use crate::net::Call;
use crate::world::State;

#[async_trait]
impl Runs for SimLedger {
    async fn create(&self, spec: &RunSpec, request_id: &str) -> Result<Created> {
        let call = Call { may_repeat: !request_id.is_empty(), ..Call::new("create_run", request_id.to_owned()) };
        let (spec, request_id) = (spec.clone(), request_id.to_owned());
        let effect = move |state: &mut State, at: At| {
            let is_known = state.ledger.number(&spec.run_id).is_some();
            let created = state.ledger.create_run(&spec, &request_id);
            if created == Created::New && !is_known {
                let asked_us = u64::try_from((spec.created_at_ms - WALL_MS) * 1000).unwrap_or(0);
                let pace = Pace::new(at.now_us, at.now_us.saturating_sub(asked_us), spec.rate);
                state.laws.of(&spec.run_id).pace = Some(pace);
            }
            Ok(created)
        };
        self.0.call(call, effect).await
    }

    async fn find(&self, run: &RunId) -> Result<Option<RunRecord>> {
        let (call, run) = (Call::idempotent("run", self.number(run)), run.clone());
        self.0.call(call, move |state, _| Ok(state.ledger.run(&run))).await
    }

    async fn list(&self, before: Option<&RunId>, limit: usize) -> Result<Vec<RunId>> {
        let before = before.cloned();
        let call = Call::idempotent("run_ids", String::new());
        self.0.call(call, move |state, _| Ok(state.ledger.run_ids(before.as_ref(), limit))).await
    }

    async fn active(&self) -> Result<Vec<RunId>> {
        self.0
            .call(Call::idempotent("active_run_ids", String::new()), |state, _| Ok(state.ledger.active_run_ids()))
            .await
    }

    async fn unkept(&self, after: Option<&RunId>, limit: usize) -> Result<Vec<RunId>> {
        let after = after.cloned();
        let call = Call::idempotent("unkept_run_ids", String::new());
        self.0.call(call, move |state, _| Ok(state.ledger.unkept_run_ids(after.as_ref(), limit))).await
    }

    async fn note_kept(&self, run: &RunId, revision: u64) -> Result<()> {
        let call = Call::idempotent("note_kept", format!("{} revision {revision}", self.number(run)));
        let run = run.clone();
        self.0
            .call(call, move |state, _| {
                state.ledger.note_kept(&run, revision);
                Ok(())
            })
            .await
    }

    async fn change(&self, run: &RunId, change: &RunChange) -> Result<RunRecord> {
        let words = format!("{} to {} at revision {}", self.number(run), change.state, change.expected_revision);
        let (call, run, change) = (Call::idempotent("change_run", words), run.clone(), change.clone());
        let effect = move |state: &mut State, at: At| {
            let before = state.ledger.run(&run).map(|record| record.revision);
            let changed = state.ledger.change_run(at.now_ms, &run, &change)?;
            if Some(changed.revision) != before
                && let Some(pace) = &mut state.laws.of(&run).pace
            {
                pace.changed(at.now_us, &changed);
            }
            Ok(changed)
        };
        self.0.call(call, effect).await
    }

    async fn restore(&self, kept: &KeptRun) -> Result<RunRecord> {
        let (number, state) = (self.number(&kept.spec.run_id), kept.state);
        let words = format!("{number} to {state}, revision {} cursor {}", kept.revision, kept.cursor);
        let (call, kept) = (Call::idempotent("restore_run", words), kept.clone());
        self.0
            .call(call, move |state, at| {
                let before = state.ledger.run(&kept.spec.run_id);
                let restored = state.ledger.restore_run(&kept);
                if before.as_ref() != Some(&restored) {
                    state.laws.restored(at.now_us, &restored);
                }
                Ok(restored)
            })
            .await
    }
}
