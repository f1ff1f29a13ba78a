//! Cases about storing: idempotence, versions, counts, durability.

use futures::future::join_all;
use serde_json::json;

use super::harness::SinkHarness;
use super::support::{WALL_MS, attempt, count, dead, document, documents, get, new_run, payload, store};
use crate::document::{Document, Status};
use crate::ids::RunId;

pub async fn every_field_comes_back(harness: &mut impl SinkHarness) {
    let sink = harness.sink();
    let run = new_run();
    let nested = json!({
        "customer": { "name": "Ωmega GmbH", "tags": ["a", "", "zürich 🚀"], "address": { "zip": null, "lines": [] } },
        "amount": 12.5, "big": i64::MAX, "negative": -7, "yes": true, "quote\"d \\ key": "tab\tnewline\n", "empty": {}
    });
    let full =
        Document { payload: payload(nested), error: Some("why\nit \"died\"".into()), attempts: 3, ..dead(&run, 5) };
    let bare = Document { trace_id: None, error: None, payload: payload(json!({})), ..document(&run, 6) };
    store(&sink, &[full.clone(), bare.clone()]).await;
    assert_eq!(get(&sink, &full).await, Some(full));
    assert_eq!(get(&sink, &bare).await, Some(bare));
}

pub async fn upserting_twice_equals_once(harness: &mut impl SinkHarness) {
    let sink = harness.sink();
    let run = new_run();
    let batch = documents(&run, 0..20);
    store(&sink, &batch).await;
    store(&sink, &batch).await;
    assert_eq!(count(&sink, &run, Status::Completed).await, 20);
    assert_eq!(get(&sink, &batch[7]).await.as_ref(), Some(&batch[7]));
}

pub async fn an_older_attempt_never_overwrites_a_newer_one(harness: &mut impl SinkHarness) {
    let sink = harness.sink();
    let run = new_run();
    let (older, newer) = (attempt(&run, 0, 2), attempt(&run, 0, 10));
    store(&sink, std::slice::from_ref(&newer)).await;
    store(&sink, std::slice::from_ref(&older)).await;
    assert_eq!(get(&sink, &newer).await, Some(newer));
}

pub async fn the_same_attempt_again_is_stored(harness: &mut impl SinkHarness) {
    let sink = harness.sink();
    let run = new_run();
    let first = attempt(&run, 0, 2);
    let again = Document { worker_id: "another".into(), ..first.clone() };
    store(&sink, std::slice::from_ref(&first)).await;
    store(&sink, &[again]).await;
    assert_eq!(get(&sink, &first).await, Some(first), "the attempt's first document stays");
}

pub async fn a_newer_attempt_overwrites(harness: &mut impl SinkHarness) {
    let sink = harness.sink();
    let run = new_run();
    let died = dead(&run, 0);
    store(&sink, &[died]).await;
    assert_eq!(count(&sink, &run, Status::Dead).await, 1);

    let repaired = attempt(&run, 0, 2);
    store(&sink, std::slice::from_ref(&repaired)).await;
    assert_eq!(get(&sink, &repaired).await, Some(repaired));
    assert_eq!(count(&sink, &run, Status::Dead).await, 0);
    assert_eq!(count(&sink, &run, Status::Completed).await, 1);
}

pub async fn attempts_within_one_call_end_with_the_newest(harness: &mut impl SinkHarness) {
    let sink = harness.sink();
    let run = new_run();
    let batch: Vec<Document> = [1, 3, 2, 3].map(|attempts| attempt(&run, 0, attempts)).into();
    store(&sink, &batch).await;
    assert_eq!(get(&sink, &batch[1]).await.as_ref(), Some(&batch[1]));
    assert_eq!(count(&sink, &run, Status::Completed).await, 1);
}

pub async fn counts_are_by_status(harness: &mut impl SinkHarness) {
    let sink = harness.sink();
    let run = new_run();
    store(&sink, &documents(&run, 0..30)).await;
    store(&sink, &(30..37).map(|seq| dead(&run, seq)).collect::<Vec<_>>()).await;
    assert_eq!(count(&sink, &run, Status::Completed).await, 30);
    assert_eq!(count(&sink, &run, Status::Dead).await, 7);
}

pub async fn runs_do_not_mix(harness: &mut impl SinkHarness) {
    let sink = harness.sink();
    let (one, other) = (new_run(), new_run());
    store(&sink, &documents(&one, 0..10)).await;
    store(&sink, &documents(&other, 5..8)).await;
    assert_eq!(count(&sink, &one, Status::Completed).await, 10);
    assert_eq!(count(&sink, &other, Status::Completed).await, 3);
    assert_eq!(sink.reader.ids(&other, None, 100).await.expect("ids answers").len(), 3);

    let of_one = document(&one, 6);
    assert_eq!(sink.reader.get(&other, &of_one.job_id).await.expect("get answers"), None, "not under another run");
}

pub async fn an_unknown_run_is_empty(harness: &mut impl SinkHarness) {
    let sink = harness.sink();
    let run = new_run();
    let absent = document(&run, 0);
    assert_eq!(count(&sink, &run, Status::Completed).await, 0);
    assert_eq!(sink.reader.ids(&run, None, 10).await.expect("ids answers"), []);
    assert_eq!(get(&sink, &absent).await, None);
    assert!(!sink.writer.delete(&run, &absent.job_id).await.expect("delete answers"));
    assert_eq!(sink.reader.ids(&run, None, 10).await.expect("ids answers"), [], "and looking makes nothing");
}

pub async fn an_empty_batch_is_nothing(harness: &mut impl SinkHarness) {
    assert_eq!(harness.sink().writer.upsert(&[]).await.expect("the sink answers"), []);
}

pub async fn a_deleted_document_is_gone_and_may_come_back(harness: &mut impl SinkHarness) {
    let sink = harness.sink();
    let run = new_run();
    let batch = [attempt(&run, 0, 3), document(&run, 1)];
    store(&sink, &batch).await;
    let remove = || sink.writer.delete(&run, &batch[0].job_id);
    assert!(remove().await.expect("delete answers"), "it was there");
    assert!(!remove().await.expect("delete answers"), "it was there no more");
    assert_eq!(get(&sink, &batch[0]).await, None);
    assert_eq!(count(&sink, &run, Status::Completed).await, 1, "its neighbour stays");

    // Repair publishes a lost job from its first attempt on: a memory of the deleted version must not stand in its way.
    let again = document(&run, 0);
    store(&sink, std::slice::from_ref(&again)).await;
    assert_eq!(get(&sink, &again).await, Some(again));
}

pub async fn a_large_batch_is_stored_whole(harness: &mut impl SinkHarness) {
    let sink = harness.sink();
    let run = new_run();
    store(&sink, &documents(&run, 0..5_000)).await;
    assert_eq!(count(&sink, &run, Status::Completed).await, 5_000);
    let last = document(&run, 4_999);
    assert_eq!(get(&sink, &last).await, Some(last));
}

pub async fn concurrent_upserts_of_one_document_leave_the_newest(harness: &mut impl SinkHarness) {
    let sink = harness.sink();
    let run = new_run();
    let attempts: Vec<Document> = (0..32).map(|n| attempt(&run, 0, n % 8 + 1)).collect();
    join_all(attempts.iter().map(|document| store(&sink, std::slice::from_ref(document)))).await;
    let newest = attempt(&run, 0, 8);
    assert_eq!(get(&sink, &newest).await, Some(newest));
    assert_eq!(count(&sink, &run, Status::Completed).await, 1);
}

pub async fn documents_survive_reopening(harness: &mut impl SinkHarness) {
    let run = new_run();
    let newer = attempt(&run, 0, 4);
    store(&harness.sink(), &[newer.clone(), document(&run, 1)]).await;
    harness.reopen().await;
    let sink = harness.sink();
    sink.writer.prepare().await.expect("prepare answers");
    assert_eq!(get(&sink, &newer).await.as_ref(), Some(&newer));
    assert_eq!(count(&sink, &run, Status::Completed).await, 2);
    store(&sink, &[attempt(&run, 0, 3)]).await;
    assert_eq!(get(&sink, &newer).await, Some(newer), "versions survive too");
}

pub async fn what_is_stored_is_visible_at_once(harness: &mut impl SinkHarness) {
    let sink = harness.sink();
    let run = new_run();
    for seq in 0..5 {
        store(&sink, &[document(&run, seq)]).await;
        assert_eq!(count(&sink, &run, Status::Completed).await, seq + 1);
        assert_eq!(sink.reader.ids(&run, None, 10).await.expect("ids answers").len() as u64, seq + 1);
    }
}

pub async fn prepare_may_run_at_any_time(harness: &mut impl SinkHarness) {
    let sink = harness.sink();
    let run = new_run();
    store(&sink, &documents(&run, 0..3)).await;
    for result in join_all((0..4).map(|_| sink.writer.prepare())).await {
        result.expect("prepare answers");
    }
    assert_eq!(count(&sink, &run, Status::Completed).await, 3);
}

pub async fn check_says_what_it_reached(harness: &mut impl SinkHarness) {
    let said = harness.sink().writer.check().await.expect("check answers");
    assert!(!said.trim().is_empty());
}

pub async fn runs_of_many_days_share_a_call(harness: &mut impl SinkHarness) {
    const DAY_MS: i64 = 86_400_000;
    let sink = harness.sink();
    let days = [0, 1, 20].map(|day| RunId::generate(WALL_MS - day * DAY_MS));
    let standing = RunId::parse("standing-invoices").expect("a run id");
    let runs: Vec<RunId> = days.into_iter().chain([standing]).collect();
    let batch: Vec<Document> = (0..40).map(|n| document(&runs[n % runs.len()], n as u64)).collect();
    store(&sink, &batch).await;
    for run in &runs {
        assert_eq!(count(&sink, run, Status::Completed).await, 10, "{run}");
    }
    assert_eq!(get(&sink, &batch[3]).await.as_ref(), Some(&batch[3]));
}
