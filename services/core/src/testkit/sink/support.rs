//! The documents and kept runs that cases store, and the reads that they share. Tests of adapters use the public ones too.

use serde_json::{Map, Value, json};

use crate::document::{Document, Status};
use crate::groups::Groups;
use crate::ids::{JobId, RunId};
use crate::pacing::{CatchUp, Pacing, Rate};
use crate::ports::Sink;
use crate::ports::documents::{StoredId, Verdict};
use crate::run::{KeptRun, RunSpec, RunState, TOTAL_MAX};

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

pub(super) fn payload(value: Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap_or_default()
}

/// Upserts and insists that all are stored.
pub(super) async fn store(sink: &Sink, documents: &[Document]) {
    let verdicts = sink.writer.upsert(documents).await.expect("the sink answers");
    assert_eq!(verdicts.len(), documents.len(), "one verdict a document");
    for (document, verdict) in documents.iter().zip(&verdicts) {
        assert_eq!(verdict, &Verdict::Stored, "{}", document.job_id);
    }
}

pub(super) async fn get(sink: &Sink, document: &Document) -> Option<Document> {
    sink.reader.get(&document.run_id, &document.job_id).await.expect("get answers")
}

pub(super) async fn count(sink: &Sink, run: &RunId, status: Status) -> u64 {
    sink.reader.count(run, status).await.expect("count answers")
}

/// Every id of a run, read in pages of `limit`.
pub(super) async fn all_ids(sink: &Sink, run: &RunId, limit: usize) -> Vec<StoredId> {
    let mut all: Vec<StoredId> = Vec::new();
    loop {
        let page = sink.reader.ids(run, all.last(), limit).await.expect("ids answers");
        assert!(page.len() <= limit, "a page of {} with limit {limit}", page.len());
        if page.is_empty() {
            return all;
        }
        all.extend(page);
    }
}

pub(super) fn stored_id(document: &Document) -> StoredId {
    StoredId { job_id: document.job_id.clone(), seq: document.seq, status: document.status }
}
