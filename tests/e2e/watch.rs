//! The cadence of WatchRun: the snapshot of now, then each change, at most five a second, and a sign of life at least every five seconds.

use std::time::Duration;

use paceline_proto::v1::{Run, WatchRunRequest, WatchRunResponse};
use paceline_tests::client::numbers;
use paceline_tests::{Backend, Client, Mesh};
use tokio::time::Instant;
use tonic::Streaming;

both!(a_watch_of_a_fast_run_tells_at_most_five_times_a_second, a_watch_of_a_run_that_does_nothing_shows_that_it_lives);

async fn watch(client: &mut Client, run_id: &str) -> Streaming<WatchRunResponse> {
    let request = WatchRunRequest { run_id: run_id.to_owned() };
    client.0.watch_run(request).await.expect("the run can be watched").into_inner()
}

async fn next(updates: &mut Streaming<WatchRunResponse>) -> Run {
    updates.message().await.expect("the watch goes on").expect("an update").run.expect("a run")
}

async fn a_watch_of_a_fast_run_tells_at_most_five_times_a_second(backend: Backend) {
    const CHANGES: u32 = 10;
    const CHANGE_INTERVAL: Duration = Duration::from_millis(200);
    let mesh = Mesh::new(backend).await;
    let scheduler = mesh.scheduler(&[]).await;
    let mut client = Client::of(&scheduler).await;
    // A thousand a second: some number changes with every read.
    let run = client.start(60_000, None).await;
    let mut updates = watch(&mut client, &run).await;
    let mut last = next(&mut updates).await;
    let begun = Instant::now();
    for _ in 0..CHANGES {
        let now = next(&mut updates).await;
        assert!(numbers(&now).enqueued >= numbers(&last).enqueued, "{last:?}, then {now:?}");
        last = now;
    }
    // The first update may have been on its way for a while when the clock was read.
    let elapsed = begun.elapsed();
    assert!(elapsed >= (CHANGES - 1) * CHANGE_INTERVAL, "{CHANGES} updates within {elapsed:?}");
    scheduler.stop().await;
}

async fn a_watch_of_a_run_that_does_nothing_shows_that_it_lives(backend: Backend) {
    const SILENCE_MAX: Duration = Duration::from_secs(5);
    // For the reads of the ledger, and for a slow machine.
    const SLACK: Duration = Duration::from_secs(2);
    let mesh = Mesh::new(backend).await;
    let scheduler = mesh.scheduler(&[]).await;
    let mut client = Client::of(&scheduler).await;
    // Its first job falls due in a minute.
    let run = client.start(1, None).await;
    let mut updates = watch(&mut client, &run).await;
    let begun = Instant::now();
    let first = next(&mut updates).await;
    assert!(begun.elapsed() < SLACK, "the snapshot of now comes at once, not after {:?}", begun.elapsed());
    let second = next(&mut updates).await;
    let silence = begun.elapsed();
    assert!((SILENCE_MAX / 2..=SILENCE_MAX + SLACK).contains(&silence), "silent for {silence:?}");
    assert_eq!((numbers(&first).enqueued, numbers(&second).enqueued), (0, 0));
    scheduler.stop().await;
}
