//! Cases about documents that a sink refuses, and about odd ones that it must not.

use serde_json::{Value, json};

use super::harness::SinkHarness;
use super::support::{count, document, documents, get, new_run, payload, store};
use crate::document::{Document, Status};
use crate::ports::Sink;
use crate::ports::documents::{JOB_ID_BYTES_MAX, SEQ_MAX, Verdict};

pub async fn a_refused_document_touches_no_other(harness: &mut impl SinkHarness) {
    let sink = harness.sink();
    let run = new_run();
    let mut batch = documents(&run, 0..100);
    batch[0].job_id = "x".repeat(JOB_ID_BYTES_MAX + 1);
    batch[57].job_id = String::new();
    batch[99].job_id = "ü".repeat(JOB_ID_BYTES_MAX / 2 + 1);
    batch[58].job_id = "y".repeat(JOB_ID_BYTES_MAX);

    let verdicts = sink.writer.upsert(&batch).await.expect("the sink answers");
    assert_eq!(verdicts.len(), batch.len());
    for (position, verdict) in verdicts.iter().enumerate() {
        match verdict {
            Verdict::Reject { reason } => {
                assert!([0, 57, 99].contains(&position), "{position} is refused: {reason}");
                assert!(reason.contains("512"), "{reason}");
            }
            stored => assert_eq!(stored, &Verdict::Stored, "{position}"),
        }
    }
    assert_eq!(count(&sink, &run, Status::Completed).await, 97);
    assert_eq!(get(&sink, &batch[58]).await.as_ref(), Some(&batch[58]));
}

pub async fn contradictions_are_refused(harness: &mut impl SinkHarness) {
    let sink = harness.sink();
    let run = new_run();
    let contradicting = Document { seq: 2, ..document(&run, 1) };
    let beyond = document(&run, SEQ_MAX + 1);
    let highest = document(&run, SEQ_MAX);
    let verdicts = sink.writer.upsert(&[contradicting, highest.clone(), beyond]).await.expect("the sink answers");
    assert!(matches!(&verdicts[0], Verdict::Reject { reason } if reason.contains("seq")), "{verdicts:?}");
    assert_eq!(verdicts[1], Verdict::Stored);
    assert!(matches!(verdicts[2], Verdict::Reject { .. }), "{verdicts:?}");
    assert_eq!(get(&sink, &highest).await, Some(highest));
    assert_eq!(count(&sink, &run, Status::Completed).await, 1);
}

/// Payloads that a user may well send and an index would rather not take.
pub async fn unusual_payloads_are_stored(harness: &mut impl SinkHarness) {
    let sink = harness.sink();
    let run = new_run();
    let deep = (0..60).fold(json!("core"), |inner, level| json!({ format!("level{level}"): inner }));
    let wide: Value = (0..2_000).map(|n| (format!("field{n}"), json!(n))).collect::<serde_json::Map<_, _>>().into();
    let payloads = [
        json!({ "log": "v".repeat(40_000), "unicode": "🚀".repeat(20_000) }),
        deep,
        wide,
        json!({ "a.b": 1, "a": { "b": "two" }, "n": u64::MAX, "tiny": 1e-300 }),
        json!({ "mixed": [1, "one", { "one": [1] }, null] }),
        json!({ "jobId": 1, "status": { "own": true } }),
        json!({ "mixed": "a word where others hold a list" }),
    ];
    let document = |(seq, value): (usize, Value)| Document { payload: payload(value), ..document(&run, seq as u64) };
    let mut batch: Vec<Document> = payloads.into_iter().enumerate().map(document).collect();
    batch[0].error = Some("e".repeat(50_000));
    store(&sink, &batch).await;
    for document in &batch {
        assert_eq!(get(&sink, document).await.as_ref(), Some(document));
    }
    assert_all_listed(&sink, &batch).await;
}

async fn assert_all_listed(sink: &Sink, batch: &[Document]) {
    let ids = sink.reader.ids(&batch[0].run_id, None, 10_000).await.expect("ids answers");
    assert_eq!(ids.len(), batch.len());
}
