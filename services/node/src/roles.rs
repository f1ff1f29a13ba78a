//! Roles that are put together and not started. Their fields are open, so that a test may swap a port or a setting before it starts one.

use paceline_core::Result;
use paceline_producer::Producer;
use paceline_runtime::lifecycle::Shutdown;
use tokio::net::TcpListener;

pub struct SchedulerRole {
    pub config: paceline_scheduler::Config,
    pub ports: paceline_scheduler::Ports,
}

pub struct ProducerRole {
    pub config: paceline_producer::Config,
    /// Publishes at once; [`ProducerRole::run`] serves it to others.
    pub producer: Producer,
}

pub struct WorkerRole {
    pub config: paceline_worker::Config,
    pub ports: paceline_worker::Ports,
}

impl SchedulerRole {
    pub async fn run(self, listener: TcpListener, shutdown: Shutdown) -> Result<()> {
        paceline_scheduler::run(self.config, self.ports, listener, shutdown).await
    }
}

impl ProducerRole {
    pub async fn run(self, listener: TcpListener, shutdown: Shutdown) -> Result<()> {
        paceline_producer::run(self.config, self.producer, listener, shutdown).await
    }
}

impl WorkerRole {
    pub async fn run(self, shutdown: Shutdown) -> Result<()> {
        paceline_worker::run(self.config, self.ports, shutdown).await
    }
}
