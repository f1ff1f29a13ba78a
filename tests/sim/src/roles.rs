//! Starts the real roles on simulated ports, buries what died, and starts it again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use paceline_core::ids::DEFAULT_QUEUE;
use paceline_core::job::Job;
use paceline_core::outcome::Outcome;
use paceline_core::policy::Policy;
use paceline_core::ports::{Backends, RangePublisher};
use paceline_node::{Node, WorkerSetup};
use paceline_runtime::lifecycle::Shutdown;
use paceline_runtime::readiness::Readiness;
use paceline_runtime::settings::Settings;
use paceline_scheduler::{Context, OwnerLimits, Producers, SchedulerHandle};
use paceline_worker::{Handler, Handlers, JobContext};

use crate::clock::SimClock;
use crate::mutants;
use crate::net::Link;
use crate::plan::{PRODUCERS, Plan};
use crate::ports::{SimBroker, SimLedger, SimPublisher, SimSink};
use crate::process::{Place, Process, Role};
use crate::storm::Service;
use crate::world::World;

const ATTEMPTS_MAX: u32 = 3;
const TIMEOUT_MS: u64 = 1_500;
const POLICY: Policy = Policy { attempts_max: ATTEMPTS_MAX, timeout_ms: TIMEOUT_MS, backoff_ms: 100 };
const GRACE: Duration = Duration::from_secs(5);
const RESTART_MS_MAX: u64 = 2_000;

/// Everything that a place needs to come to life, again and again.
#[derive(Clone)]
pub struct Roles {
    pub world: World,
    pub plan: Arc<Plan>,
    /// The end of the simulation: everybody stops in order.
    pub ending: Shutdown,
}

impl Roles {
    /// Lives until the end, whatever happens meanwhile.
    pub async fn live(self, place: Place) {
        let clock = SimClock::new(self.world.start());
        let mut life = 0;
        while !self.ending.is_triggered() {
            life += 1;
            let process = self.born(place, life, clock.clone());
            let role = self.start(&process);
            let end = process.crash().or(role).await;
            process.crash().trigger();
            self.bury(place);
            let how = if end.is_some() { "ended" } else { "is dead" };
            self.world.note(&format!("{} {how}", process.name()));
            let pause_ms = self.world.state().random.u64(0..RESTART_MS_MAX);
            self.ending.or(tokio::time::sleep(Duration::from_millis(pause_ms))).await;
        }
    }

    fn born(&self, place: Place, life: u32, clock: SimClock) -> Process {
        let mut state = self.world.state();
        state.processes += 1;
        let process = Process::new(place, state.processes, life, clock);
        drop(state);
        let (stop, ending) = (process.stop().clone(), self.ending.clone());
        let dead = process.crash().clone();
        self.world.tasks().spawn(async move {
            if dead.or(ending.triggered()).await.is_some() {
                stop.trigger();
            }
        });
        process
    }

    fn bury(&self, place: Place) {
        let mut state = self.world.state();
        match place.role {
            Role::Scheduler => state.schedulers[place.index] = None,
            Role::Producer => state.producers[place.index] = None,
            Role::Worker => state.workers[place.index] = None,
        }
    }

    fn start(&self, process: &Process) -> futures::future::BoxFuture<'static, ()> {
        let roles = self.clone();
        let process = process.clone();
        Box::pin(async move {
            match process.place().role {
                Role::Scheduler => roles.scheduler(process).await,
                Role::Producer => roles.producer(process).await,
                Role::Worker => roles.worker(process).await,
            }
        })
    }

    fn link(&self, process: &Process, service: Service) -> Link {
        Link::new(&self.world, process, service)
    }

    /// As it stands in leases and counts.
    fn id(&self, process: &Process) -> String {
        if self.plan.keeps_names { process.place().to_string() } else { process.name().to_owned() }
    }

    async fn scheduler(self, process: Process) {
        let publisher = |index| {
            let link = self.link(&process, Service::Producer(index));
            (format!("producer-{}", index + 1), Arc::new(SimPublisher(link)) as Arc<dyn RangePublisher>)
        };
        let producers = Producers::in_process((0..PRODUCERS).map(publisher).collect());
        let (id, Backends { sink, ledger, .. }) = (self.id(&process), self.backends(&process));
        let role = self.node(&process).scheduler(&id, ledger, sink, producers, Readiness::new("scheduler", &id));
        let scheduler = SchedulerHandle::new(Context { config: role.config, ports: role.ports });
        self.world.state().schedulers[process.place().index] = Some((process.clone(), scheduler.clone()));
        paceline_scheduler::supervise(&scheduler, process.stop().clone()).await;
    }

    async fn producer(self, process: Process) {
        let Backends { broker, ledger, .. } = self.backends(&process);
        let producer = self.node(&process).publisher(&self.id(&process), broker, ledger);
        self.world.state().producers[process.place().index] = Some((process.clone(), producer));
        process.stop().triggered().await;
    }

    async fn worker(self, process: Process) {
        self.world.state().workers[process.place().index] = Some(process.clone());
        let Plan { consumers, prefetch, batch_max, .. } = *self.plan;
        let setup = WorkerSetup { consumers, prefetch, batch_max, grace: GRACE };
        let id = self.id(&process);
        let mut role = self.node(&process).worker(&id, self.backends(&process), setup, Readiness::new("worker", &id));
        role.config.faults = Arc::new(process.clone());
        if let Err(error) = role.run(process.stop().clone()).await {
            self.world.note(&format!("{}: {:?}", process.name(), error.kind));
        }
    }

    fn node(&self, process: &Process) -> Node {
        Node {
            queues: BTreeMap::from([(DEFAULT_QUEUE.to_owned(), POLICY)]),
            limits: OwnerLimits::of(self.plan.high_water, [POLICY].into_iter()),
            handlers: Handlers::builtin().with("record", Work),
            ..Node::new(&Settings::default(), Arc::new(process.clock().clone()))
        }
    }

    fn backends(&self, process: &Process) -> Backends {
        mutants::broken(Backends {
            broker: Arc::new(SimBroker(self.link(process, Service::Broker))),
            sink: SimSink::ports(self.link(process, Service::Sink)),
            ledger: SimLedger::ports(self.link(process, Service::Ledger)),
        })
    }
}

/// Ends at once, takes a while, hangs once, fails a few times or always: a pure function of seq and attempt, so that a job that is
/// executed twice ends the same way.
struct Work;

#[async_trait]
impl Handler for Work {
    async fn handle(&self, job: &Job, context: &JobContext) -> Outcome {
        let attempt = context.attempt;
        match job.seq % 23 {
            3 => tokio::time::sleep(Duration::from_millis(job.seq % 400)).await,
            7 if attempt == 1 => tokio::time::sleep(Duration::from_millis(2 * TIMEOUT_MS)).await,
            11 if attempt <= 2 => return Outcome::retry("not yet"),
            15 => return Outcome::dead("never"),
            19 => return Outcome::retry("never, but tried"),
            _ => (),
        }
        Outcome::Done { output: serde_json::Map::new() }
    }
}
