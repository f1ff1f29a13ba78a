//! Makes a run's numbers close again after a service lost something: the sink is the source of truth about what was done.
//!
//! [`heal`] is what a run's owner does by itself: what the sink has and the ledger did not count is counted, and what neither
//! has is answered, to be published again. [`repair`] is the same on demand, and looks for the opposite loss too: jobs that are
//! counted and have no document any more. Both may run at any time, also twice, because every step is idempotent.

use serde::{Deserialize, Serialize};

use crate::document::Status;
use crate::error::codes;
use crate::error::{Error, Result};
use crate::ids::{JobId, RunId};
use crate::job::{Range, range_jobs};
use crate::ports::counts::EndedJob;
use crate::ports::documents::StoredId;
use crate::ports::{Counts, DocumentReader, Ledger, RangePublisher, Workers};
use crate::run::{RunSpec, Snapshot};
use crate::seqset::SeqSet;
use crate::trace::Sampling;
use crate::verify::collect;

/// The worker under which the ledger counts what it had not counted: who did it stands in the document.
pub const HEALER: &str = "healed";
/// Ids that one request asks the sink for, and jobs that one call counts or forgets.
const PAGE_IDS: usize = 10_000;
/// Sorts after every job id, so a page begins with the next seq.
const AFTER_EVERY_ID: &str = "\u{10ffff}";

/// The numbers of a [`heal`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Healed {
    /// Jobs that were stored, and are counted now.
    pub counted: u64,
    /// Jobs that are neither counted nor stored.
    pub lost: SeqSet,
}

/// The numbers of a [`repair`]. Serialized as is, it is part of the answer of `paceline verify --repair --json`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repaired {
    /// Jobs that were stored, and are counted now.
    pub counted: u64,
    /// Jobs that were counted without having a document: not counted any more.
    pub forgotten: u64,
    /// Jobs that are on their way again.
    pub published: u64,
    /// Jobs that are neither counted nor stored, but may still be queued or at work, so they were left alone.
    pub waiting: u64,
}

/// Counts the jobs below `end` that the sink has and the ledger has not counted, and answers those that neither has.
pub async fn heal(
    counts: &dyn Counts,
    documents: &dyn DocumentReader,
    run: &RunId,
    group: &str,
    end: u64,
) -> Result<Healed> {
    let mut lost = SeqSet::up_to(end).minus(&counts.counted(run, group).await?);
    let mut counted = 0;
    // The first page of a run, as the port says, makes everything visible that is stored by now.
    documents.ids(run, None, 1).await?;
    let mut after = lost.next_from(0).map(just_before);
    while let Some(place) = after {
        let page = documents.ids(run, place.as_ref(), PAGE_IDS).await?;
        let stored: Vec<EndedJob> =
            page.iter().filter(|id| lost.contains(id.seq) && is_own(run, id)).map(|id| settled(run, id)).collect();
        if !stored.is_empty() {
            counted += counts.record(group, HEALER, &stored).await?.counted;
            stored.iter().for_each(|job| lost.remove(job.seq));
        }
        after = match page.into_iter().nth(PAGE_IDS - 1) {
            // Somebody else's documents may claim the same seq: go on after exactly this one.
            Some(end) if lost.contains(end.seq) => Some(Some(end)),
            Some(end) => lost.next_from(end.seq).map(just_before),
            None => None,
        };
    }
    Ok(Healed { counted, lost })
}

/// Ranges for the jobs of `lost` of a run of `spec`, due now, at most `ranges_max` of them.
pub fn ranges(lost: &SeqSet, spec: &RunSpec, now_ms: i64, ranges_max: usize) -> Vec<Range> {
    let stretches = lost.stretches(range_jobs(spec)).take(ranges_max);
    stretches.map(|(first, count)| Range { first, count, scheduled_at_ms: now_ms }).collect()
}

/// Counts what is stored, forgets what is counted and not stored, and publishes again what is lost. `NotFound`: the ledger does
/// not know the run; `paceline doctor --rebuild-counters` restores it if the sink does.
pub async fn repair(
    ledger: &Ledger,
    documents: &dyn DocumentReader,
    publisher: &dyn RangePublisher,
    run: &RunId,
    group: &str,
    now_ms: i64,
) -> Result<Repaired> {
    let before = snapshot(&*ledger.counts, run, group).await?;
    before.record.spec.groups.check(group)?;
    let undone = without_document(&*ledger.counts, documents, run, group, before.enqueued).await?;
    let mut forgotten = 0;
    let seqs: Vec<u64> = undone.iter().collect();
    for part in seqs.chunks(PAGE_IDS) {
        forgotten += ledger.counts.forget(run, group, part).await?;
    }
    // A job that is reserved and not confirmed is its owner's to publish.
    let outstanding = ledger.ranges.outstanding(run).await?;
    let end = outstanding.first().map_or(before.enqueued, |range| range.first);
    // Asked before the bitmaps are read: what is done in between is then counted, and not published again.
    let is_idle = before.record.state.is_terminal() || is_idle(ledger, publisher, &before, group).await?;
    let Healed { counted, lost } = heal(&*ledger.counts, documents, run, group, end).await?;
    let again = if is_idle { lost.clone() } else { lost.intersection(&undone) };
    for range in ranges(&again, &before.record.spec, now_ms, usize::MAX) {
        publisher.publish(run, &range, Sampling::NONE).await?;
    }
    Ok(Repaired { counted, forgotten, published: again.len(), waiting: lost.minus(&again).len() })
}

/// True if nothing of the run can be queued or at work.
pub async fn is_idle(
    ledger: &Ledger,
    publisher: &dyn RangePublisher,
    snapshot: &Snapshot,
    group: &str,
) -> Result<bool> {
    let spec = &snapshot.record.spec;
    let depth = publisher.depth(&spec.run_id).await?;
    if depth.ready > 0 || depth.delayed > 0 {
        return Ok(false);
    }
    Ok(held(&*ledger.workers, depth.unacked, &spec.queue, group).await? == 0)
}

/// Deliveries of a queue that are in workers' hands: by the broker, or else by what the workers say.
pub async fn held(workers: &dyn Workers, unacked: Option<u64>, queue: &str, group: &str) -> Result<u64> {
    if let Some(unacked) = unacked {
        return Ok(unacked);
    }
    let workers = workers.alive().await?;
    let of_queue = workers.iter().filter(|worker| worker.group == group && worker.queue.split(',').any(|q| q == queue));
    Ok(of_queue.map(|worker| worker.held).sum())
}

/// Jobs that are counted and have no document. The bitmap is read first, because a document is stored before its job is counted.
async fn without_document(
    counts: &dyn Counts,
    documents: &dyn DocumentReader,
    run: &RunId,
    group: &str,
    cursor: u64,
) -> Result<SeqSet> {
    let counted = counts.counted(run, group).await?;
    let documents = collect::scan(counts, documents, run, group, cursor).await?;
    Ok(counted.minus(&documents.completed.union(&documents.dead)))
}

async fn snapshot(counts: &dyn Counts, run: &RunId, group: &str) -> Result<Snapshot> {
    let snapshot = counts.snapshot(run, group).await?;
    snapshot.ok_or_else(|| {
        Error::not_found(format!(
            "no run {run} in the ledger; if the ledger was lost: `paceline doctor --rebuild-counters`"
        ))
        .coded(codes::RUN_UNKNOWN)
    })
}

/// The place in the order of ids before every document of `seq`; `None` is the beginning.
fn just_before(seq: u64) -> Option<StoredId> {
    let before = seq.checked_sub(1)?;
    Some(StoredId { job_id: AFTER_EVERY_ID.into(), seq: before, status: Status::Completed })
}

fn is_own(run: &RunId, stored: &StoredId) -> bool {
    JobId::new(run.clone(), stored.seq).to_string() == stored.job_id
}

fn settled(run: &RunId, stored: &StoredId) -> EndedJob {
    EndedJob { run: run.clone(), seq: stored.seq, dead: stored.status == Status::Dead }
}
