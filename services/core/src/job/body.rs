//! The body of a message, as any AMQP client can write it, and the check of one that arrives.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::ids::{JobId, RunId};
use crate::ports::broker::Message;
use crate::run::PAYLOAD_BYTES_MAX;

/// The largest message that a worker accepts: the payload and our own fields.
pub const MESSAGE_BYTES_MAX: usize = PAYLOAD_BYTES_MAX + 4 * 1024;

/// The body of a message, as JSON. Any AMQP client can write one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Job {
    pub job_id: String,
    pub run_id: RunId,
    pub seq: u64,
    pub queue: String,
    pub handler: String,
    /// The moment it fell due, milliseconds since the Unix epoch.
    pub scheduled_at: i64,
    /// The moment its producer published it, milliseconds since the Unix epoch.
    pub enqueued_at: i64,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub payload: Map<String, Value>,
}

impl Job {
    /// Reads a message from a queue. The error is the reason for which it goes to the dead queue.
    pub fn decode(message: &Message) -> std::result::Result<Self, String> {
        if message.body.len() > MESSAGE_BYTES_MAX {
            return Err(format!("message of {} bytes is over the limit of {MESSAGE_BYTES_MAX}", message.body.len()));
        }
        if message.id.is_empty() {
            return Err("message has no id: set message_id to the jobId".into());
        }
        let job: Self =
            serde_json::from_slice(&message.body).map_err(|e| format!("body is not a Paceline job: {e}"))?;
        let is_own_id = JobId::parse(&job.job_id).is_some_and(|id| id.run == job.run_id && id.seq == job.seq);
        if !is_own_id {
            return Err(format!(
                "jobId {:?} is not <runId>-<seq> of the body ({}-{})",
                job.job_id, job.run_id, job.seq
            ));
        }
        if message.id != job.job_id {
            return Err(format!("message_id {:?} differs from the body's jobId {:?}", message.id, job.job_id));
        }
        Ok(job)
    }
}
