//! The workers port: each call goes over the network to the model, and the oracle sees its effect.

use std::time::Duration;

use async_trait::async_trait;
use paceline_core::Result;
use paceline_core::ports::workers::{WorkerInfo, Workers};

use super::SimLedger;
use crate::net::Call;

#[async_trait]
impl Workers for SimLedger {
    async fn announce(&self, worker: &WorkerInfo, ttl: Duration) -> Result<()> {
        let worker = worker.clone();
        let call = Call::idempotent("heartbeat", String::new());
        self.0
            .call(call, move |state, at| {
                state.ledger.heartbeat(at.now_ms, &worker, ttl);
                Ok(())
            })
            .await
    }

    async fn forget(&self, worker_id: &str) -> Result<()> {
        let worker_id = worker_id.to_owned();
        self.0
            .call(Call::idempotent("forget_worker", String::new()), move |state, _| {
                state.ledger.forget_worker(&worker_id);
                Ok(())
            })
            .await
    }

    async fn alive(&self) -> Result<Vec<WorkerInfo>> {
        self.0.call(Call::idempotent("workers", String::new()), |state, at| Ok(state.ledger.workers(at.now_ms))).await
    }
}
