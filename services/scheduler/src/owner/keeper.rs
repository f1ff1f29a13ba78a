//! Keeps a copy of a run in the sink, from which a lost ledger is rebuilt, and by which a ledger that went back in time is noticed.
//!
//! In the background, at every new revision and every few seconds while the cursor moves: a sink that is away delays nothing. The
//! end of a run, which comes after its last owner, is kept by [`super::endings`].

use std::time::Duration;

use paceline_core::Result;
use paceline_core::ids::RunId;
use paceline_core::run::{KeptRun, RunRecord};
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;

use crate::context::Context;

/// The longest time by which the kept cursor lags behind.
const KEEP_INTERVAL: Duration = Duration::from_secs(5);
const RETRY_DELAY: Duration = Duration::from_secs(1);

pub struct Keeper {
    /// (revision, cursor) of the copy that is kept.
    kept: Option<(u64, u64)>,
    task: JoinSet<Result<Kept>>,
    not_before: Instant,
}

/// The end of one try to keep a run.
struct Kept {
    at: (u64, u64),
    /// The copy that was kept before, if it says more than the ledger.
    ahead: Option<KeptRun>,
}

impl Keeper {
    pub fn new() -> Self {
        Self { kept: None, task: JoinSet::new(), not_before: Instant::now() }
    }

    /// Keeps `record` when it is time. Answers the copy that was kept before, if the ledger went back behind it.
    pub fn look(&mut self, context: &Context, record: &RunRecord) -> Option<KeptRun> {
        let ahead = self.task.try_join_next().and_then(|ended| self.note(&record.spec.run_id, ended));
        let at = (record.revision, record.cursor);
        let is_due = match self.kept {
            Some(kept) if kept.0 == at.0 => kept != at && Instant::now() >= self.not_before,
            Some(_) => true,
            None => Instant::now() >= self.not_before,
        };
        if is_due && self.task.is_empty() {
            self.not_before = Instant::now() + KEEP_INTERVAL;
            self.task.spawn(keep(context.clone(), record.clone()));
        }
        ahead
    }

    fn note(&mut self, run: &RunId, ended: std::result::Result<Result<Kept>, JoinError>) -> Option<KeptRun> {
        match ended {
            Ok(Ok(kept)) => {
                self.kept = Some(kept.at);
                return kept.ahead;
            }
            Ok(Err(error)) => tracing::debug!(%run, %error, "the run is not kept in the sink yet"),
            Err(panic) => tracing::error!(%run, %panic, "keeping the run ended badly"),
        }
        (self.kept, self.not_before) = (None, Instant::now() + RETRY_DELAY);
        None
    }
}

async fn keep(context: Context, run: KeptRun) -> Result<Kept> {
    let before = context.ports.sink.runs.find(&run.spec.run_id).await?;
    let ahead = before.filter(|kept| kept.revision > run.revision || kept.cursor > run.cursor);
    if ahead.is_none() {
        context.ports.sink.runs.keep(&run).await?;
    }
    Ok(Kept { at: (run.revision, run.cursor), ahead })
}
