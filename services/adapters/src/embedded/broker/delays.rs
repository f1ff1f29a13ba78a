//! Brings delayed messages back to their queue when they are due.

use std::sync::Arc;
use std::time::Duration;

use paceline_core::Result;

use super::queue::MemoryQueue;
use super::shared::SharedQueues;
use super::store;

/// Messages that come back in one transaction.
const BATCH: usize = 1_000;
/// The longest sleep: bounds the effect of a wall clock that is set.
const SLEEP_MAX: Duration = Duration::from_secs(5);

pub async fn bring_back_for_ever(shared: Arc<SharedQueues>) {
    loop {
        let sleep = match bring_back(&shared).await {
            Ok(sleep) => sleep,
            Err(error) => {
                tracing::warn!(%error, "delayed messages cannot be read");
                SLEEP_MAX
            }
        };
        tokio::select! {
            () = tokio::time::sleep(sleep) => (),
            () = shared.delayed.notified() => (),
        }
    }
}

/// Moves what is due and answers how long until the next.
async fn bring_back(shared: &Arc<SharedQueues>) -> Result<Duration> {
    let Some(due_ms) = shared.database.read(store::next_due_ms).await? else { return Ok(SLEEP_MAX) };
    let now_ms = shared.clock.wall_ms();
    if due_ms > now_ms {
        return Ok(Duration::from_millis(u64::try_from(due_ms - now_ms).unwrap_or(0)).min(SLEEP_MAX));
    }
    let mut moved = 0;
    for queue in shared.all_queues() {
        moved += move_due(shared, queue, now_ms).await?;
    }
    // Due, but of a queue that nobody has declared since the start: it waits for that.
    Ok(if moved == 0 { Duration::from_millis(200) } else { Duration::ZERO })
}

async fn move_due(shared: &Arc<SharedQueues>, queue: Arc<MemoryQueue>, now_ms: i64) -> Result<usize> {
    let writer = queue.clone();
    let change = move |connection: &rusqlite::Connection| {
        let due = store::take_due(connection, writer.number, now_ms, BATCH)?;
        let first_id = writer.reserve_ids(due.len());
        store::append(connection, writer.number, first_id, &due)?;
        Ok((first_id, due))
    };
    let after = move |(first_id, due): (i64, Vec<_>)| {
        let moved = due.len();
        queue.committed(first_id, due);
        moved
    };
    shared.database.write_then(change, after).await
}
