//! The workers port: the registry of workers that are alive, and how full their hands are.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::error::Result;

/// A worker's state on one of its queues.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct QueueLoad {
    /// Jobs that it may hold at once.
    pub slots: u64,
    /// Jobs that it holds now.
    pub held: u64,
    /// Jobs that the worker settled, a second, in the window that ends at `measured_at_ms`.
    pub per_second: f64,
    /// The mean time from taking a job to settling it, over the same window; unset before the first job has ended.
    pub hold_ms: Option<f64>,
    /// The end of the window in which `per_second` and `hold_ms` were measured: the last one in which a job ended.
    pub measured_at_ms: Option<i64>,
}

/// A worker as it announces itself. Workers of older versions leave out the fields that have a default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WorkerInfo {
    pub worker_id: String,
    /// The version of the worker's software; empty if the worker did not say.
    #[serde(default)]
    pub version: String,
    pub queue: String,
    pub group: String,
    pub host: String,
    pub pid: u32,
    pub started_at_ms: i64,
    /// The time of the heartbeat, by the worker's clock.
    pub heartbeat_at_ms: i64,
    /// The time since the heartbeat reached the ledger, by the ledger's clock. The ledger fills it in; a worker does not tell it.
    #[serde(skip)]
    pub age_ms: u64,
    pub processed: u64,
    pub dead: u64,
    pub retried: u64,
    /// Deliveries that it has taken and not settled yet.
    #[serde(default)]
    pub held: u64,
    /// The number of times that the worker found, on waking up, that it had been stopped or hung for so long that its jobs went to others.
    #[serde(default)]
    pub stalled: u64,
    /// The load of each queue, by the queue's name.
    #[serde(default)]
    pub loads: BTreeMap<String, QueueLoad>,
    /// The share of the last seconds in which the worker's threads computed, 0 to 1; unset where that is not known.
    #[serde(default)]
    pub busy: Option<f64>,
    /// The worker takes no more jobs, and finishes those that it holds.
    #[serde(default)]
    pub is_stopping: bool,
    /// Sink requests, and the documents in them.
    pub batches: u64,
    pub batched_documents: u64,
    /// The times from due to stored, as a base64 V2 HDR histogram of milliseconds since the worker started; mergeable across workers.
    pub stored_latency: String,
}

impl WorkerInfo {
    /// The worker as it is at `now_ms`, if the heartbeat reached the ledger at `told_at_ms`, both by the ledger's clock. A ledger of an
    /// older version did not note the latter; then the time that the worker gave counts.
    pub fn read_at(self, told_at_ms: Option<i64>, now_ms: i64) -> Self {
        let told_at_ms = told_at_ms.unwrap_or(self.heartbeat_at_ms);
        Self { age_ms: u64::try_from(now_ms.saturating_sub(told_at_ms)).unwrap_or(0), ..self }
    }
}

/// The conformance suite `workers` checks these promises.
#[async_trait]
pub trait Workers: Send + Sync + 'static {
    /// Announces a worker; it is forgotten `ttl` after its last heartbeat.
    async fn announce(&self, worker: &WorkerInfo, ttl: Duration) -> Result<()>;

    /// Takes a worker off the list at its graceful stop.
    async fn forget(&self, worker_id: &str) -> Result<()>;

    /// The workers whose heartbeat is still good, each with its age by the ledger's clock.
    async fn alive(&self) -> Result<Vec<WorkerInfo>>;
}
