//! A mesh of the sandbox as the place of one case, and both ways to a producer on it.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use paceline_core::ports::{Backends, Broker, RangePublisher};
use paceline_core::testkit::publisher::PublisherHarness;
use paceline_runtime::protocol::Build;
use paceline_scheduler::{Caller, ProducerAddress};
use paceline_tests::mesh::FREE_PORT;
use paceline_tests::{Backend, Mesh, Role};

/// The way on which a scheduler reaches a producer.
#[derive(Clone, Copy)]
pub enum Way {
    InProcess,
    /// Over gRPC on a port of this machine.
    Remote,
}

/// One case's services, and the producers that it started.
pub struct Publishers {
    mesh: Mesh,
    backends: Backends,
    way: Way,
    served: Mutex<Vec<Role>>,
}

impl Publishers {
    pub async fn on(backend: Backend, way: Way) -> Self {
        let mesh = Mesh::new(backend).await;
        let backends = mesh.backends().await;
        Self { mesh, backends, way, served: Mutex::default() }
    }

    /// Serves a producer, and answers the scheduler's end of the line to it.
    async fn remote(&self, id: &str, broker: Arc<dyn Broker>) -> Arc<dyn RangePublisher> {
        let served = self.mesh.serve_producer(id, broker, self.backends.ledger.clone(), FREE_PORT).await;
        let caller = Caller::new(Build::THIS.protocol, None).expect("no token is a good one");
        let address = ProducerAddress { address: served.url(), origin: None };
        self.served.lock().unwrap().push(served);
        caller.connect(&address).expect("the address is valid").publisher
    }
}

#[async_trait]
impl PublisherHarness for Publishers {
    fn backends(&self) -> &Backends {
        &self.backends
    }

    async fn publisher(&self, id: &str, broker: Arc<dyn Broker>) -> Arc<dyn RangePublisher> {
        match self.way {
            Way::InProcess => Arc::new(self.mesh.node().publisher(id, broker, self.backends.ledger.clone())),
            Way::Remote => self.remote(id, broker).await,
        }
    }

    async fn close(self) {
        let served = std::mem::take(&mut *self.served.lock().unwrap());
        for producer in served {
            producer.stop().await;
        }
    }
}
