//! The conformance suite of the sink port: plain cases over a small harness, and one macro that makes a test of each.
//!
//! Every adapter runs the same cases; what they may rely on is the port's doc comments and nothing else.

mod cases;
mod ids_cases;
mod refusal_cases;
mod runs_cases;

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Map, Value, json};

use crate::document::{Document, Status};
use crate::groups::Groups;
use crate::ids::{JobId, RunId};
use crate::pacing::{CatchUp, Pacing, Rate};
use crate::ports::sink::{Sink, StoredId, Verdict};
use crate::run::{KeptRun, RunSpec, RunState, TOTAL_MAX};

pub use cases::*;
pub use ids_cases::*;
pub use refusal_cases::*;
pub use runs_cases::*;

/// A sink in a place of its own, which no other test sees.
#[async_trait]
pub trait Harness: Send {
    fn sink(&self) -> Arc<dyn Sink>;

    /// Lets go of the sink and opens the same place again, as after a restart.
    async fn reopen(&mut self);

    /// Removes the place. Not called after a failed case, so that one can look.
    async fn close(self);
}

/// Makes one `#[tokio::test]` of each case. `$open` is an async function that answers a [`Harness`].
#[macro_export]
macro_rules! sink_conformance {
    ($open:path) => {
        $crate::sink_conformance! { $open =>
            every_field_comes_back, upserting_twice_equals_once, an_older_attempt_never_overwrites_a_newer_one,
            the_same_attempt_again_is_stored, a_newer_attempt_overwrites, attempts_within_one_call_end_with_the_newest,
            counts_are_by_status, runs_do_not_mix, an_unknown_run_is_empty, an_empty_batch_is_nothing,
            a_deleted_document_is_gone_and_may_come_back, a_large_batch_is_stored_whole,
            concurrent_upserts_of_one_document_leave_the_newest, documents_survive_reopening,
            what_is_stored_is_visible_at_once, prepare_may_run_at_any_time, check_says_what_it_reached,
            runs_of_many_days_share_a_call, ids_come_in_order_and_pages, ids_list_a_run_whole, ids_tell_foreign_job_ids,
            a_refused_document_touches_no_other, contradictions_are_refused, unusual_payloads_are_stored,
            every_field_of_a_kept_run_comes_back, a_lower_revision_or_cursor_never_overwrites_a_kept_run,
            concurrent_keepers_leave_the_newest, kept_runs_come_in_order_and_pages,
            kept_runs_survive_reopening_and_are_no_documents
        }
    };
    ($open:path => $($case:ident),+) => {
        $(
            #[tokio::test]
            async fn $case() {
                let mut harness = $open().await;
                $crate::testkit::sink::$case(&mut harness).await;
                $crate::testkit::sink::Harness::close(harness).await;
            }
        )+
    };
}

/// A moment in 2025; the cases need no clock.
pub const WALL_MS: i64 = 1_750_000_000_000;

/// A run that no other test uses.
pub fn new_run() -> RunId {
    RunId::generate(WALL_MS)
}

/// A completed document with every field set, each to another value.
pub fn document(run: &RunId, seq: u64) -> Document {
    let seq_ms = i64::try_from(seq % 1_000_000).unwrap_or(0);
    Document {
        job_id: JobId::new(run.clone(), seq).to_string(),
        run_id: run.clone(),
        queue: "invoices".into(),
        group: "billing".into(),
        seq,
        status: Status::Completed,
        attempts: 1,
        scheduled_at: WALL_MS + seq_ms,
        enqueued_at: WALL_MS + seq_ms + 1,
        started_at: WALL_MS + seq_ms + 12,
        completed_at: WALL_MS + seq_ms + 42,
        wait_ms: 12,
        run_ms: 30,
        worker_id: "worker-7".into(),
        trace_id: Some("4bf92f3577b34da6a3ce929d0e0e4736".into()),
        error: None,
        payload: payload(json!({ "number": seq, "square": seq.wrapping_mul(seq), "label": "prüfung ✓" })),
    }
}

pub fn documents(run: &RunId, seqs: std::ops::Range<u64>) -> Vec<Document> {
    seqs.map(|seq| document(run, seq)).collect()
}

pub fn dead(run: &RunId, seq: u64) -> Document {
    Document { status: Status::Dead, error: Some("out of paper".into()), ..document(run, seq) }
}

/// The same job as ended by another attempt, which shows in the payload too.
pub fn attempt(run: &RunId, seq: u64, attempts: u32) -> Document {
    Document { attempts, payload: payload(json!({ "attempt": attempts })), ..document(run, seq) }
}

/// A running run as it is kept; its numbers show in other fields too.
pub fn kept_run(run: &RunId, revision: u64, cursor: u64) -> KeptRun {
    let spec = RunSpec {
        run_id: run.clone(),
        rate: Rate { jobs: 1000, per_ns: 60_000_000_000 },
        total: Some(TOTAL_MAX),
        queue: "invoices".into(),
        groups: Groups::default(),
        handler: "record".into(),
        payload: payload(json!({ "revision": revision, "label": "prüfung ✓" })),
        catch_up: CatchUp::All,
        created_at_ms: WALL_MS,
        traceparent: None,
    };
    let pacing = Pacing { remainder: cursor, unreserved: revision, owed_ns: 5, as_of_ms: WALL_MS + 1, rate: None };
    KeptRun { spec, state: RunState::Running, revision, cursor, pacing, ended_at_ms: None, failure: None }
}

fn payload(value: Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap_or_default()
}

/// Upserts and insists that all are stored.
async fn store(sink: &dyn Sink, documents: &[Document]) {
    let verdicts = sink.upsert(documents).await.expect("the sink answers");
    assert_eq!(verdicts.len(), documents.len(), "one verdict a document");
    for (document, verdict) in documents.iter().zip(&verdicts) {
        assert_eq!(verdict, &Verdict::Stored, "{}", document.job_id);
    }
}

async fn get(sink: &dyn Sink, document: &Document) -> Option<Document> {
    sink.get(&document.run_id, &document.job_id).await.expect("get answers")
}

async fn count(sink: &dyn Sink, run: &RunId, status: Status) -> u64 {
    sink.count(run, status).await.expect("count answers")
}

/// Every id of a run, read in pages of `limit`.
async fn all_ids(sink: &dyn Sink, run: &RunId, limit: usize) -> Vec<StoredId> {
    let mut all: Vec<StoredId> = Vec::new();
    loop {
        let page = sink.ids(run, all.last(), limit).await.expect("ids answers");
        assert!(page.len() <= limit, "a page of {} with limit {limit}", page.len());
        if page.is_empty() {
            return all;
        }
        all.extend(page);
    }
}

fn stored_id(document: &Document) -> StoredId {
    StoredId { job_id: document.job_id.clone(), seq: document.seq, status: document.status }
}
