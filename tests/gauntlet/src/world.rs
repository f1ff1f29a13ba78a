//! Everything that is struck and everything that strikes: the services, the gates before them, the roles, the runs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use anyhow::{Context as _, bail};
use paceline_proto::v1::StartRunRequest;
use tokio::time::Instant;

use crate::api::Api;
use crate::cluster::Nodes;
use crate::gate::Gate;
use crate::laws::Watch;
use crate::plan::speaks;
use crate::refusals::Refusals;
use crate::roles::{Kind, Role, free_ports};
use crate::services::{Service, Stack};

/// Prefix of queues, indices and keys; the stack is our own, so any will do.
pub const NAMESPACE: &str = "gauntlet";

/// Where things are.
#[derive(Debug, Clone)]
pub struct Place {
    pub repository: PathBuf,
    pub binary: PathBuf,
    /// Of this gauntlet alone: logs and the services' data.
    pub folder: PathBuf,
}

impl Place {
    pub fn stack(&self) -> PathBuf {
        self.folder.join("stack")
    }

    pub fn logs(&self) -> PathBuf {
        self.folder.join("logs")
    }
}

/// A run that is sampled until it has ended, and proved afterwards.
pub struct Watched {
    pub name: String,
    pub id: String,
    /// Each of its jobs must end dead.
    pub is_refused: bool,
    watch: Mutex<Watch>,
}

impl Watched {
    pub fn watch(&self) -> MutexGuard<'_, Watch> {
        self.watch.lock().expect("no code panics while it holds a watch")
    }
}

pub struct World {
    pub place: Place,
    began: Instant,
    pub stack: Stack,
    refusals: Option<Refusals>,
    /// Of a cluster.
    pub nodes: Option<Nodes>,
    pub gates: BTreeMap<(String, Service), Gate>,
    pub roles: BTreeMap<String, Role>,
    pub api: Api,
    runs: Mutex<Vec<Arc<Watched>>>,
    /// What must never happen, with when and where it did.
    violations: Mutex<Vec<String>>,
    pub snapshots: AtomicU64,
    pub reads_failed: AtomicU64,
    /// The most memory that any role of a kind was seen with, MB.
    pub memory_max_mb: Mutex<BTreeMap<Kind, u64>>,
    /// One holder at a time for each thing that can be struck.
    pub things: BTreeMap<String, tokio::sync::Mutex<()>>,
}

impl World {
    /// Starts services and roles; returns when the first scheduler has accepted a call is up to the caller.
    pub async fn build(place: Place, rng: &mut fastrand::Rng) -> anyhow::Result<Self> {
        let stack = Stack::up(&place.repository, place.stack()).await?;
        let refusals = Refusals::before(stack.address(Service::Elasticsearch)?, rng.u64(..)).await?;
        let mut gates = BTreeMap::new();
        for (kind, service) in Kind::ALL.into_iter().flat_map(|kind| Service::ALL.map(|service| (kind, service))) {
            for name in kind.members().filter(|_| speaks(kind, service)) {
                let upstream = match service {
                    Service::Elasticsearch => refusals.address,
                    _ => stack.address(service)?,
                };
                gates.insert((name, service), Gate::to(upstream).await?);
            }
        }
        Self::assemble(place, stack, Some(refusals), gates, None, rng).await
    }

    /// The same on three nodes of each service.
    pub async fn build_cluster(place: Place, rng: &mut fastrand::Rng) -> anyhow::Result<Self> {
        let (stack, nodes) = Nodes::up(&place).await?;
        Self::assemble(place, stack, None, BTreeMap::new(), Some(nodes), rng).await
    }

    async fn assemble(
        place: Place,
        stack: Stack,
        refusals: Option<Refusals>,
        gates: BTreeMap<(String, Service), Gate>,
        nodes: Option<Nodes>,
        rng: &mut fastrand::Rng,
    ) -> anyhow::Result<Self> {
        let ports = free_ports(Kind::Scheduler.count() + Kind::Producer.count(), rng)?;
        let (scheduler_ports, producer_ports) = ports.split_at(Kind::Scheduler.count());
        let mut roles = BTreeMap::new();
        for kind in Kind::ALL {
            for (name, number) in kind.members().zip(0..) {
                let mut environment = common(producer_ports);
                for service in Service::ALL.into_iter().filter(|service| speaks(kind, *service)) {
                    let url = match (&nodes, gates.get(&(name.clone(), service))) {
                        (Some(nodes), _) => nodes.url(service).to_owned(),
                        (None, Some(gate)) => stack.url_at(service, gate.address)?,
                        (None, None) => bail!("{name} has no gate to {}", service.name()),
                    };
                    environment.insert(service.variable().to_owned(), url);
                }
                let listen = match kind {
                    Kind::Scheduler => Some(scheduler_ports[number]),
                    Kind::Producer => Some(producer_ports[number]),
                    Kind::Worker => None,
                };
                let role = Role::new(kind, &name, &place.binary, &place.logs(), listen, environment);
                role.start().await?;
                roles.insert(name, role);
            }
        }
        let services = Service::ALL.iter().map(|service| service.name().to_owned());
        let things = roles.keys().cloned().chain(services).chain([CALLS.to_owned()]);
        let things = things.map(|thing| (thing, tokio::sync::Mutex::default())).collect();
        Ok(Self {
            place,
            began: Instant::now(),
            stack,
            refusals,
            nodes,
            gates,
            roles,
            api: Api::of(scheduler_ports)?,
            runs: Mutex::default(),
            violations: Mutex::default(),
            snapshots: AtomicU64::new(0),
            reads_failed: AtomicU64::new(0),
            memory_max_mb: Mutex::default(),
            things,
        })
    }

    /// Before Elasticsearch, where it is one node.
    pub fn refusals(&self) -> anyhow::Result<&Refusals> {
        self.refusals.as_ref().context("nothing stands before Elasticsearch")
    }

    /// Time since the gauntlet began; everything in it is told on this clock.
    pub fn now(&self) -> Duration {
        self.began.elapsed()
    }

    pub async fn sleep_until(&self, at: Duration) {
        tokio::time::sleep_until(self.began + at).await;
    }

    /// Starts a run and has it watched.
    pub async fn start_run(&self, name: &str, request: StartRunRequest) -> anyhow::Result<Arc<Watched>> {
        let began = self.now();
        let per_second = request.jobs as f64 / (request.per_minutes * 60.0);
        let is_refused = request.payload.is_some();
        let request_id = format!("gauntlet-{name}");
        let run = self.api.start(&StartRunRequest { request_id, ..request }).await?;
        let watch = Mutex::new(Watch::new(began, per_second));
        let watched = Arc::new(Watched { name: name.to_owned(), id: run.run_id, is_refused, watch });
        self.lock_runs().push(watched.clone());
        Ok(watched)
    }

    pub fn runs(&self) -> Vec<Arc<Watched>> {
        self.lock_runs().clone()
    }

    fn lock_runs(&self) -> MutexGuard<'_, Vec<Arc<Watched>>> {
        self.runs.lock().expect("no code panics while it holds the runs")
    }

    pub fn violation(&self, what: String) {
        let now = self.now().as_secs_f64();
        say(&format!("{now:7.2} s  VIOLATION {what}"));
        self.violations.lock().expect("nobody panics with it").push(format!("at {now:.2} s: {what}"));
    }

    pub fn violations(&self) -> Vec<String> {
        self.violations.lock().expect("nobody panics with it").clone()
    }

    pub fn gates_to<'a>(&'a self, service: Service, whose: Option<&'a str>) -> impl Iterator<Item = &'a Gate> {
        let is_meant = move |role: &str, to: Service| to == service && whose.is_none_or(|whose| whose == role);
        self.gates.iter().filter(move |((role, to), _)| is_meant(role, *to)).map(|(_, gate)| gate)
    }
}

/// The thing that calls on the small run hold, because they are made one after the other.
pub const CALLS: &str = "calls";

fn common(producer_ports: &[u16]) -> BTreeMap<String, String> {
    let producers: Vec<String> = producer_ports.iter().map(|port| format!("http://127.0.0.1:{port}")).collect();
    BTreeMap::from([
        ("PACELINE_NAMESPACE".to_owned(), NAMESPACE.to_owned()),
        ("PACELINE_PRODUCERS".to_owned(), producers.join(",")),
    ])
}

/// Words for whoever looks on; the result goes to stdout.
pub fn say(words: &str) {
    eprintln!("gauntlet: {words}");
}

/// The repository that this program was built from.
pub fn repository() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_owned()
}
