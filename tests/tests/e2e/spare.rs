//! Spare consumers: opened for a long queue, closed after it, and no job is lost or doubled on the way.

use async_trait::async_trait;
use paceline_core::job::Job;
use paceline_core::outcome::Outcome;
use paceline_proto::v1::RunState;
use paceline_tests::client::{assert_exact, numbers};
use paceline_tests::mesh::WorkerOptions;
use paceline_tests::{Backend, Client, Mesh};
use paceline_worker::{Consumers, Handler, Handlers, JobContext};
use tokio::sync::watch;

both!(a_full_worker_opens_its_spare_consumers_and_closes_them_when_it_has_less_to_do,);

/// Ends no job before the gate is open.
struct Gate(watch::Receiver<bool>);

#[async_trait]
impl Handler for Gate {
    async fn handle(&self, _: &Job, _: &JobContext) -> Outcome {
        _ = self.0.clone().wait_for(|is_open| *is_open).await;
        Outcome::Done { output: serde_json::Map::new() }
    }
}

async fn a_full_worker_opens_its_spare_consumers_and_closes_them_when_it_has_less_to_do(backend: Backend) {
    const JOBS: u64 = 200;
    let mesh = Mesh::new(backend).await;
    let scheduler = mesh.scheduler(&[]).await;
    let (gate, is_open) = watch::channel(false);
    let (consumers, handlers) = (Consumers { always: 1, spare: 3 }, Handlers::builtin().with("record", Gate(is_open)));
    let worker = mesh.worker(WorkerOptions { consumers, prefetch: 2, handlers, ..WorkerOptions::default() }).await;
    worker.until_consuming(1).await;
    let mut client = Client::of(&scheduler).await;
    let run = client.start(60_000, Some(JOBS)).await;
    worker.until_consuming(4).await;
    gate.send_replace(true);
    let ended = client.until_ended(&run).await;
    assert_eq!((ended.state(), numbers(&ended).processed), (RunState::Completed, JOBS));
    assert_exact(&mesh, &run, JOBS).await;
    worker.until_consuming(1).await;
    worker.stop().await;
    scheduler.stop().await;
}
