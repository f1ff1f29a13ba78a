//! The workers port: those that are alive, each until its ttl is over, with the time when it said so.

use std::time::Duration;

use async_trait::async_trait;
use paceline_core::Result;
use paceline_core::ports::Workers;
use paceline_core::ports::workers::WorkerInfo;
use rusqlite::{Connection, params};

use super::EmbeddedLedger;
use super::schema::{Json, after, to_json};
use crate::embedded::database::WriteError;

#[async_trait]
impl Workers for EmbeddedLedger {
    async fn announce(&self, worker: &WorkerInfo, ttl: Duration) -> Result<()> {
        let (worker, clock) = (worker.clone(), self.clock.clone());
        self.database.write(move |c| announce(c, &worker, ttl, clock.wall_ms())).await
    }

    async fn forget(&self, worker_id: &str) -> Result<()> {
        let worker_id = worker_id.to_owned();
        self.database.write(move |c| forget(c, &worker_id)).await
    }

    async fn alive(&self) -> Result<Vec<WorkerInfo>> {
        let clock = self.clock.clone();
        self.database.read(move |c| alive(c, clock.wall_ms())).await
    }
}

/// Also forgets those whose ttl is over, so that the table stays as small as the fleet.
fn announce(c: &Connection, worker: &WorkerInfo, ttl: Duration, now_ms: i64) -> Result<(), WriteError> {
    c.prepare_cached("DELETE FROM workers WHERE until_ms <= ?1")?.execute([now_ms])?;
    let upsert = "INSERT OR REPLACE INTO workers VALUES (?1, json_set(?2, '$.told_at_ms', ?4), ?3)";
    c.prepare_cached(upsert)?.execute(params![worker.worker_id, to_json(worker)?, after(now_ms, ttl), now_ms])?;
    Ok(())
}

fn forget(c: &Connection, worker_id: &str) -> Result<(), WriteError> {
    c.prepare_cached("DELETE FROM workers WHERE worker_id = ?1")?.execute([worker_id])?;
    Ok(())
}

fn alive(c: &Connection, now_ms: i64) -> rusqlite::Result<Vec<WorkerInfo>> {
    let mut query = c.prepare_cached(
        "SELECT info, json_extract(info, '$.told_at_ms') FROM workers WHERE until_ms > ?1 ORDER BY worker_id",
    )?;
    query.query_map([now_ms], |row| Ok(row.get::<_, Json<WorkerInfo>>(0)?.0.read_at(row.get(1)?, now_ms)))?.collect()
}
