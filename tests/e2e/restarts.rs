//! Roles that stop in order and roles that die, in the middle of a run, in one process.

use paceline_proto::v1::RunState;
use paceline_tests::client::{assert_exact, numbers};
use paceline_tests::mesh::WorkerOptions;
use paceline_tests::{Backend, Client, Mesh, Role};

both!(
    schedulers_come_and_go,
    workers_come_and_go,
    a_worker_that_stops_in_order_repeats_nothing,
    one_of_two_producers_dies
);

/// In order, then dead: the next scheduler goes on at the exact cursor.
async fn schedulers_come_and_go(backend: Backend) {
    let mesh = Mesh::new(backend).await;
    let worker = mesh.worker(WorkerOptions::default()).await;
    let mut scheduler = mesh.scheduler(&[]).await;
    let mut client = Client::of(&scheduler).await;
    let run = client.start(60_000, Some(4_000)).await;
    for (goal, kill) in [(500, false), (1_500, true), (2_500, true)] {
        client.until(&run, "progress", |run| numbers(run).enqueued >= goal).await;
        end(scheduler, kill).await;
        scheduler = mesh.scheduler(&[]).await;
        client = Client::of(&scheduler).await;
    }
    let ended = client.until_ended(&run).await;
    assert_eq!(ended.state(), RunState::Completed);
    assert_exact(&mesh, &run, 4_000).await;
    worker.stop().await;
    scheduler.stop().await;
}

async fn workers_come_and_go(backend: Backend) {
    let mesh = Mesh::new(backend).await;
    let scheduler = mesh.scheduler(&[]).await;
    let mut client = Client::of(&scheduler).await;
    let run = client.start(60_000, Some(4_000)).await;
    let mut worker = mesh.worker(WorkerOptions::default()).await;
    for (goal, kill) in [(500, true), (1_500, false), (2_500, true)] {
        client.until(&run, "progress", |run| numbers(run).processed >= goal).await;
        end(worker, kill).await;
        worker = mesh.worker(WorkerOptions::default()).await;
    }
    let ended = client.until_ended(&run).await;
    assert_eq!((ended.state(), numbers(&ended).processed), (RunState::Completed, 4_000));
    assert_exact(&mesh, &run, 4_000).await;
    worker.stop().await;
    scheduler.stop().await;
}

/// A stop takes no more, finishes, acknowledges and gives the rest back: nothing is executed twice.
async fn a_worker_that_stops_in_order_repeats_nothing(backend: Backend) {
    let mesh = Mesh::new(backend).await;
    let scheduler = mesh.scheduler(&[]).await;
    let mut client = Client::of(&scheduler).await;
    let run = client.start(120_000, Some(3_000)).await;
    for goal in [200, 800, 1_600] {
        let worker = mesh.worker(WorkerOptions::default()).await;
        client.until(&run, "progress", |run| numbers(run).processed >= goal).await;
        worker.stop().await;
    }
    let worker = mesh.worker(WorkerOptions::default()).await;
    let ended = client.until_ended(&run).await;
    assert_eq!(numbers(&ended).duplicates, 0, "{ended:?}");
    assert_exact(&mesh, &run, 3_000).await;
    worker.stop().await;
    scheduler.stop().await;
}

async fn one_of_two_producers_dies(backend: Backend) {
    let mesh = Mesh::new(backend).await;
    let producers = [mesh.producer().await, mesh.producer().await];
    let scheduler = mesh.scheduler(&[&producers[0], &producers[1]]).await;
    let worker = mesh.worker(WorkerOptions::default()).await;
    let mut client = Client::of(&scheduler).await;
    let run = client.start(60_000, Some(4_000)).await;
    let names: Vec<String> = producers.iter().map(|producer| producer.id.clone()).collect();
    let both = client
        .until(&run, "both producers at work", |run| names.iter().all(|name| numbers(run).producers.contains_key(name)))
        .await;
    let [first, second] = producers;
    first.kill().await;

    let ended = client.until_ended(&run).await;
    assert_eq!(ended.state(), RunState::Completed);
    let counts = &numbers(&ended).producers;
    assert_eq!(counts.values().sum::<u64>(), 4_000, "every job is confirmed by exactly one: {counts:?}");
    assert!(counts[&second.id] > numbers(&both).producers[&second.id], "the other one took over: {counts:?}");
    assert_exact(&mesh, &run, 4_000).await;
    for role in [worker, scheduler, second] {
        role.stop().await;
    }
}

async fn end(role: Role, kill: bool) {
    if kill { role.kill().await } else { role.stop().await }
}
