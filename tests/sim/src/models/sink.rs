//! The sink as a state machine: documents by (run, job id), the newest attempt wins, and the runs that are kept.

use std::collections::{BTreeMap, BTreeSet};

use paceline_core::document::{Document, Status};
use paceline_core::ids::RunId;
use paceline_core::ports::documents::{StoredId, Verdict, refusal};
use paceline_core::run::KeptRun;
use paceline_core::{Error, Result};

#[derive(Default)]
pub struct SinkModel {
    documents: BTreeMap<RunId, BTreeMap<String, Document>>,
    kept: BTreeMap<RunId, KeptRun>,
    /// Runs that it will not keep.
    pub refused: BTreeSet<RunId>,
    /// The number of times that a refused run was brought to the sink.
    pub refusals: usize,
}

impl SinkModel {
    /// Stores one document, or says why it never will.
    pub fn upsert(&mut self, document: &Document) -> Verdict {
        if let Some(reason) = refusal(document) {
            return Verdict::Reject { reason };
        }
        let of_run = self.documents.entry(document.run_id.clone()).or_default();
        let is_newer = of_run.get(&document.job_id).is_none_or(|stored| stored.attempts < document.attempts);
        if is_newer {
            of_run.insert(document.job_id.clone(), document.clone());
        }
        Verdict::Stored
    }

    pub fn of_run(&self, run: &RunId) -> impl Iterator<Item = &Document> {
        self.documents.get(run).into_iter().flat_map(BTreeMap::values)
    }

    pub fn count(&self, run: &RunId, status: Status) -> u64 {
        self.of_run(run).filter(|document| document.status == status).count() as u64
    }

    pub fn ids(&self, run: &RunId, after: Option<&StoredId>, limit: usize) -> Vec<StoredId> {
        let mut all: Vec<StoredId> = self
            .of_run(run)
            .map(|found| StoredId { job_id: found.job_id.clone(), seq: found.seq, status: found.status })
            .filter(|id| after.is_none_or(|after| (after.seq, &after.job_id) < (id.seq, &id.job_id)))
            .collect();
        all.sort_by(|a, b| (a.seq, &a.job_id).cmp(&(b.seq, &b.job_id)));
        all.truncate(limit);
        all
    }

    pub fn get(&self, run: &RunId, job_id: &str) -> Option<&Document> {
        self.documents.get(run)?.get(job_id)
    }

    pub fn delete(&mut self, run: &RunId, job_id: &str) -> bool {
        self.documents.get_mut(run).is_some_and(|of_run| of_run.remove(job_id).is_some())
    }

    pub fn keep_run(&mut self, kept: &KeptRun) -> Result<()> {
        let run = &kept.spec.run_id;
        if self.refused.contains(run) {
            self.refusals += 1;
            return Err(Error::unavailable(format!("run {run} is refused")));
        }
        let is_older =
            self.kept.get(run).is_some_and(|found| (kept.revision, kept.cursor) < (found.revision, found.cursor));
        if !is_older {
            self.kept.insert(run.clone(), kept.clone());
        }
        Ok(())
    }

    pub fn kept_run(&self, run: &RunId) -> Option<KeptRun> {
        self.kept.get(run).cloned()
    }

    pub fn kept_runs(&self, after: Option<&RunId>, limit: usize) -> Vec<KeptRun> {
        let later = self.kept.iter().filter(|(run, _)| after.is_none_or(|after| *run > after));
        later.take(limit).map(|(_, kept)| kept.clone()).collect()
    }
}
