//! Workers that die between two steps that are not atomic together: after the sink, before the ledger; after the ledger,
//! before the ack. Which batch is struck is drawn from a seed, which is printed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use paceline_core::seam::{Faults, Seam};
use paceline_proto::v1::RunState;
use paceline_tests::client::{assert_exact, numbers};
use paceline_tests::mesh::WorkerOptions;
use paceline_tests::{Backend, Client, Mesh};

both!(a_worker_dies_before_the_sink, a_worker_dies_between_sink_and_ledger, a_worker_dies_between_ledger_and_ack);

const SEEDS: [u64; 3] = [1, 7, 4711];

/// Strikes once, at the n-th pass of one seam.
struct Once {
    seam: Seam,
    passes_left: AtomicU32,
}

impl Faults for Once {
    fn strikes(&self, seam: Seam) -> bool {
        seam == self.seam && self.passes_left.fetch_sub(1, Ordering::Relaxed) == 1
    }
}

async fn a_worker_dies_before_the_sink(backend: Backend) {
    die_at(backend, Seam::BeforeSink).await;
}

async fn a_worker_dies_between_sink_and_ledger(backend: Backend) {
    die_at(backend, Seam::SinkToLedger).await;
}

async fn a_worker_dies_between_ledger_and_ack(backend: Backend) {
    die_at(backend, Seam::LedgerToAck).await;
}

async fn die_at(backend: Backend, seam: Seam) {
    let mesh = Mesh::new(backend).await;
    let scheduler = mesh.scheduler(&[]).await;
    let mut client = Client::of(&scheduler).await;
    for seed in SEEDS {
        let passes = fastrand::Rng::with_seed(seed).u32(1..20);
        println!("seed {seed}: dies at pass {passes} of {seam:?}");
        let run = client.start(60_000, Some(1_000)).await;
        let faults = Arc::new(Once { seam, passes_left: AtomicU32::new(passes) });
        let doomed = mesh.worker(WorkerOptions { faults, ..WorkerOptions::default() }).await;
        doomed.ended().await.expect_err("the fault strikes");
        let before = numbers(&client.get(&run).await).clone();
        let worker = mesh.worker(WorkerOptions::default()).await;
        let ended = client.until_ended(&run).await;
        assert_eq!((ended.state(), numbers(&ended).processed), (RunState::Completed, 1_000), "seed {seed}");
        if seam == Seam::LedgerToAck {
            // Jobs that were counted and not acknowledged came again, and were not counted again.
            let duplicates = numbers(&ended).duplicates - before.duplicates;
            assert!(duplicates > 0, "seed {seed}: the redelivery is seen");
        }
        assert_exact(&mesh, &run, 1_000).await;
        worker.stop().await;
    }
    scheduler.stop().await;
}
