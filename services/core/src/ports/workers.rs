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
    /// Jobs that left its hands, a second.
    pub per_second: f64,
    /// From taken to settled, the mean of those jobs; unset before the first one.
    pub hold_ms: Option<f64>,
    /// The end of the window that both are of: the last one in which a job ended.
    pub measured_at_ms: Option<i64>,
}

/// A worker as it announces itself. What has a default is not said by workers of older versions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WorkerInfo {
    pub worker_id: String,
    /// Of its software; empty where it did not say.
    #[serde(default)]
    pub version: String,
    pub queue: String,
    pub group: String,
    pub host: String,
    pub pid: u32,
    pub started_at_ms: i64,
    /// By the worker's clock.
    pub heartbeat_at_ms: i64,
    /// Since the ledger was told so, by the ledger's clock. The ledger says it; it is no part of what a worker tells.
    #[serde(skip)]
    pub age_ms: u64,
    pub processed: u64,
    pub dead: u64,
    pub retried: u64,
    /// Deliveries that it has taken and not settled yet.
    #[serde(default)]
    pub held: u64,
    /// How often it found, on waking up, that it had been stopped or hung for so long that its jobs went to others.
    #[serde(default)]
    pub stalled: u64,
    /// By queue.
    #[serde(default)]
    pub loads: BTreeMap<String, QueueLoad>,
    /// The share of the last seconds in which its threads computed, 0 to 1; unset where that is not known.
    #[serde(default)]
    pub busy: Option<f64>,
    /// It takes no more, and finishes what it holds.
    #[serde(default)]
    pub is_stopping: bool,
    /// Sink requests, and the documents in them.
    pub batches: u64,
    pub batched_documents: u64,
    /// From due to stored, as a base64 V2 HDR histogram of milliseconds since the worker started; mergeable across workers.
    pub stored_latency: String,
}

impl WorkerInfo {
    /// As it was told at `told_at_ms`, and is read at `now_ms`, both by the ledger's clock. A ledger of an older version did not note the
    /// former; then the worker's word has to do.
    pub fn read_at(self, told_at_ms: Option<i64>, now_ms: i64) -> Self {
        let told_at_ms = told_at_ms.unwrap_or(self.heartbeat_at_ms);
        Self { age_ms: u64::try_from(now_ms.saturating_sub(told_at_ms)).unwrap_or(0), ..self }
    }
}

/// The conformance suite `workers` checks what is said here.
#[async_trait]
pub trait Workers: Send + Sync + 'static {
    /// Announces a worker; it is forgotten `ttl` after its last heartbeat.
    async fn announce(&self, worker: &WorkerInfo, ttl: Duration) -> Result<()>;

    /// Takes a worker off the list at its graceful stop.
    async fn forget(&self, worker_id: &str) -> Result<()>;

    /// The workers whose heartbeat is still good, each with its age by the ledger's clock.
    async fn alive(&self) -> Result<Vec<WorkerInfo>>;
}
