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
    let asked_ms = mesh.clock.wall_ms();
    let changed = client.update(&run, 12_000).await;
    let answered_ms = mesh.clock.wall_ms();
    assert!((numbers(&changed).asked_per_second - 200.0).abs() < 1e-9);
    let ended = client.until_ended(&run).await;
    assert_exact(&mesh, &run, 500).await;

    // The schedule itself, by the documents. The old rate holds until the change is asked for: no job is early by both rates.
    let started = ended.started_at.expect("a start");
    let started_ms = started.seconds * 1000 + i64::from(started.nanos) / 1_000_000;
    let documents = documents(&mesh, &run).await;
    for (seq, document) in &documents {
        let before_ms = document.scheduled_at.min(asked_ms) - started_ms;
        let after_ms = (document.scheduled_at - asked_ms).max(0);
        let earned = before_ms as f64 / 100.0 + after_ms as f64 / 5.0;
        assert!(*seq as f64 <= earned + 1.0, "job {seq} came when {earned:.1} were earned");
    }
    // The new rate holds within a second of the answer: the two seconds after it have more than the old rate's 20 jobs.
    let window = answered_ms..answered_ms + 2_000;
    let sent = documents.values().filter(|document| window.contains(&document.scheduled_at)).count();
    assert!(sent >= 100, "the new rate sends 200 in a second, and only {sent} came in two");
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
    let paused_ms = mesh.clock.wall_ms();
    assert_eq!(paused.state(), RunState::Paused);
    assert_eq!(client.pause(&run).await.state(), RunState::Paused, "pausing twice is a success");
    let drained = client.until(&run, "drained", |run| numbers(run).in_flight == 0).await;
    assert_eq!(
        numbers(&drained).enqueued,
        numbers(&paused).enqueued,
        "nothing is enqueued after the pause has answered"
    );

    let resumed_ms = mesh.clock.wall_ms();
    assert_eq!(client.resume(&run).await.state(), RunState::Running);
    client.until(&run, "more jobs", |run| numbers(run).enqueued >= numbers(&paused).enqueued + 50).await;
    client.stop(&run).await;
    let ended = client.until_ended(&run).await;
    assert_eq!(ended.state(), RunState::Stopped);
    assert_exact(&mesh, &run, numbers(&ended).enqueued).await;

    // The time of the pause earns nothing: the n-th job after it is not early, but for what the time between the last
    // job and the pause had earned, and for what L6 allows: the owner hears of the pause a moment after the ledger.
    const ALLOWED_MS: i64 = 20;
    let documents = documents(&mesh, &run).await;
    let enqueued_before = numbers(&paused).enqueued;
    let earned_ms = paused_ms - documents[&(enqueued_before - 1)].scheduled_at;
    for (seq, document) in documents.range(enqueued_before..) {
        let nth = i64::try_from(seq - enqueued_before).expect("small");
        let early_ms = resumed_ms + nth * 10 - document.scheduled_at - earned_ms.max(0);
        assert!(early_ms <= ALLOWED_MS, "job {seq}, the {nth}th after the pause, is {early_ms} ms early");
    }
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
    assert!(refused.message().contains("ask for a total of at least that, not 50"), "{refused:?}");
    client.0.update_run(with_total(2_000)).await.expect("a total above is fine");
    let ended = client.until_ended(&run).await;
    assert_eq!((ended.state(), numbers(&ended).enqueued), (RunState::Completed, 2_000));
    assert_exact(&mesh, &run, 2_000).await;
    worker.stop().await;
    scheduler.stop().await;
}
