//! The workers port: heartbeats, each good for a while.

use std::time::Duration;

use paceline_core::ports::workers::WorkerInfo;

use super::store::{LedgerModel, after};

impl LedgerModel {
    pub fn heartbeat(&mut self, now_ms: i64, worker: &WorkerInfo, ttl: Duration) {
        self.workers.retain(|_, (_, _, until_ms)| *until_ms > now_ms);
        self.workers.insert(worker.worker_id.clone(), (worker.clone(), now_ms, after(now_ms, ttl)));
    }

    pub fn forget_worker(&mut self, worker_id: &str) {
        self.workers.remove(worker_id);
    }

    pub fn workers(&self, now_ms: i64) -> Vec<WorkerInfo> {
        let alive = self.workers.values().filter(|(_, _, until_ms)| *until_ms > now_ms);
        alive.map(|(worker, told_at_ms, _)| worker.clone().read_at(Some(*told_at_ms), now_ms)).collect()
    }
}
