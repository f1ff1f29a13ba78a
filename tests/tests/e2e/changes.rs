//! Changing a run while it goes: rate, pause and resume, stop, total.

use paceline_proto::v1::{RunState, UpdateRunRequest};
use paceline_tests::client::{assert_exact, numbers};
use paceline_tests::mesh::WorkerOptions;
use paceline_tests::{Backend, Client, Mesh};

use crate::support::documents;

both!(a_new_rate_takes_effect_and_loses_nothing, a_pause_enqueues_nothing, a_total_may_be_added_and_removed);

async fn a_new_rate_takes_effect_and_loses_nothing(backend: Backend) {
    let mesh = Mesh::new(backend).await;
    let scheduler = mesh.scheduler(&[]).await;
    let worker = mesh.worker(WorkerOptions::default()).await;
    let mut client = Client::of(&scheduler).await;

    // From 10 a second, which would take 50 s, to 200 a second.
    let run = client.start(600, Some(500)).await;
    client.until(&run, "a few jobs", |run| numbers(run).enqueued >= 5).await;
    let changed = client.update(&run, 12_000).await;
    let read_at = numbers(&changed).read_at.expect("a time");
    let changed_ms = read_at.seconds * 1000 + i64::from(read_at.nanos) / 1_000_000;
    assert!((numbers(&changed).asked_per_second - 200.0).abs() < 1e-9);
    let ended = client.until_ended(&run).await;
    assert_exact(&mesh, &run, 500).await;

    // The schedule itself, by the documents: no job early by the old and new rate together, and the new one within a second.
    let started = ended.started_at.expect("a start");
    let started_ms = started.seconds * 1000 + i64::from(started.nanos) / 1_000_000;
    let earned_before = (changed_ms - started_ms) as f64 / 100.0;
    let documents = documents(&mesh, &run).await;
    for (seq, document) in &documents {
        let after_ms = (document.scheduled_at - changed_ms).max(0) as f64;
        let earned = if after_ms == 0.0 { earned_before } else { earned_before + after_ms / 5.0 };
        assert!(*seq as f64 <= earned + 1.0, "job {seq} came when {earned:.1} were earned");
    }
    let within_a_second =
        documents.values().filter(|document| (changed_ms..changed_ms + 1_000).contains(&document.scheduled_at)).count();
    assert!(
        within_a_second > 20,
        "the old rate would have sent 10 in the second after the change, not {within_a_second}"
    );
    worker.stop().await;
    scheduler.stop().await;
}

async fn a_pause_enqueues_nothing(backend: Backend) {
    let mesh = Mesh::new(backend).await;
    let scheduler = mesh.scheduler(&[]).await;
    let worker = mesh.worker(WorkerOptions::default()).await;
    let mut client = Client::of(&scheduler).await;

    let run = client.start(6_000, None).await;
    client.until(&run, "50 jobs", |run| numbers(run).enqueued >= 50).await;
    let paused = client.pause(&run).await;
    assert_eq!(paused.state(), RunState::Paused);
    assert_eq!(client.pause(&run).await.state(), RunState::Paused, "pausing twice is a success");
    let drained = client.until(&run, "drained", |run| numbers(run).in_flight == 0).await;
    assert_eq!(
        numbers(&drained).enqueued,
        numbers(&paused).enqueued,
        "nothing is enqueued after the pause has answered"
    );

    assert_eq!(client.resume(&run).await.state(), RunState::Running);
    let resumed = client.until(&run, "more jobs", |run| numbers(run).enqueued >= numbers(&paused).enqueued + 50).await;
    // The time of the pause earns nothing: no burst on resuming. A burst would be all of the pause's jobs at once.
    assert!(numbers(&resumed).enqueued < numbers(&paused).enqueued + 200, "{resumed:?}");
    client.stop(&run).await;
    let ended = client.until_ended(&run).await;
    assert_eq!(ended.state(), RunState::Stopped);
    assert_exact(&mesh, &run, numbers(&ended).enqueued).await;
    worker.stop().await;
    scheduler.stop().await;
}

async fn a_total_may_be_added_and_removed(backend: Backend) {
    let mesh = Mesh::new(backend).await;
    let scheduler = mesh.scheduler(&[]).await;
    let worker = mesh.worker(WorkerOptions::default()).await;
    let mut client = Client::of(&scheduler).await;
    let run = client.start(60_000, Some(1_000_000)).await;
    let with_total = |total| UpdateRunRequest { run_id: run.clone(), total: Some(total), ..Default::default() };

    let removed =
        client.0.update_run(with_total(0)).await.expect("a total of 0 removes it").into_inner().run.expect("a run");
    assert_eq!(removed.total, None);
    client.until(&run, "100 jobs", |run| numbers(run).enqueued >= 100).await;
    let refused = client.0.update_run(with_total(50)).await.expect_err("50 is below what is enqueued");
    assert_eq!(refused.code(), tonic::Code::FailedPrecondition);
    assert!(refused.message().contains("total 50 is below"), "{refused:?}");
    client.0.update_run(with_total(2_000)).await.expect("a total above is fine");
    let ended = client.until_ended(&run).await;
    assert_eq!((ended.state(), numbers(&ended).enqueued), (RunState::Completed, 2_000));
    assert_exact(&mesh, &run, 2_000).await;
    worker.stop().await;
    scheduler.stop().await;
}
