//! Who owns a run. The server's clock decides, so schedulers whose clocks differ still agree; the epoch fences off whoever
//! believes too long that it owns the run (L9).

use std::time::Duration;

use paceline_core::Result;
use paceline_core::ids::RunId;
use paceline_core::pacing::Pacing;
use paceline_core::ports::ledger::Fence;
use paceline_core::run::RunRecord;

use super::ledger::RedisLedger;
use super::runs::{Fields, parse_record, to_json};

impl RedisLedger {
    pub(super) async fn take_lease(&self, run: &RunId, owner: &str, ttl: Duration) -> Result<Option<Fence>> {
        let mut lease = self.scripts.lease.prepare_invoke();
        lease.key(self.keys.run(run)).arg(owner).arg(ttl_ms(ttl));
        let epoch: Option<u64> = self.connection.script(&format!("run {run}"), &lease).await?;
        Ok(epoch.map(|epoch| Fence { epoch }))
    }

    pub(super) async fn release_lease(&self, run: &RunId, fence: Fence) -> Result<()> {
        let mut release = self.scripts.release.prepare_invoke();
        release.key(self.keys.run(run)).arg(fence.epoch);
        self.connection.script(&format!("run {run}"), &release).await
    }

    pub(super) async fn keep_lease(
        &self,
        run: &RunId,
        fence: Fence,
        ttl: Duration,
        pacing: &Pacing,
    ) -> Result<RunRecord> {
        let mut keep = self.scripts.keep.prepare_invoke();
        keep.key(self.keys.run(run)).arg(fence.epoch).arg(ttl_ms(ttl)).arg(to_json(pacing)?);
        let fields: Fields = self.connection.script(&format!("run {run}"), &keep).await?;
        parse_record(&fields)
    }
}

/// Longer than any lease that makes sense, and small enough for the scripts' numbers.
const TTL_MS_MAX: u128 = 1 << 40;

/// At least a millisecond.
pub(super) fn ttl_ms(ttl: Duration) -> u64 {
    ttl.as_millis().clamp(1, TTL_MS_MAX) as u64
}
