//! Everything that is struck and everything that strikes: the services, the gates before them, the roles, the runs.
//!
//! This file puts them together; the folder has a file for each kind of thing, which knows none of the others above it.
//!
//! The folder may use the API's messages and the stack's command; it knows no fault and no report.

pub mod api;
pub mod gate;
pub mod http;
pub mod nodes;
pub mod place;
pub mod refusals;
pub mod roles;
pub mod services;

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use anyhow::{Context as _, bail};
use paceline_proto::v1::StartRunRequest;
use tokio::time::Instant;

use crate::laws::Watch;
use api::Api;
use gate::Gate;
use nodes::Nodes;
use place::{NAMESPACE, Place, say};
use refusals::Refusals;
use roles::{Kind, Role, free_ports};
use services::{Service, Stack};

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

/// All of it together, for the time of one gauntlet.
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
    /// Everything that happened and must never happen, with its time.
    violations: Mutex<Vec<String>>,
    pub snapshots: AtomicU64,
    pub reads_failed: AtomicU64,
    /// The most memory that any role of a kind was seen with, MB.
    pub memory_max_mb: Mutex<BTreeMap<Kind, u64>>,
    /// One holder at a time for each thing that can be struck.
    pub things: BTreeMap<String, tokio::sync::Mutex<()>>,
}

impl World {
    /// Starts services and roles, and waits for no role: the first call has to be tried until a scheduler accepts it.
    pub async fn build(place: Place, rng: &mut fastrand::Rng) -> anyhow::Result<Self> {
        let stack = Stack::up(&place.repository, place.stack()).await?;
        let refusals = Refusals::before(stack.address(Service::Elasticsearch)?, rng.u64(..)).await?;
        let mut gates = BTreeMap::new();
        for (kind, service) in Kind::ALL.into_iter().flat_map(|kind| Service::ALL.map(|service| (kind, service))) {
            for name in kind.members().filter(|_| kind.speaks_to(service)) {
                let upstream = match service {
                    Service::Elasticsearch => refusals.address,
                    _ => stack.address(service)?,
                };
                gates.insert((name, service), Gate::to(upstream).await?);
            }
        }
        Self::assemble(place, stack, Some(refusals), gates, None, rng).await
    }

    /// Starts three nodes of each service, and the roles.
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
        let ways = Ways { stack: &stack, nodes: nodes.as_ref(), gates: &gates };
        let roles = start_roles(&place, &ways, scheduler_ports, producer_ports).await?;
        let things = things(roles.keys());
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

/// The ways from roles to services.
struct Ways<'a> {
    stack: &'a Stack,
    nodes: Option<&'a Nodes>,
    gates: &'a BTreeMap<(String, Service), Gate>,
}

impl Ways<'_> {
    /// The URL by which the role `name` reaches `service`: through the gates of the nodes, or through a gate of its own.
    fn url(&self, name: &str, service: Service) -> anyhow::Result<String> {
        match (self.nodes, self.gates.get(&(name.to_owned(), service))) {
            (Some(nodes), _) => Ok(nodes.url(service).to_owned()),
            (None, Some(gate)) => self.stack.url_at(service, gate.address),
            (None, None) => bail!("{name} has no gate to {}", service.name()),
        }
    }
}

/// Starts every role of every kind, by name.
async fn start_roles(
    place: &Place,
    ways: &Ways<'_>,
    scheduler_ports: &[u16],
    producer_ports: &[u16],
) -> anyhow::Result<BTreeMap<String, Role>> {
    let mut roles = BTreeMap::new();
    for kind in Kind::ALL {
        for (name, number) in kind.members().zip(0..) {
            let mut environment = common(producer_ports);
            for service in Service::ALL.into_iter().filter(|service| kind.speaks_to(*service)) {
                environment.insert(service.variable().to_owned(), ways.url(&name, service)?);
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
    Ok(roles)
}

/// A lock for each thing that can be struck.
fn things<'a>(roles: impl Iterator<Item = &'a String>) -> BTreeMap<String, tokio::sync::Mutex<()>> {
    let services = Service::ALL.iter().map(|service| service.name().to_owned());
    let things = roles.cloned().chain(services).chain([CALLS.to_owned()]);
    things.map(|thing| (thing, tokio::sync::Mutex::default())).collect()
}

/// The environment that all roles share.
fn common(producer_ports: &[u16]) -> BTreeMap<String, String> {
    let producers: Vec<String> = producer_ports.iter().map(|port| format!("http://127.0.0.1:{port}")).collect();
    BTreeMap::from([
        ("PACELINE_NAMESPACE".to_owned(), NAMESPACE.to_owned()),
        ("PACELINE_PRODUCERS".to_owned(), producers.join(",")),
    ])
}
