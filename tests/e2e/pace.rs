//! The main job: X jobs every Y minutes become documents, at the pace, each once, shared fairly.

use paceline_core::document::Status;
use paceline_proto::v1::RunState;
use paceline_tests::client::{assert_exact, numbers};
use paceline_tests::mesh::WorkerOptions;
use paceline_tests::{Backend, Client, Mesh};

use crate::support::{documents, status_of};

both!(a_thousand_a_minute, an_exact_total, a_run_without_a_total_goes_on_until_stopped, two_meshes_share_nothing);

/// X = 1000, Y = 1, two workers. L6 by the documents' own times: no job is early, none is missing, none is extra.
async fn a_thousand_a_minute(backend: Backend) {
    let mesh = Mesh::new(backend).await;
    let scheduler = mesh.scheduler(&[]).await;
    let workers = [mesh.worker(WorkerOptions::default()).await, mesh.worker(WorkerOptions::default()).await];
    // Nobody begins with a head start: the shares are compared below.
    for worker in &workers {
        worker.until_consuming(WorkerOptions::default().consumers).await;
    }
    let mut client = Client::of(&scheduler).await;

    let run = client.start(1000, Some(1000)).await;
    let ended = client.until_ended(&run).await;
    assert_eq!(ended.state(), RunState::Completed);
    assert_eq!((numbers(&ended).enqueued, numbers(&ended).processed), (1000, 1000));
    assert_eq!(assert_exact(&mesh, &run, 1000).await, (1000, 0));

    let started = ended.started_at.expect("a start");
    let started_ms = started.seconds * 1000 + i64::from(started.nanos) / 1_000_000;
    for (seq, document) in documents(&mesh, &run).await {
        let due_ms = started_ms + (i64::try_from(seq).expect("small") + 1) * 60;
        // Wall time is read in whole milliseconds, twice.
        assert!(document.scheduled_at >= due_ms - 2, "job {seq} is {} ms early", due_ms - document.scheduled_at);
        let number = document.payload["number"].as_u64().expect("a number");
        assert_eq!(document.payload["square"].as_u64(), Some(number * number));
    }
    for worker in &workers {
        let share = numbers(&ended).workers.get(&worker.id).copied().unwrap_or(0);
        assert!((400..=600).contains(&share), "{} processed {share} of 1000: {:?}", worker.id, numbers(&ended).workers);
    }
    for role in workers.into_iter().chain([scheduler]) {
        role.stop().await;
    }
}

async fn an_exact_total(backend: Backend) {
    let mesh = Mesh::new(backend).await;
    let scheduler = mesh.scheduler(&[]).await;
    let worker = mesh.worker(WorkerOptions::default()).await;
    let mut client = Client::of(&scheduler).await;
    for total in [1, 777] {
        let run = client.start(600_000, Some(total)).await;
        let ended = client.until_ended(&run).await;
        assert_eq!((ended.state(), numbers(&ended).enqueued), (RunState::Completed, total));
        assert_eq!(numbers(&ended).duplicates, 0, "nothing was killed");
        assert_exact(&mesh, &run, total).await;
        assert_eq!(status_of(&documents(&mesh, &run).await, Status::Completed).len() as u64, total);
    }
    worker.stop().await;
    scheduler.stop().await;
}

async fn a_run_without_a_total_goes_on_until_stopped(backend: Backend) {
    let mesh = Mesh::new(backend).await;
    let scheduler = mesh.scheduler(&[]).await;
    let mut client = Client::of(&scheduler).await;
    let run = client.start(60_000, None).await;
    // Nobody works yet: everything that is enqueued when the stop comes must still drain.
    client.until(&run, "300 jobs enqueued", |run| numbers(run).enqueued >= 300).await;
    let stopping = client.stop(&run).await;
    assert_eq!(stopping.state(), RunState::Stopping);
    let worker = mesh.worker(WorkerOptions::default()).await;
    let ended = client.until_ended(&run).await;
    assert_eq!(ended.state(), RunState::Stopped);
    assert_eq!(numbers(&ended).enqueued, numbers(&stopping).enqueued, "a stop that has answered enqueues no more");
    assert_exact(&mesh, &run, numbers(&ended).enqueued).await;
    worker.stop().await;
    scheduler.stop().await;
}

async fn two_meshes_share_nothing(backend: Backend) {
    let meshes = [Mesh::new(backend).await, Mesh::new(backend).await];
    let mut runs = Vec::new();
    for mesh in &meshes {
        let (scheduler, worker) = (mesh.scheduler(&[]).await, mesh.worker(WorkerOptions::default()).await);
        let mut client = Client::of(&scheduler).await;
        let run = client.start(60_000, Some(500)).await;
        runs.push((mesh, scheduler, worker, client, run));
    }
    for (mesh, scheduler, worker, mut client, run) in runs {
        client.until_ended(&run).await;
        assert_exact(mesh, &run, 500).await;
        let listed =
            client.0.list_runs(paceline_proto::v1::ListRunsRequest::default()).await.expect("a list").into_inner();
        assert_eq!(listed.runs.into_iter().map(|run| run.run_id).collect::<Vec<_>>(), [run], "only its own run");
        worker.stop().await;
        scheduler.stop().await;
    }
}
