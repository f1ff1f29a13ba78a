//! The leases port: who owns a run, and the steps of its owner. The server's clock decides, so schedulers whose clocks differ still
//! agree; the epoch fences off an owner that believes too long in its lease (L9).

use std::time::Duration;

use async_trait::async_trait;
use paceline_core::error::codes;
use paceline_core::ids::RunId;
use paceline_core::pacing::Pacing;
use paceline_core::ports::Leases;
use paceline_core::ports::leases::Fence;
use paceline_core::ports::runs::unknown;
use paceline_core::run::{RunRecord, RunState, check_advance};
use paceline_core::{Error, ErrorKind, Result};

use super::fields::{Fields, number, parse_record, to_json, ttl_ms};
use super::ledger::RedisLedger;

/// The most times that the owner's step is judged again because the run changed in between.
const ADVANCE_TRIES_MAX: usize = 5;

#[async_trait]
impl Leases for RedisLedger {
    async fn acquire(&self, run: &RunId, owner: &str, ttl: Duration) -> Result<Option<Fence>> {
        let mut acquire = self.scripts.acquire.prepare_invoke();
        acquire.key(self.keys.run(run)).arg(owner).arg(ttl_ms(ttl));
        let epoch: Option<u64> = self.connection.script(&format!("run {run}"), &acquire).await?;
        Ok(epoch.map(|epoch| Fence { epoch }))
    }

    async fn release(&self, run: &RunId, fence: Fence) -> Result<()> {
        let mut release = self.scripts.release.prepare_invoke();
        release.key(self.keys.run(run)).arg(fence.epoch);
        self.connection.script(&format!("run {run}"), &release).await
    }

    async fn renew(&self, run: &RunId, fence: Fence, ttl: Duration, pacing: &Pacing) -> Result<RunRecord> {
        let mut renew = self.scripts.renew.prepare_invoke();
        renew.key(self.keys.run(run)).arg(fence.epoch).arg(ttl_ms(ttl)).arg(to_json(pacing)?);
        let fields: Fields = self.connection.script(&format!("run {run}"), &renew).await?;
        parse_record(&fields)
    }

    async fn advance(&self, run: &RunId, fence: Fence, next: RunState, failure: Option<&str>) -> Result<RunRecord> {
        for _ in 0..ADVANCE_TRIES_MAX {
            let fields = self.read_fields(run).await?;
            check_fence(&fields, run, fence)?;
            let record = parse_record(&fields)?;
            if !check_advance(&record, next, self.is_drained(&record).await?)? {
                return Ok(record);
            }
            let mut transition = self.transition(Some(fence), &record, "", next)?;
            failure.into_iter().for_each(|reason| {
                transition.arg("failure").arg(reason);
            });
            match self.take_step(&transition, &record, next).await {
                // A caller changed the run meanwhile, or the fence is lost: the next round sees which.
                Err(error) if error.kind == ErrorKind::Aborted => {}
                result => return result,
            }
        }
        Err(Error::aborted(format!("run {run} keeps changing; try again")).coded(codes::RUN_CHANGED_MEANWHILE))
    }
}

impl RedisLedger {
    /// `true` if the run is drained in each of its groups. That stays true while the revision does: then nothing more is reserved.
    async fn is_drained(&self, record: &RunRecord) -> Result<bool> {
        let run = &record.spec.run_id;
        let mut drained = self.scripts.drained.prepare_invoke();
        drained.key(self.keys.run(run)).key(self.keys.outstanding(run));
        for group in record.spec.groups.iter() {
            drained.key(self.keys.group(run, group));
        }
        self.connection.script(&format!("run {run}"), &drained).await
    }
}

/// The same rule as in common.lua.
fn check_fence(fields: &Fields, run: &RunId, fence: Fence) -> Result<()> {
    if fields.is_empty() {
        return Err(unknown(run));
    }
    let epoch = number(fields, "epoch")?;
    let is_owned = fields.get("owner").is_some_and(|owner| !owner.is_empty());
    if epoch == fence.epoch && is_owned {
        return Ok(());
    }
    Err(Error::aborted(format!("run {run}: the lease of epoch {} is lost, it is at epoch {epoch}", fence.epoch))
        .coded(codes::LEASE_LOST))
}
