//! The roles on embedded adapters: in this process, wired as `paceline dev` does it.

use std::time::Duration;

use paceline_core::error::codes;
use paceline_core::{Error, Result};
use paceline_node::{InProcess, Node, WorkerSetup};
use paceline_runtime::grpc;
use paceline_runtime::lifecycle::Shutdown;
use tokio::net::TcpListener;

use crate::load::LoadSetup;
use crate::stage::Stage;

const GRACE: Duration = Duration::from_secs(2);
/// The longest that the roles may take to stop; then they are dropped where they stand.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Default)]
pub struct Inside(Option<InProcess>);

impl Inside {
    /// A producer and a scheduler; answers the address of the scheduler.
    pub async fn serve(&mut self, stage: &Stage) -> anyhow::Result<String> {
        let (scheduler, producer) = (listen().await?, listen().await?);
        let address = format!("http://{}", scheduler.local_addr()?);
        self.mesh(stage).serve("bench", scheduler, producer);
        Ok(address)
    }

    pub fn work(&mut self, stage: &Stage, id: &str, load: &LoadSetup) {
        let setup = WorkerSetup {
            consumers: load.consumers as usize,
            prefetch: load.prefetch,
            batch_max: load.batch as usize,
            grace: GRACE,
        };
        self.mesh(stage).work(id, setup);
    }

    fn mesh(&mut self, stage: &Stage) -> &mut InProcess {
        let node = || Node::new(&stage.settings, stage.clock.clone());
        self.0.get_or_insert_with(|| InProcess::new("bench", node(), stage.ports.clone(), Shutdown::new()))
    }

    pub fn check(&mut self) -> Result<()> {
        let Some(mesh) = &mut self.0 else { return Ok(()) };
        match mesh.roles.try_join_next() {
            None => Ok(()),
            Some(Ok(Err(error))) => Err(error),
            Some(ended) => {
                Err(Error::internal(format!("a role ended while it was measured: {ended:?}")).coded(codes::BENCH_BROKE))
            }
        }
    }

    pub async fn stop(self) {
        let Some(mut mesh) = self.0 else { return };
        mesh.shutdown.trigger();
        let all = async { while mesh.roles.join_next().await.is_some() {} };
        // Late ones are dropped with the set.
        _ = tokio::time::timeout(STOP_TIMEOUT, all).await;
    }
}

async fn listen() -> Result<TcpListener> {
    grpc::bind(([127, 0, 0, 1], 0).into()).await
}
