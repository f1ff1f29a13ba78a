//! The workers port, measured.

use std::time::Duration;

use async_trait::async_trait;
use paceline_core::Result;
use paceline_core::ports::workers::{WorkerInfo, Workers};

use super::super::call::metered;

metered!(MeteredWorkers, Workers, "ledger": heartbeat, forget_worker, workers);

#[async_trait]
impl Workers for MeteredWorkers {
    async fn announce(&self, worker: &WorkerInfo, ttl: Duration) -> Result<()> {
        self.calls.heartbeat.time(self.inner.announce(worker, ttl)).await
    }

    async fn forget(&self, worker_id: &str) -> Result<()> {
        self.calls.forget_worker.time(self.inner.forget(worker_id)).await
    }

    async fn alive(&self) -> Result<Vec<WorkerInfo>> {
        self.calls.workers.time(self.inner.alive()).await
    }
}
