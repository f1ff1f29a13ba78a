//! Watching a run: its snapshot now, then at each change, paced so that neither the watcher nor the ledger is flooded.

use std::time::Duration;

use futures::stream::{self, Stream};
use paceline_core::Result;
use paceline_core::run::Snapshot;

use super::handle::SchedulerHandle;

/// At most five updates a second.
const CHANGE_INTERVAL: Duration = Duration::from_millis(200);
/// At least one update in five seconds, also without a change: it shows that the watch is alive.
const QUIET_READS_MAX: u32 = 24;

struct Watch {
    scheduler: SchedulerHandle,
    last: Snapshot,
    is_first: bool,
}

/// Begins with `first` and ends after the update that shows the run ended, or after an error.
pub fn watch(scheduler: SchedulerHandle, first: Snapshot) -> impl Stream<Item = Result<Snapshot>> + Send {
    let state = Watch { scheduler, last: first, is_first: true };
    stream::unfold(Some(state), |state| async {
        let mut state = state?;
        if std::mem::take(&mut state.is_first) {
            return Some((Ok(state.last.clone()), Some(state)));
        }
        if state.last.record.state.is_terminal() {
            return None;
        }
        match next(&state).await {
            Err(error) => Some((Err(error), None)),
            Ok(snapshot) => {
                state.last = snapshot.clone();
                Some((Ok(snapshot), Some(state)))
            }
        }
    })
}

async fn next(state: &Watch) -> Result<Snapshot> {
    let mut quiet_reads = 0;
    loop {
        tokio::time::sleep(CHANGE_INTERVAL).await;
        let snapshot = state.scheduler.get(&state.last.record.spec.run_id).await?;
        quiet_reads += 1;
        if is_different(&snapshot, &state.last) || quiet_reads >= QUIET_READS_MAX {
            return Ok(snapshot);
        }
    }
}

/// True if anything but the time of reading (and of the lease's renewal) differs.
fn is_different(new: &Snapshot, old: &Snapshot) -> bool {
    let mut old = old.clone();
    old.read_at_ms = new.read_at_ms;
    old.record.pacing = new.record.pacing;
    *new != old
}
