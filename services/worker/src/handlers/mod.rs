//! What is done for a job. A handler is looked up by the job's handler name; its outcome is a value.

mod record;
mod simulate;

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use paceline_core::job::Job;
use paceline_core::outcome::Outcome;

pub use record::Record;
pub use simulate::Simulate;

/// What a handler may know besides the job.
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
    /// Is dropped at its deadline; a panic counts as a retry.
    async fn handle(&self, job: &Job, context: &JobContext) -> Outcome;
}

/// The handlers of a worker, by name.
#[derive(Clone)]
pub struct Handlers(Arc<BTreeMap<String, Arc<dyn Handler>>>);

impl Handlers {
    /// The ones that every worker has.
    pub fn builtin() -> Self {
        Self(Arc::new(BTreeMap::new())).with("record", Record).with("simulate", Simulate)
    }

    /// Adds or replaces one.
    pub fn with(self, name: &str, handler: impl Handler) -> Self {
        let mut all = (*self.0).clone();
        all.insert(name.to_owned(), Arc::new(handler));
        Self(Arc::new(all))
    }

    pub fn get(&self, name: &str) -> Option<&Arc<dyn Handler>> {
        self.0.get(name)
    }

    pub fn names(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }
}
