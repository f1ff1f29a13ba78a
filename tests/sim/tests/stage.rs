//! The stage of the stories: a real scheduler on a simulated ledger and sink, and an ear for warnings.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use paceline_core::ids::RunId;
use paceline_core::ports::{Ledger, RangePublisher};
use paceline_core::run::Snapshot;
use paceline_node::Node;
use paceline_runtime::lifecycle::Shutdown;
use paceline_runtime::readiness::Readiness;
use paceline_runtime::settings::Settings;
use paceline_runtime::telemetry::metrics::Metrics;
use paceline_runtime::telemetry::traces::Traces;
use paceline_scheduler::{Context, Ports, Producers, SchedulerHandle};
use paceline_sim::clock::SimClock;
use paceline_sim::net::Link;
use paceline_sim::ports::{SimLedger, SimSink};
use paceline_sim::process::{Place, Process, Role};
use paceline_sim::storm::Service;
use paceline_sim::world::World;

/// In virtual time: longer than any story takes.
const STORY_MAX: Duration = Duration::from_secs(600);
const POLL: Duration = Duration::from_millis(20);

/// A world without faults and laws, and one process in it.
pub struct Stage {
    pub world: World,
    pub metrics: Metrics,
    settings: Settings,
    process: Process,
}

impl Stage {
    pub fn new() -> Self {
        let world = World::new(0, false, false);
        let place = Place { role: Role::Scheduler, index: 0 };
        let process = Process::new(place, 1, 1, SimClock::new(world.start()));
        Self { world, metrics: Metrics::off(), settings: Settings::default(), process }
    }

    /// The same with schedulers that hold a run back at so many ready jobs.
    pub fn with_high_water(high_water: u64) -> Self {
        let mut stage = Self::new();
        stage.settings.high_water = high_water;
        stage
    }

    pub fn clock(&self) -> Arc<SimClock> {
        Arc::new(self.process.clock().clone())
    }

    pub fn ledger(&self) -> Ledger {
        SimLedger::ports(self.link(Service::Ledger))
    }

    pub fn node(&self) -> Node {
        Node::new(&self.settings, self.clock()).observed(Traces::off(), self.metrics.clone())
    }

    fn link(&self, service: Service) -> Link {
        Link::new(&self.world, &self.process, service)
    }

    pub fn scheduler(&self, producers: Arc<Producers>) -> SchedulerHandle {
        let sink = SimSink::ports(self.link(Service::Sink));
        let (readiness, none) = (Readiness::new("scheduler", "scheduler"), Producers::in_process(Vec::new()));
        let role = self.node().scheduler("scheduler", self.ledger(), sink, none, readiness);
        SchedulerHandle::new(Context { config: role.config, ports: Ports { producers, ..role.ports } })
    }
}

/// One producer, as the scheduler calls it.
pub fn only(publisher: Arc<dyn RangePublisher>) -> Arc<Producers> {
    Arc::new(Producers::in_process(vec![("only".into(), publisher)]))
}

/// A story that hangs has failed.
pub async fn in_time<T>(story: impl Future<Output = T>) -> T {
    tokio::time::timeout(STORY_MAX, story).await.expect("the story comes to an end")
}

/// Plays `story` while `scheduler` owns what it can.
pub async fn play<T>(scheduler: &SchedulerHandle, story: impl Future<Output = T>) -> T {
    let shutdown = Shutdown::new();
    let telling = async {
        let told = in_time(story).await;
        shutdown.trigger();
        told
    };
    tokio::join!(telling, paceline_scheduler::supervise(scheduler, shutdown.clone())).0
}

/// The run, once `enough` says so.
pub async fn until(scheduler: &SchedulerHandle, run: &RunId, enough: impl Fn(&Snapshot) -> bool) -> Snapshot {
    loop {
        let snapshot = scheduler.get(run).await.expect("the ledger answers");
        if enough(&snapshot) {
            return snapshot;
        }
        tokio::time::sleep(POLL).await;
    }
}

/// Counts what is logged as a warning or worse on this thread, while its guard lives.
#[derive(Clone)]
pub struct Warnings {
    /// Only modules whose path begins with this are heard.
    from: &'static str,
    count: Arc<AtomicUsize>,
}

impl Warnings {
    pub fn heard() -> (Self, tracing::subscriber::DefaultGuard) {
        Self::heard_from("")
    }

    pub fn heard_from(from: &'static str) -> (Self, tracing::subscriber::DefaultGuard) {
        let warnings = Self { from, count: Arc::default() };
        let guard = tracing::subscriber::set_default(warnings.clone());
        (warnings, guard)
    }

    pub fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }
}

impl tracing::Subscriber for Warnings {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() <= tracing::Level::WARN && metadata.target().starts_with(self.from)
    }

    fn event(&self, event: &tracing::Event<'_>) {
        eprintln!("heard: {event:?}");
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}
