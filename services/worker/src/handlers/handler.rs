//! The trait of a handler; its outcome is a value.

use std::sync::Arc;

use async_trait::async_trait;
use paceline_core::job::Job;
use paceline_core::outcome::Outcome;

/// A handler's knowledge besides the job.
#[derive(Debug, Clone)]
pub struct JobContext {
    /// 1 for the first attempt. Crashes and shutdowns do not count.
    pub attempt: u32,
    pub worker_id: Arc<str>,
}

/// Runs at least once for every job: the effects that Paceline itself makes (document, counters) happen exactly once, and a
/// handler with effects of its own uses `job.job_id` as its idempotency key.
#[async_trait]
pub trait Handler: Send + Sync + 'static {
    /// The future is dropped at the job's deadline; a panic counts as a retry.
    async fn handle(&self, job: &Job, context: &JobContext) -> Outcome;
}
