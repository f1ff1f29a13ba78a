//! Gathers the evidence over the ports, in an order that makes sense while the run is still going.
//!
//! A document is stored before its job is counted. So the bitmaps are read first and the sink after them: whatever the
//! bitmaps hold must be in the sink, at any time. A job is reserved before it is stored. So the cursor that decides what is
//! foreign is read after the document was seen.

use crate::document::Status;
use crate::error::codes;
use crate::error::{Error, Result};
use crate::ids::{JobId, RunId};
use crate::ports::documents::StoredId;
use crate::ports::{Counts, DocumentReader};
use crate::run::Snapshot;
use crate::seqset::SeqSet;

use super::verification::IDS_LISTED_MAX;

/// Ids that one request asks the sink for.
const PAGE_IDS: usize = 10_000;

/// The numbers and ids of ledger and sink about one run.
#[derive(Debug, Clone)]
pub struct Evidence {
    /// Read before anything else.
    pub before: Snapshot,
    /// Read after everything else; if it differs in its numbers, the run moved meanwhile.
    pub after: Snapshot,
    pub counted: SeqSet,
    /// The dead ones among the counted.
    pub dead: SeqSet,
    pub documents: Documents,
}

/// A run's documents, as sets. Its memory is bounded by the run's cursor, whatever strangers put into the sink.
#[derive(Debug, Clone, Default)]
pub struct Documents {
    pub completed: SeqSet,
    pub dead: SeqSet,
    /// Documents that are no job of this run, at most [`IDS_LISTED_MAX`]; `foreign_count` is complete.
    pub foreign: Vec<String>,
    pub foreign_count: u64,
    /// Documents of a job that has another one already.
    pub repeated_count: u64,
}

/// Reads all of it. Pages of the sink are scanned one after the other; nothing but sets is kept of them.
pub async fn collect(
    counts: &dyn Counts,
    documents: &dyn DocumentReader,
    run: &RunId,
    group: &str,
) -> Result<Evidence> {
    let before = snapshot(counts, run, group).await?;
    before.record.spec.groups.check(group)?;
    // In this order the dead are among the counted, whatever is counted between the two.
    let dead = counts.dead(run, group).await?;
    let counted = counts.counted(run, group).await?;
    let documents = scan(counts, documents, run, group, before.enqueued).await?;
    let after = snapshot(counts, run, group).await?;
    Ok(Evidence { before, after, counted, dead, documents })
}

async fn snapshot(counts: &dyn Counts, run: &RunId, group: &str) -> Result<Snapshot> {
    let snapshot = counts.snapshot(run, group).await?;
    snapshot.ok_or_else(|| {
        Error::not_found(format!("no run {run}; `paceline run list` shows them")).coded(codes::RUN_UNKNOWN)
    })
}

/// Every document of a run, page after page; `cursor` is what the ledger says before.
pub(crate) async fn scan(
    counts: &dyn Counts,
    reader: &dyn DocumentReader,
    run: &RunId,
    group: &str,
    mut cursor: u64,
) -> Result<Documents> {
    let mut documents = Documents::default();
    let mut last: Option<StoredId> = None;
    loop {
        let page = reader.ids(run, last.as_ref(), PAGE_IDS).await?;
        let Some(end) = page.last().cloned() else { return Ok(documents) };
        // The sink's promise, checked: without it this loop would not end.
        if last.as_ref().is_some_and(|last| (last.seq, &last.job_id) >= (end.seq, &end.job_id)) {
            return Err(Error::internal(format!("the sink's pages of run {run} do not advance beyond {}", end.job_id)));
        }
        if end.seq >= cursor {
            // Reserved since the last reading, or foreign: the ledger knows.
            cursor = self::snapshot(counts, run, group).await?.enqueued;
        }
        page.iter().for_each(|stored| documents.add(run, cursor, stored));
        last = Some(end);
    }
}

impl Documents {
    fn add(&mut self, run: &RunId, cursor: u64, stored: &StoredId) {
        let is_ours = stored.seq < cursor && JobId::new(run.clone(), stored.seq).to_string() == stored.job_id;
        if !is_ours {
            self.foreign_count += 1;
            if self.foreign.len() < IDS_LISTED_MAX {
                self.foreign.push(stored.job_id.clone());
            }
            return;
        }
        let set = match stored.status {
            Status::Completed => &mut self.completed,
            Status::Dead => &mut self.dead,
        };
        if !set.insert(stored.seq) {
            self.repeated_count += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(job_id: &str, seq: u64, status: Status) -> StoredId {
        StoredId { job_id: job_id.into(), seq, status }
    }

    #[test]
    fn documents_are_ours_only_with_the_right_id_below_the_cursor() {
        let run = RunId::parse("r").unwrap();
        let mut documents = Documents::default();
        for page in [
            stored("r-0", 0, Status::Completed),
            stored("r-0", 0, Status::Completed),
            stored("r-1", 1, Status::Dead),
            stored("other", 2, Status::Completed),
            stored("r-02", 2, Status::Completed),
            stored("r-3", 3, Status::Completed),
            // As far out as can be: must not cost memory.
            stored(&format!("r-{}", u64::MAX), u64::MAX, Status::Completed),
        ] {
            documents.add(&run, 3, &page);
        }
        assert_eq!(documents.completed, [0].into_iter().collect());
        assert_eq!(documents.dead, [1].into_iter().collect());
        assert_eq!(documents.repeated_count, 1);
        assert_eq!(documents.foreign_count, 4);
        assert_eq!(documents.foreign, ["other", "r-02", "r-3", &format!("r-{}", u64::MAX)]);
    }

    #[test]
    fn the_list_of_foreign_ids_is_capped_and_their_count_is_not() {
        let run = RunId::parse("r").unwrap();
        let mut documents = Documents::default();
        (0..IDS_LISTED_MAX as u64 + 5).for_each(|seq| documents.add(&run, 0, &stored("x", seq, Status::Dead)));
        assert_eq!((documents.foreign.len(), documents.foreign_count), (IDS_LISTED_MAX, IDS_LISTED_MAX as u64 + 5));
    }
}
