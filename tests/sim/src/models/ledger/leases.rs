//! The leases port: one owner a run, and the owner's steps along the state diagram.

use std::time::Duration;

use paceline_core::Result;
use paceline_core::ids::RunId;
use paceline_core::pacing::Pacing;
use paceline_core::ports::leases::Fence;
use paceline_core::run::{RunRecord, RunState, check_advance};

use super::store::{LedgerModel, after};

impl LedgerModel {
    pub fn lease(&mut self, now_ms: i64, run: &RunId, owner: &str, ttl: Duration) -> Result<Option<Fence>> {
        let entry = self.known(run)?;
        let is_good = !entry.owner.is_empty() && now_ms < entry.lease_until_ms;
        if is_good && entry.owner != owner {
            return Ok(None);
        }
        if !is_good {
            entry.epoch = u64::try_from(now_ms).unwrap_or(0).max(entry.epoch + 1);
        }
        entry.owner = owner.to_owned();
        entry.lease_until_ms = after(now_ms, ttl);
        Ok(Some(Fence { epoch: entry.epoch }))
    }

    pub fn release(&mut self, run: &RunId, fence: Fence) {
        if let Ok(entry) = self.known(run)
            && entry.epoch == fence.epoch
        {
            entry.owner.clear();
            entry.lease_until_ms = 0;
        }
    }

    pub fn keep(
        &mut self,
        now_ms: i64,
        run: &RunId,
        fence: Fence,
        ttl: Duration,
        pacing: &Pacing,
    ) -> Result<RunRecord> {
        let entry = self.fenced(run, fence)?;
        entry.lease_until_ms = after(now_ms, ttl);
        entry.record.pacing = *pacing;
        Ok(entry.record.clone())
    }

    pub fn advance_state(
        &mut self,
        now_ms: i64,
        run: &RunId,
        fence: Fence,
        next: RunState,
        failure: Option<&str>,
    ) -> Result<RunRecord> {
        let entry = self.fenced(run, fence)?;
        if !check_advance(&entry.record, next, entry.is_drained())? {
            return Ok(entry.record.clone());
        }
        Ok(self.step(now_ms, run, next, failure))
    }
}
