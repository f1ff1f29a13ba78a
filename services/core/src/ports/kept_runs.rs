//! The kept-runs port: a copy of every run beside the documents, from which a ledger that was lost is rebuilt.

use async_trait::async_trait;

use crate::error::Result;
use crate::ids::RunId;
use crate::run::KeptRun;

/// The conformance suite `keeping_runs` checks what is said here.
#[async_trait]
pub trait KeptRuns: Send + Sync + 'static {
    /// Keeps a copy of a run, keyed by the run's id. A copy with a lower (revision, cursor) than the kept one changes nothing, and is no
    /// error.
    async fn keep(&self, run: &KeptRun) -> Result<()>;

    /// The copy of a run, readable at once after [`KeptRuns::keep`]; `None` if nothing is kept.
    async fn find(&self, run: &RunId) -> Result<Option<KeptRun>>;

    /// A page of the kept runs in ascending order of their ids, at most `limit` (1 to 1,000), after everything kept before the call
    /// has become visible. `after` is the last id of the page before.
    async fn list(&self, after: Option<&RunId>, limit: usize) -> Result<Vec<KeptRun>>;
}
