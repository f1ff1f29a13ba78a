//! Documents for one request to the sink, and the jobs that they belong to.

use std::time::Duration;

use paceline_core::document::{Document, Status};
use paceline_core::ports::documents::Verdict;

use crate::execution::{Death, shorten};
use crate::intake::HeldJob;
use crate::metrics::DeathClass;
use crate::spans::Way;

/// Documents and their jobs, index by index.
#[derive(Default)]
pub struct DocumentBatch {
    pub documents: Vec<Document>,
    pub held: Vec<HeldJob>,
}

impl DocumentBatch {
    pub fn new(held: Vec<HeldJob>) -> Self {
        let mut batch = Self { documents: Vec::with_capacity(held.len()), held: Vec::with_capacity(held.len()) };
        for mut held in held {
            batch.documents.push(held.execution.document.take().expect("a document is taken once"));
            batch.held.push(held);
        }
        batch
    }

    pub fn ways(&self) -> impl Iterator<Item = &Way> {
        self.held.iter().map(|held| &held.execution.way)
    }

    pub fn jobs(&mut self) -> impl Iterator<Item = (&Document, &mut Way)> {
        self.documents.iter().zip(&mut self.held).map(|(document, held)| (document, &mut held.execution.way))
    }

    /// Keeps the first `count` and answers the others.
    pub fn split_off(&mut self, count: usize) -> Self {
        let count = count.min(self.documents.len());
        Self { documents: self.documents.split_off(count), held: self.held.split_off(count) }
    }

    pub fn push(&mut self, document: Document, held: HeldJob) {
        self.documents.push(document);
        self.held.push(held);
    }

    pub fn append(&mut self, mut other: Self) {
        self.documents.append(&mut other.documents);
        self.held.append(&mut other.held);
    }

    /// Lets go of the jobs that a lost consumer held: none of them is stored yet, and they are delivered again, maybe to another worker.
    pub fn drop_lost(&mut self) {
        let is_live = |held: &HeldJob| held.execution.delivery.is_live();
        if self.held.iter().all(is_live) {
            return;
        }
        let all = std::mem::take(self);
        let jobs = all.documents.len();
        all.documents.into_iter().zip(all.held).filter(|(_, held)| is_live(held)).for_each(|(document, held)| {
            self.push(document, held);
        });
        tracing::info!(jobs = jobs - self.held.len(), "not stored: their consumer is gone, they are delivered again");
    }

    /// Moves the jobs that are stored to `stored` and keeps the rest; the longest pause that the sink asked for, if it did.
    pub fn split(&mut self, verdicts: Vec<Verdict>, stored: &mut Self) -> Option<Duration> {
        let all = std::mem::take(self);
        let mut pause = None;
        for ((verdict, document), mut held) in verdicts.into_iter().zip(all.documents).zip(all.held) {
            match verdict {
                Verdict::Stored => stored.push(document, held),
                Verdict::Retry { after, .. } => {
                    pause = pause.max(Some(after));
                    self.push(document, held);
                }
                Verdict::Reject { reason } if document.status == Status::Dead => {
                    let (run, trace) = (&document.run_id, document.trace_id.as_deref());
                    tracing::error!(%run, job = document.job_id, trace, reason, "the sink refuses even the record of a dead job");
                    stored.push(document, held);
                }
                Verdict::Reject { reason } => {
                    let reason = shorten(format!("the sink refused it: {reason}"));
                    held.execution.dead = Some(Death { class: DeathClass::RejectedBySink, reason: reason.clone() });
                    self.push(dead_document(document, reason), held);
                }
            }
        }
        pause
    }
}

/// The record of a job whose own document the sink will not take: without the payload that it refused.
fn dead_document(document: Document, reason: String) -> Document {
    Document { status: Status::Dead, error: Some(reason), payload: serde_json::Map::new(), ..document }
}
