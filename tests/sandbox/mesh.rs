//! A mesh: the services of one test (or their embedded stand-ins) and the roles that a test starts on them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use paceline_adapters::resolve::{self, Connections};
use paceline_core::Result;
use paceline_core::clock::{SharedClock, SystemClock};
use paceline_core::ids::{DEFAULT_GROUP, DEFAULT_QUEUE};
use paceline_core::policy::Policy;
use paceline_core::ports::sink::Payloads;
use paceline_core::ports::{Backends, Broker, Ledger};
use paceline_core::seam::{Faults, NoFaults};
use paceline_node::{Node, WorkerSetup};
use paceline_runtime::lifecycle::Shutdown;
use paceline_runtime::protocol::{self, Build};
use paceline_runtime::readiness::Readiness;
use paceline_runtime::resolver::{Resolver, SystemResolver};
use paceline_runtime::settings::Settings;
use paceline_runtime::telemetry::metrics::Metrics;
use paceline_runtime::telemetry::otlp::{Otlp, OtlpProtocol};
use paceline_runtime::telemetry::traces::{Choice, Traces};
use paceline_runtime::telemetry::{Identity, export};
use paceline_scheduler::{Caller, OwnerLimits, Producers};
use paceline_worker::Handlers;
use tokio::net::TcpListener;

use crate::role::Role;

/// On this machine alone; the system chooses the port.
pub const FREE_PORT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

/// The services under a mesh.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    Embedded,
    Services,
}

/// One test's services. Dropping it removes the embedded folder; a namespace on real services is left to the stack's wipe.
pub struct Mesh {
    pub connections: Connections,
    pub clock: SharedClock,
    /// The embedded adapters: the folder belongs to one opener, so every role shares them.
    shared: Option<Backends>,
    _folder: Option<tempfile::TempDir>,
    roles: AtomicU32,
    /// Of the schedulers that are started from now on.
    pub limits: OwnerLimits,
    /// The consumer group of the schedulers and workers that are started from now on.
    pub group: String,
    /// The traces of the roles that are started from now on.
    pub traces: Traces,
    /// The metrics of the roles that are started from now on, all of them together.
    pub metrics: Metrics,
    /// The software of the roles that are started from now on.
    pub build: Build,
    /// The resolver of the schedulers that are started from now on.
    pub resolver: Arc<dyn Resolver>,
}

/// The settings of a worker that a test may change.
pub struct WorkerOptions {
    pub consumers: usize,
    pub prefetch: u16,
    pub policy: Policy,
    pub handlers: Handlers,
    pub faults: Arc<dyn Faults>,
}

impl Default for WorkerOptions {
    fn default() -> Self {
        Self {
            consumers: 4,
            prefetch: 10,
            policy: Policy::default(),
            handlers: Handlers::builtin(),
            faults: Arc::new(NoFaults),
        }
    }
}

impl Mesh {
    pub async fn new(backend: Backend) -> Self {
        let clock = SystemClock::shared();
        let (connections, folder) = match backend {
            Backend::Embedded => {
                let folder = tempfile::tempdir().expect("a temporary folder");
                (Connections::embedded(folder.path()), Some(folder))
            }
            Backend::Services => (services(), None),
        };
        let shared = match backend {
            Backend::Embedded => {
                Some(resolve::connect(&connections, clock.clone()).await.expect("the embedded backends open"))
            }
            Backend::Services => None,
        };
        Self {
            connections,
            clock,
            shared,
            _folder: folder,
            roles: AtomicU32::new(0),
            limits: OwnerLimits::default(),
            group: DEFAULT_GROUP.into(),
            traces: Traces::off(),
            metrics: Metrics::off(),
            build: Build::THIS,
            resolver: Arc::new(SystemResolver),
        }
    }

    /// Records traces from now on, for a receiver of OTLP.
    #[allow(clippy::disallowed_methods, reason = "it ends with the test's runtime")]
    pub async fn trace_to(&mut self, endpoint: &str, choice: Choice) {
        let keeper =
            Otlp::new(endpoint, OtlpProtocol::Grpc, Identity { role: "test", id: "test" }).expect("an address");
        let (told, traces) = tokio::sync::oneshot::channel();
        tokio::spawn(async move {
            let until_the_end = async |traces| {
                _ = told.send(traces);
                std::future::pending().await
            };
            export::beside::<()>(Some(Arc::new(keeper)), choice, until_the_end).await
        });
        self.traces = traces.await.expect("it is told");
    }

    /// A role's own adapters.
    pub async fn backends(&self) -> Backends {
        match &self.shared {
            Some(shared) => shared.clone(),
            None => resolve::connect(&self.connections, self.clock.clone()).await.expect("the services answer"),
        }
    }

    /// The adapters of a role that joins the mesh.
    async fn joined(&self) -> Backends {
        let mut backends = self.backends().await;
        let joined = protocol::join(backends.ledger, &self.connections.namespace, self.build).await;
        backends.ledger = joined.expect("the mesh has the protocol of the role");
        backends
    }

    pub async fn producer(&self) -> Role {
        self.producer_at(FREE_PORT).await
    }

    pub async fn producer_at(&self, address: SocketAddr) -> Role {
        let Backends { broker, ledger, .. } = self.joined().await;
        self.serve_producer(&self.name("producer"), broker, ledger, address).await
    }

    /// A producer named `id` on ports that the caller has, at `address`.
    pub async fn serve_producer(&self, id: &str, broker: Arc<dyn Broker>, ledger: Ledger, address: SocketAddr) -> Role {
        let readiness = Readiness::new("producer", id);
        let role = self.node().producer(id, broker, ledger, readiness.clone());
        self.listen(address, id.to_owned(), readiness, |listener, shutdown| role.run(listener, shutdown)).await
    }

    /// A scheduler with these producers, or with one in its own process when there are none.
    pub async fn scheduler(&self, producers: &[&Role]) -> Role {
        let addresses: Vec<_> = producers.iter().map(|role| role.url()).collect();
        self.scheduler_of(&addresses).await
    }

    /// The same with producers at these addresses or names.
    pub async fn scheduler_of(&self, producers: &[String]) -> Role {
        let Backends { broker, sink, ledger } = self.joined().await;
        let (node, id) = (self.node(), self.name("scheduler"));
        let producers = match producers {
            [] => Producers::local(Arc::new(node.publisher(&self.name("producer"), broker, ledger.clone()))),
            remote => {
                let caller = Caller::new(self.build.protocol, None).expect("no token is a good one");
                Producers::found_by(self.resolver.clone(), remote, caller).expect("the addresses are valid")
            }
        };
        let readiness = Readiness::new("scheduler", &id);
        let role = node.scheduler(&id, ledger, sink, producers, readiness.clone());
        self.listen(FREE_PORT, id, readiness, |listener, shutdown| role.run(listener, shutdown)).await
    }

    pub async fn worker(&self, options: WorkerOptions) -> Role {
        let WorkerOptions { consumers, prefetch, policy, handlers, faults } = options;
        let (id, shutdown) = (self.name("worker"), Shutdown::new());
        let queues = BTreeMap::from([(DEFAULT_QUEUE.to_owned(), policy)]);
        let node = Node { queues, handlers, ..self.node() };
        let batch_max = paceline_worker::BATCH_MAX_DEFAULT;
        let setup = WorkerSetup { consumers, prefetch, batch_max, grace: Duration::from_secs(10) };
        let readiness = Readiness::new("worker", &id);
        let mut role = node.worker(&id, self.joined().await, setup, readiness.clone());
        role.config.faults = faults;
        Role::started(id, None, readiness, shutdown.clone(), role.run(shutdown))
    }

    /// The wiring of the roles that are started from now on.
    pub fn node(&self) -> Node {
        Node {
            group: self.group.clone(),
            queues: BTreeMap::from([(DEFAULT_QUEUE.to_owned(), Policy::default())]),
            limits: self.limits,
            handler_names: vec!["record".into(), "test".into()],
            build: self.build,
            ..Node::new(&Settings::default(), self.clock.clone())
        }
        .observed(self.traces.clone(), self.metrics.clone())
    }

    async fn listen<F>(
        &self,
        address: SocketAddr,
        id: String,
        readiness: Readiness,
        run: impl FnOnce(TcpListener, Shutdown) -> F,
    ) -> Role
    where
        F: Future<Output = Result<()>> + Send + 'static,
    {
        let listener = TcpListener::bind(address).await.expect("a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let shutdown = Shutdown::new();
        Role::started(id, Some(address), readiness, shutdown.clone(), run(listener, shutdown))
    }

    fn name(&self, role: &str) -> String {
        format!("{role}-{}", self.roles.fetch_add(1, Ordering::Relaxed))
    }
}

fn services() -> Connections {
    let url = |name: &str| {
        std::env::var(name)
            .unwrap_or_else(|_| panic!("{name} is not set: run `make test`, or eval \"$(infra/local/stack up)\""))
    };
    Connections {
        broker_url: url("PACELINE_BROKER_URL"),
        sink_url: url("PACELINE_SINK_URL"),
        ledger_url: url("PACELINE_LEDGER_URL"),
        namespace: format!("test-{:012x}", fastrand::u64(..) >> 16),
        ca_file: None,
        payloads: Payloads::default(),
    }
}
