//! Every role in this process on shared adapters, as `paceline dev` runs them, and `paceline bench` on an embedded folder.

use std::sync::Arc;

use paceline_core::Result;
use paceline_core::ports::Backends;
use paceline_runtime::lifecycle::Shutdown;
use paceline_runtime::readiness::Readiness;
use paceline_scheduler::Producers;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::node::{Node, WorkerSetup};

/// A mesh within one process. Dropping it drops its roles where they stand.
pub struct InProcess {
    node: Node,
    backends: Backends,
    /// The whole: each role is a part of it.
    pub readiness: Readiness,
    pub shutdown: Shutdown,
    pub roles: JoinSet<Result<()>>,
}

impl InProcess {
    /// Without a role; the roles stop at `shutdown`.
    pub fn new(name: &str, node: Node, backends: Backends, shutdown: Shutdown) -> Self {
        Self { node, backends, readiness: Readiness::new("dev", name), shutdown, roles: JoinSet::new() }
    }

    /// Starts a producer and a scheduler, named `<name>-producer` and `<name>-scheduler`. The scheduler calls the producer within the
    /// process; others reach both over gRPC.
    pub fn serve(&mut self, name: &str, scheduler: TcpListener, producer: TcpListener) {
        let Backends { broker, sink, ledger } = self.backends.clone();
        let (scheduler_id, producer_id) = (format!("{name}-scheduler"), format!("{name}-producer"));
        // In the order in which /readyz lists them.
        let as_scheduler = self.readiness.part("scheduler", &scheduler_id);
        let as_producer = self.readiness.part("producer", &producer_id);
        let publishing = self.node.producer(&producer_id, broker, ledger.clone(), as_producer);
        let producers = Producers::local(Arc::new(publishing.producer.clone()));
        let scheduling = self.node.scheduler(&scheduler_id, ledger, sink, producers, as_scheduler);
        self.roles.spawn(scheduling.run(scheduler, self.shutdown.clone()));
        self.roles.spawn(publishing.run(producer, self.shutdown.clone()));
    }

    /// Starts a worker named `id`.
    pub fn work(&mut self, id: &str, setup: WorkerSetup) {
        let readiness = self.readiness.part("worker", id);
        let worker = self.node.worker(id, self.backends.clone(), setup, readiness);
        self.roles.spawn(worker.run(self.shutdown.clone()));
    }
}
