//! Handlers: the code that does a job, looked up by the job's handler name.
//!
//! In this room: the trait, and the handlers that every worker has. A handler sees its job and its context alone.

mod handler;
mod record;
mod simulate;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use handler::{Handler, JobContext};
pub use record::Record;
pub use simulate::Simulate;

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
