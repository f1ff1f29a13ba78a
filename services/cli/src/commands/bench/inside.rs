//! The roles on embedded adapters: in this process, wired as `paceline dev` does it.

use std::time::Duration;

use paceline_core::{Error, Result};
use paceline_runtime::grpc;
use paceline_runtime::lifecycle::Shutdown;
use paceline_runtime::readiness::Readiness;
use paceline_runtime::telemetry::metrics::Metrics;
use paceline_runtime::telemetry::traces::Traces;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::load::Config;
use super::stage::Stage;
use crate::in_process::{self, Limits, Shared};

const GRACE: Duration = Duration::from_secs(2);
/// How long the roles may take to stop; then they are dropped where they stand.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Default)]
pub struct Inside {
    tasks: JoinSet<Result<()>>,
    shutdown: Shutdown,
}

impl Inside {
    /// A producer and a scheduler; answers where the scheduler listens.
    pub async fn serve(&mut self, stage: &Stage) -> anyhow::Result<String> {
        let listeners = (listen().await?, listen().await?);
        let address = format!("http://{}", listeners.0.local_addr()?);
        let (traces, metrics) = (&Traces::off(), &Metrics::off());
        let (settings, backends, clock) = (&stage.settings, &stage.ports, &stage.clock);
        let shared = Shared { settings, backends, clock, traces, metrics };
        let readiness = Readiness::new("bench", "bench");
        in_process::serve("bench", listeners, shared, (&readiness, &self.shutdown), &mut self.tasks);
        Ok(address)
    }

    pub fn work(&mut self, stage: &Stage, id: String, config: &Config) {
        let limits = Limits {
            consumers: config.consumers as usize,
            prefetch: config.prefetch,
            batch_max: config.batch as usize,
            grace: GRACE,
        };
        let worker = in_process::worker(id, &stage.settings, &stage.ports, &stage.clock, limits);
        let readiness = Readiness::new("worker", &worker.id);
        self.tasks.spawn(paceline_worker::run(worker, readiness, self.shutdown.clone()));
    }

    pub fn check(&mut self) -> Result<()> {
        match self.tasks.try_join_next() {
            None => Ok(()),
            Some(Ok(Err(error))) => Err(error),
            Some(ended) => Err(Error::internal(format!("a role ended while it was measured: {ended:?}"))),
        }
    }

    pub async fn stop(mut self) {
        self.shutdown.trigger();
        let all = async { while self.tasks.join_next().await.is_some() {} };
        // Late ones are dropped with the set.
        _ = tokio::time::timeout(STOP_TIMEOUT, all).await;
    }
}

async fn listen() -> Result<TcpListener> {
    grpc::bind(([127, 0, 0, 1], 0).into()).await
}
