//! Processes that are stopped with SIGSTOP in the middle of a run and woken later: others do their work, and what they do on
//! waking changes nothing.

use std::time::Duration;

use paceline_core::ids::RunId;
use paceline_proto::v1::RunState;
use paceline_tests::client::{assert_exact, numbers};
use paceline_tests::mesh::WorkerOptions;
use paceline_tests::process::{Process, run, until_readyz};
use paceline_tests::{Backend, Client, Mesh};

use crate::support::{documents, environment, said};

/// It holds what its prefetch allows, also what arrives while it is stopped, until RabbitMQ closes its silent connection.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_worker_loses_its_jobs_and_changes_nothing_when_it_wakes() {
    let mesh = Mesh::new(Backend::Services).await;
    let environment = environment(&mesh);
    let scheduler = mesh.scheduler(&[]).await;
    let mut client = Client::of(&scheduler).await;
    let worker = |id: &str| Process::start(&["worker", "--json", "--id", id, "--consumers", "4"], &environment);
    let (mut stopped, mut other) = (worker("stopped"), worker("other"));
    let admin = said(&mut stopped, &["admin"]).await.remove(0);
    let others_admin = said(&mut other, &["admin"]).await.remove(0);
    // Ready is a worker with its first consumer; here all must be there, and be lost.
    let has_all = |is_ready: bool, report: &serde_json::Value| is_ready && report["consumers_open"].as_u64() == Some(4);
    for admin in [&admin, &others_admin] {
        until_readyz(admin, "all consumers", has_all).await;
    }

    let run_id = client.start(12_000, Some(3_000)).await;
    let both = ["stopped", "other"];
    client
        .until(&run_id, "both workers at work", |run| both.iter().all(|id| numbers(run).workers.contains_key(*id)))
        .await;
    stopped.signal("STOP").await;
    let before = client.get(&run_id).await;
    let ended = client.until_ended(&run_id).await;
    assert_eq!((ended.state(), numbers(&ended).processed), (RunState::Completed, 3_000));
    let share = |run, id: &str| numbers(run).workers.get(id).copied().unwrap_or(0);
    assert!(share(&ended, "other") > share(&before, "other"), "the other one did its jobs: {ended:?}");

    stopped.signal("CONT").await;
    let has_them_again = |is_ready: bool, report: &serde_json::Value| {
        has_all(is_ready, report)
            && report["stalled"].as_u64() >= Some(1)
            && report["consumers_rebuilt"].as_u64() >= Some(4)
    };
    let awake = until_readyz(&admin, "the stall, and all consumers made anew", has_them_again).await;
    assert!(awake["connections_rebuilt"].as_u64() >= Some(1), "its connection was closed meanwhile: {awake}");
    let ledger = mesh.backends().await.ledger;
    let announced = async {
        loop {
            let workers = ledger.workers.alive().await.expect("the ledger answers");
            if workers.iter().any(|worker| worker.worker_id == "stopped" && worker.stalled >= 1) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), announced).await.expect("its heartbeat tells of the stall");

    assert_eq!(numbers(&client.get(&run_id).await).processed, 3_000, "nothing is counted late");
    let (code, out, err) = run(&["verify", &run_id, "--strict", "--json"], &environment).await;
    assert_eq!(code, 0, "{out}{err}");
    assert_exact(&mesh, &run_id, 3_000).await;
    for worker in [stopped, other] {
        assert!(worker.terminate().await.success(), "SIGTERM ends it in order");
    }
    scheduler.stop().await;
}

/// The other scheduler goes on at the exact cursor; the one that wakes finds its fence stale. No job is early by more than one
/// place in the schedule.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_owner_is_replaced_and_changes_nothing_when_it_wakes() {
    const PERIOD_MS: i64 = 20;
    let mesh = Mesh::new(Backend::Services).await;
    let environment = environment(&mesh);
    let (producer, worker) = (mesh.producer().await, mesh.worker(WorkerOptions::default()).await);
    let mut schedulers = Vec::new();
    for id in ["one", "two"] {
        let arguments = ["scheduler", "--json", "--id", id, "--listen", "127.0.0.1:0", "--producers", &producer.url()];
        let mut process = Process::start(&arguments, &environment);
        let addresses = said(&mut process, &["address", "admin"]).await;
        until_readyz(&addresses[1], "readiness", |is_ready, _| is_ready).await;
        schedulers.push((id, process, Client::at(&addresses[0])));
    }

    let run_id = schedulers[0].2.start(60_000 / PERIOD_MS as u64, Some(600)).await;
    schedulers[0].2.until(&run_id, "progress", |run| numbers(run).enqueued >= 50).await;
    // The owner of the lease may acquire it again, and nobody else.
    let (ledger, run) = (mesh.backends().await.ledger, RunId::parse(&run_id).expect("a run id"));
    let is_one =
        ledger.leases.acquire(&run, "one", Duration::from_secs(2)).await.expect("the ledger answers").is_some();
    let (owner, other) = if is_one { (0, 1) } else { (1, 0) };
    schedulers[owner].1.signal("STOP").await;
    let before = numbers(&schedulers[other].2.get(&run_id).await).enqueued;
    schedulers[other].2.until(&run_id, "a new owner", |run| numbers(run).enqueued >= before + 100).await;
    schedulers[owner].1.signal("CONT").await;

    for (id, _, client) in &mut schedulers {
        assert!(numbers(&client.get(&run_id).await).enqueued >= before, "scheduler {id} answers");
    }
    let ended = schedulers[owner].2.until_ended(&run_id).await;
    assert_eq!((ended.state(), numbers(&ended).enqueued), (RunState::Completed, 600));
    assert_exact(&mesh, &run_id, 600).await;
    let started = ended.started_at.expect("a start");
    let started_ms = started.seconds * 1_000 + i64::from(started.nanos) / 1_000_000;
    for (seq, document) in documents(&mesh, &run_id).await {
        // One job less than its place, and a whole millisecond on each side.
        let earliest_ms = started_ms + i64::try_from(seq).expect("small") * PERIOD_MS - 2;
        assert!(document.scheduled_at >= earliest_ms, "job {seq} is {} ms early", earliest_ms - document.scheduled_at);
    }
    for (_, process, _) in schedulers {
        assert!(process.terminate().await.success(), "SIGTERM ends it in order");
    }
    worker.stop().await;
    producer.stop().await;
}

/// Its ranges, also those on their way, are published by the other one; the run ends while it is stopped.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_producer_holds_nothing_up() {
    let mesh = Mesh::new(Backend::Services).await;
    let environment = environment(&mesh);
    let start = |arguments: &[&str]| Process::start(arguments, &environment);
    let mut producers = Vec::new();
    for id in ["stopped", "other"] {
        let mut process = start(&["producer", "--json", "--id", id, "--listen", "127.0.0.1:0"]);
        let addresses = said(&mut process, &["address", "admin"]).await;
        until_readyz(&addresses[1], "readiness", |is_ready, _| is_ready).await;
        producers.push((process, addresses[0].clone()));
    }
    let both = format!("{},{}", producers[0].1, producers[1].1);
    let mut scheduler = start(&["scheduler", "--json", "--listen", "127.0.0.1:0", "--producers", &both]);
    let addresses = said(&mut scheduler, &["address", "admin"]).await;
    until_readyz(&addresses[1], "readiness", |is_ready, _| is_ready).await;
    let worker = mesh.worker(WorkerOptions::default()).await;

    let mut client = Client::at(&addresses[0]);
    let run_id = client.start(30_000, Some(4_000)).await;
    let names = ["stopped", "other"];
    client
        .until(&run_id, "both producers at work", |run| names.iter().all(|id| numbers(run).producers.contains_key(*id)))
        .await;
    producers[0].0.signal("STOP").await;
    let left_out =
        |_, report: &serde_json::Value| report["producers"][0]["ok"] == false && report["producers"][1]["ok"] == true;
    until_readyz(&addresses[1], "a producer that is left out", left_out).await;
    let ended = client.until_ended(&run_id).await;
    assert_eq!(ended.state(), RunState::Completed);
    assert_eq!(numbers(&ended).producers.values().sum::<u64>(), 4_000, "each is confirmed by exactly one");
    producers[0].0.signal("CONT").await;
    until_readyz(&addresses[1], "it is back", |_, report| report["producers"][0]["ok"] == true).await;
    assert_exact(&mesh, &run_id, 4_000).await;
    for process in producers.into_iter().map(|(process, _)| process).chain([scheduler]) {
        assert!(process.terminate().await.success(), "SIGTERM ends it in order");
    }
    worker.stop().await;
}
