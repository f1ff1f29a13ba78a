//! The roles on embedded adapters: in this process, wired as `paceline dev` does it.

use std::sync::Arc;
use std::time::Duration;

use paceline_core::seam::NoFaults;
use paceline_core::{Error, Result};
use paceline_producer::Producer;
use paceline_runtime::auth::RequireToken;
use paceline_runtime::grpc;
use paceline_runtime::lifecycle::Shutdown;
use paceline_scheduler::{Context as SchedulerContext, Producers};
use paceline_worker::Handlers;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::load::Config;
use super::stage::Stage;
use crate::commands::serve::rules;

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
        let (settings, ports, clock) = (&stage.settings, &stage.ports, &stage.clock);
        let (scheduler, producer) = (listen().await?, listen().await?);
        let address = format!("http://{}", scheduler.local_addr()?);
        let token = RequireToken::new(settings.token.as_deref());
        let local =
            Producer::new("bench-producer", &settings.group, ports.broker.clone(), ports.ledger.clone(), clock.clone());
        let role = SchedulerContext {
            id: "bench-scheduler".into(),
            group: settings.group.clone(),
            ledger: ports.ledger.clone(),
            sink: ports.sink.clone(),
            producers: Arc::new(Producers::local(Arc::new(local.clone()))),
            clock: clock.clone(),
            rules: rules(settings),
        };
        self.tasks.spawn(paceline_scheduler::run(role, scheduler, token.clone(), self.shutdown.clone()));
        self.tasks.spawn(paceline_producer::run(local, producer, token, self.shutdown.clone()));
        Ok(address)
    }

    pub fn work(&mut self, stage: &Stage, id: String, config: &Config) {
        let worker = paceline_worker::Config {
            id,
            group: stage.settings.group.clone(),
            queues: stage.settings.queues.clone(),
            consumers: config.consumers as usize,
            prefetch: config.prefetch,
            batch_max: config.batch as usize,
            grace: GRACE,
            broker: stage.ports.broker.clone(),
            sink: stage.ports.sink.clone(),
            ledger: stage.ports.ledger.clone(),
            handlers: Handlers::builtin(),
            clock: stage.clock.clone(),
            faults: Arc::new(NoFaults),
        };
        self.tasks.spawn(paceline_worker::run(worker, self.shutdown.clone()));
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
