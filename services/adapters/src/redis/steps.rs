//! A step of a run along the state diagram, taken by a caller or by the owner: one script, and then the lists of runs.

use paceline_core::Result;
use paceline_core::ports::leases::Fence;
use paceline_core::run::{RunRecord, RunState};
use redis::ScriptInvocation;

use super::fields::{Fields, parse_record, to_json};
use super::ledger::RedisLedger;

impl RedisLedger {
    pub(super) fn transition(
        &self,
        fence: Option<Fence>,
        current: &RunRecord,
        total: &str,
        next: RunState,
    ) -> Result<ScriptInvocation<'_>> {
        let mut transition = self.scripts.transition.prepare_invoke();
        let run = self.keys.run(&current.spec.run_id);
        transition.key(run).arg(fence.map_or(String::new(), |fence| fence.epoch.to_string()));
        transition.arg(current.revision).arg(total).arg(u8::from(next.is_terminal()));
        transition.arg("state").arg(next.name());
        if let Some(pacing) = current.pacing_on_step(next) {
            transition.arg("pacing").arg(to_json(&pacing)?);
        }
        Ok(transition)
    }

    /// Makes the transition, and brings the lists of runs up to date with it.
    pub(super) async fn take_step(
        &self,
        transition: &ScriptInvocation<'_>,
        before: &RunRecord,
        next: RunState,
    ) -> Result<RunRecord> {
        let run = &before.spec.run_id;
        let goes_on = before.state.is_terminal() && !next.is_terminal();
        if goes_on {
            // Whoever looks after ends lists it as active again, should this process die after the transition.
            self.note_end(run, before.revision).await?;
        }
        let fields: Fields = self.connection.script(&format!("run {run}"), transition).await?;
        let record = parse_record(&fields)?;
        if next.is_terminal() {
            self.retire(run, record.revision).await?;
        } else if goes_on {
            self.list_active(run).await?;
            // Once more: whoever still kept that end may have taken the entry away meanwhile.
            self.note_end(run, before.revision).await?;
        }
        Ok(record)
    }
}
