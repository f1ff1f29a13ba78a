//! A document: the one thing that the sink stores of a job and group, keyed by the job's id.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::ids::{JobId, RunId};

/// The two ways in which a job ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Completed,
    Dead,
}

impl Status {
    pub fn name(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Dead => "dead",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        [Self::Completed, Self::Dead].into_iter().find(|status| status.name() == name)
    }
}

/// Times are milliseconds since the Unix epoch. Field names on the wire are camelCase, as in the sink's mapping.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Document {
    pub job_id: String,
    pub run_id: RunId,
    pub queue: String,
    pub group: String,
    pub seq: u64,
    pub status: Status,
    /// The attempt that ended the job. The sink takes it for the document's version, so an older attempt cannot overwrite a newer one.
    pub attempts: u32,
    pub scheduled_at: i64,
    pub enqueued_at: i64,
    pub started_at: i64,
    pub completed_at: i64,
    /// The time from due to started.
    pub wait_ms: u64,
    /// The time from started to ended.
    pub run_ms: u64,
    pub worker_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// The reason of a dead job.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    pub payload: Map<String, Value>,
}

impl Document {
    pub fn id(&self) -> JobId {
        JobId::new(self.run_id.clone(), self.seq)
    }
}

/// Fields that Paceline itself writes into every job; a payload may not use them.
pub const RESERVED_FIELDS: [&str; 19] = [
    "jobId",
    "runId",
    "queue",
    "group",
    "seq",
    "status",
    "attempts",
    "scheduledAt",
    "enqueuedAt",
    "startedAt",
    "completedAt",
    "waitMs",
    "runMs",
    "workerId",
    "traceId",
    "error",
    "payload",
    "number",
    "square",
];
