//! Cases about the runs that a sink keeps, so that a lost ledger can be rebuilt.

use futures::future::join_all;
use serde_json::json;

use super::harness::SinkHarness;
use super::support::{count, kept_run, new_run, payload};
use crate::document::Status;
use crate::groups::Groups;
use crate::ids::RunId;
use crate::pacing::{CatchUp, Pacing, Rate};
use crate::ports::Sink;
use crate::run::{KeptRun, RunSpec, RunState};

async fn keep(sink: &Sink, run: &KeptRun) {
    sink.runs.keep(run).await.expect("keep_run answers");
}

/// All kept runs, read in pages of `limit`.
async fn all_kept(sink: &Sink, limit: usize) -> Vec<KeptRun> {
    let mut all: Vec<KeptRun> = Vec::new();
    loop {
        let after = all.last().map(|run| run.spec.run_id.clone());
        let page = sink.runs.list(after.as_ref(), limit).await.expect("kept_runs answers");
        assert!(page.len() <= limit, "a page of {} with limit {limit}", page.len());
        if page.is_empty() {
            return all;
        }
        all.extend(page);
    }
}

pub async fn every_field_of_a_kept_run_comes_back(harness: &mut impl SinkHarness) {
    let sink = harness.sink();
    let nested = json!({ "text": "grüße ✓ \"quoted\" \n 日本", "a": { "b": [1, null, { "c": "x".repeat(40_000) }] } });
    let bare = kept_run(&new_run(), 0, 0);
    let groups = Groups::new(["billing", "audit"]).expect("names");
    let spec = RunSpec { payload: payload(nested), total: None, groups, catch_up: CatchUp::Skip, ..bare.spec.clone() };
    let full = KeptRun {
        spec: RunSpec { run_id: RunId::parse("standing-invoices").expect("a run id"), ..spec },
        state: RunState::Failed,
        revision: 12,
        cursor: 9_999_999_999,
        // Beyond what a double holds.
        pacing: Pacing {
            remainder: 9_007_199_254_740_993,
            unreserved: 3,
            owed_ns: 31_557_599_999_999_999,
            as_of_ms: -5,
            rate: Some(Rate { jobs: 7, per_ns: 9_007_199_254_740_995 }),
        },
        ended_at_ms: Some(1_750_000_000_999),
        failure: Some("why\nit \"failed\": ".repeat(500)),
    };
    keep(&sink, &bare).await;
    keep(&sink, &full).await;
    for run in [&bare, &full] {
        let one = sink.runs.find(&run.spec.run_id).await.expect("kept_run answers");
        assert_eq!(one.as_ref(), Some(run), "at once");
    }
    assert_eq!(sink.runs.find(&new_run()).await.expect("kept_run answers"), None);
    assert_eq!(all_kept(&sink, 10).await, [bare, full]);
}

pub async fn a_lower_revision_or_cursor_never_overwrites_a_kept_run(harness: &mut impl SinkHarness) {
    let sink = harness.sink();
    let run = new_run();
    let ascending = [(1, 0), (1, 1), (1, 4_000_000_000), (2, 0), (2, 1), (3, 1), (1_000, 0)];
    for (at, (revision, cursor)) in ascending.into_iter().enumerate() {
        let newest = kept_run(&run, revision, cursor);
        keep(&sink, &newest).await;
        for (revision, cursor) in ascending.into_iter().take(at + 1) {
            keep(&sink, &kept_run(&run, revision, cursor)).await;
        }
        assert_eq!(all_kept(&sink, 10).await, [newest], "after {:?}", &ascending[..=at]);
    }
}

pub async fn concurrent_keepers_leave_the_newest(harness: &mut impl SinkHarness) {
    let sink = harness.sink();
    let run = new_run();
    let versions: Vec<KeptRun> = (0..24).map(|n| kept_run(&run, n % 4, n * 7 % 24)).collect();
    join_all(versions.iter().map(|run| keep(&sink, run))).await;
    let newest = versions.iter().max_by_key(|run| (run.revision, run.cursor)).cloned();
    assert_eq!(all_kept(&sink, 10).await, Vec::from_iter(newest));
}

pub async fn kept_runs_come_in_order_and_pages(harness: &mut impl SinkHarness) {
    let sink = harness.sink();
    assert_eq!(all_kept(&sink, 10).await, [], "nothing is kept yet");
    let mut runs: Vec<KeptRun> = (0..150).map(|n| kept_run(&RunId::generate(n * 86_400_000), 1, 5)).collect();
    let named = ["a", "a-b", "z", "standing-invoices"].map(|id| RunId::parse(id).expect("a run id"));
    runs.extend(named.iter().map(|id| kept_run(id, 1, 5)));
    join_all(runs.iter().rev().map(|run| keep(&sink, run))).await;
    runs.sort_by(|a, b| a.spec.run_id.cmp(&b.spec.run_id));
    for limit in [7, 64, 65, 154, 1_000] {
        assert_eq!(all_kept(&sink, limit).await, runs, "limit {limit}");
    }
    let behind = RunId::parse("zz").expect("a run id");
    assert_eq!(sink.runs.list(Some(&behind), 10).await.expect("kept_runs answers"), []);
}

pub async fn kept_runs_survive_reopening_and_are_no_documents(harness: &mut impl SinkHarness) {
    let run = new_run();
    let (older, newer) = (kept_run(&run, 3, 8), kept_run(&run, 3, 9));
    keep(&harness.sink(), &newer).await;
    harness.reopen().await;
    let sink = harness.sink();
    sink.writer.prepare().await.expect("prepare answers");
    keep(&sink, &older).await;
    assert_eq!(all_kept(&sink, 10).await, [newer], "versions survive too");
    assert_eq!(sink.reader.ids(&run, None, 10).await.expect("ids answers"), []);
    assert_eq!(count(&sink, &run, Status::Completed).await, 0);
}
