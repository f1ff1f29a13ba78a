//! The workers port: those that are alive, in one hash, whose entries carry the end of their ttl by the server's clock.

use std::time::Duration;

use async_trait::async_trait;
use paceline_core::Result;
use paceline_core::ports::Workers;
use paceline_core::ports::workers::WorkerInfo;
use redis::cmd;
use serde::Deserialize;

use super::fields::{from_json, to_json, ttl_ms};
use super::ledger::RedisLedger;

/// The fields that `heartbeat.lua` adds to a worker's word; the script of an older version adds none.
#[derive(Deserialize)]
struct Told {
    told_at_ms: Option<i64>,
}

#[async_trait]
impl Workers for RedisLedger {
    async fn announce(&self, worker: &WorkerInfo, ttl: Duration) -> Result<()> {
        let mut heartbeat = self.scripts.heartbeat.prepare_invoke();
        heartbeat.key(self.keys.workers_alive()).arg(&worker.worker_id).arg(ttl_ms(ttl)).arg(to_json(worker)?);
        self.connection.script("worker", &heartbeat).await
    }

    async fn forget(&self, worker_id: &str) -> Result<()> {
        self.connection.command(cmd("HDEL").arg(self.keys.workers_alive()).arg(worker_id)).await
    }

    async fn alive(&self) -> Result<Vec<WorkerInfo>> {
        let mut workers = self.scripts.workers.prepare_invoke();
        workers.key(self.keys.workers_alive());
        let (now_ms, alive): (i64, Vec<String>) = self.connection.script("workers", &workers).await?;
        let read = |info: &String| {
            let Told { told_at_ms } = from_json(info)?;
            Ok(from_json::<WorkerInfo>(info)?.read_at(told_at_ms, now_ms))
        };
        let mut alive = alive.iter().map(read).collect::<Result<Vec<WorkerInfo>>>()?;
        alive.sort_by(|a, b| a.worker_id.cmp(&b.worker_id));
        Ok(alive)
    }
}
