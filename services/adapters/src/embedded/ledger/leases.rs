//! The leases port: who owns a run, and the steps of its owner. One process has few contenders, but the laws are the same as with many:
//! `paceline dev` runs the same scheduler.

use std::time::Duration;

use async_trait::async_trait;
use paceline_core::error::codes;
use paceline_core::ids::RunId;
use paceline_core::pacing::Pacing;
use paceline_core::ports::Leases;
use paceline_core::ports::leases::Fence;
use paceline_core::ports::runs::unknown;
use paceline_core::run::{RunRecord, RunState, check_advance};
use paceline_core::{Error, Result};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::rows::known;
use super::schema::{after, signed, to_json, unsigned};
use super::{EmbeddedLedger, snapshot, steps};
use crate::embedded::database::WriteError;

#[async_trait]
impl Leases for EmbeddedLedger {
    async fn acquire(&self, run: &RunId, owner: &str, ttl: Duration) -> Result<Option<Fence>> {
        let (run, owner, clock) = (run.clone(), owner.to_owned(), self.clock.clone());
        self.database.write(move |c| acquire(c, &run, &owner, ttl, clock.wall_ms())).await
    }

    async fn renew(&self, run: &RunId, fence: Fence, ttl: Duration, pacing: &Pacing) -> Result<RunRecord> {
        let (run, pacing, clock) = (run.clone(), *pacing, self.clock.clone());
        self.database.write(move |c| renew(c, &run, fence, ttl, &pacing, clock.wall_ms())).await
    }

    async fn release(&self, run: &RunId, fence: Fence) -> Result<()> {
        let run = run.clone();
        self.database.write(move |c| release(c, &run, fence)).await
    }

    async fn advance(&self, run: &RunId, fence: Fence, next: RunState, failure: Option<&str>) -> Result<RunRecord> {
        let (run, failure, clock) = (run.clone(), failure.map(str::to_owned), self.clock.clone());
        self.database.write(move |c| advance(c, &run, fence, next, failure.as_deref(), clock.wall_ms())).await
    }
}

struct Lease {
    owner: String,
    epoch: u64,
    until_ms: i64,
}

/// Every change of hands, and every gap, is a new epoch: the time, or one more than the last where that is higher, so a file that
/// was put back from a copy does not hand out an epoch that somebody holds already.
fn acquire(c: &Connection, run: &RunId, owner: &str, ttl: Duration, now_ms: i64) -> Result<Option<Fence>, WriteError> {
    let held = find(c, run)?;
    let is_good = !held.owner.is_empty() && now_ms < held.until_ms;
    if is_good && held.owner != owner {
        return Ok(None);
    }
    let epoch = if is_good { held.epoch } else { (held.epoch + 1).max(u64::try_from(now_ms).unwrap_or(0)) };
    let update = "UPDATE runs SET owner = ?2, epoch = ?3, lease_until_ms = ?4 WHERE run_id = ?1";
    c.prepare_cached(update)?.execute(params![run.as_str(), owner, signed(epoch), after(now_ms, ttl)])?;
    Ok(Some(Fence { epoch }))
}

fn release(c: &Connection, run: &RunId, fence: Fence) -> Result<(), WriteError> {
    let update = "UPDATE runs SET owner = '', lease_until_ms = 0 WHERE run_id = ?1 AND epoch = ?2";
    c.prepare_cached(update)?.execute(params![run.as_str(), signed(fence.epoch)])?;
    Ok(())
}

fn renew(
    c: &Connection,
    run: &RunId,
    fence: Fence,
    ttl: Duration,
    pacing: &Pacing,
    now_ms: i64,
) -> Result<RunRecord, WriteError> {
    check(c, run, fence)?;
    let update = "UPDATE runs SET lease_until_ms = ?2, pacing = ?3 WHERE run_id = ?1";
    c.prepare_cached(update)?.execute(params![run.as_str(), after(now_ms, ttl), to_json(pacing)?])?;
    known(c, run)
}

fn advance(
    c: &Connection,
    run: &RunId,
    fence: Fence,
    next: RunState,
    failure: Option<&str>,
    now_ms: i64,
) -> Result<RunRecord, WriteError> {
    check(c, run, fence)?;
    let record = known(c, run)?;
    if !check_advance(&record, next, snapshot::is_drained(c, &record)?)? {
        return Ok(record);
    }
    steps::step(c, &record, next, failure, now_ms)
}

/// Refuses a stale fence. A released lease has no owner, so its fence is stale too.
pub(super) fn check(c: &Connection, run: &RunId, fence: Fence) -> Result<(), WriteError> {
    let held = find(c, run)?;
    if held.epoch == fence.epoch && !held.owner.is_empty() {
        return Ok(());
    }
    Err(Error::aborted(format!("run {run}: the lease of epoch {} is lost, it is at epoch {}", fence.epoch, held.epoch))
        .coded(codes::LEASE_LOST)
        .into())
}

fn find(c: &Connection, run: &RunId) -> Result<Lease, WriteError> {
    let lease = |row: &Row<'_>| Ok(Lease { owner: row.get(0)?, epoch: unsigned(row, 1)?, until_ms: row.get(2)? });
    let mut query = c.prepare_cached("SELECT owner, epoch, lease_until_ms FROM runs WHERE run_id = ?1")?;
    query.query_row([run.as_str()], lease).optional()?.ok_or_else(|| unknown(run).into())
}
