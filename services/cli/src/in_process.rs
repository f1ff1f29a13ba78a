//! Roles in this process on shared adapters: the wiring of `paceline dev`, and of `paceline bench` on an embedded folder.

use std::sync::Arc;
use std::time::Duration;

use paceline_adapters::resolve::Backends;
use paceline_core::Result;
use paceline_core::clock::SharedClock;
use paceline_core::ports::{Broker, Ledger};
use paceline_core::seam::NoFaults;
use paceline_producer::Producer;
use paceline_runtime::auth::RequireToken;
use paceline_runtime::lifecycle::Shutdown;
use paceline_runtime::protocol::{Build, RequireProtocol};
use paceline_runtime::readiness::Readiness;
use paceline_runtime::settings::Settings;
use paceline_runtime::telemetry::metrics::{Metrics, metered};
use paceline_runtime::telemetry::traces::Traces;
use paceline_scheduler::{Context as SchedulerContext, Producers};
use paceline_worker::{Config, Handlers};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::roles::{limits, rules};

/// How much a worker holds and sends at once.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub consumers: usize,
    pub prefetch: u16,
    pub batch_max: usize,
    pub grace: Duration,
}

/// Settings, adapters and instruments that the roles of this process share.
#[derive(Clone, Copy)]
pub struct Shared<'a> {
    pub settings: &'a Settings,
    pub backends: &'a Backends,
    pub clock: &'a SharedClock,
    pub traces: &'a Traces,
    pub metrics: &'a Metrics,
}

/// A producer that records and measures what it publishes, on adapters that it measures too.
pub fn measured_producer(
    id: &str,
    settings: &Settings,
    (broker, ledger): (Arc<dyn Broker>, Arc<dyn Ledger>),
    clock: &SharedClock,
    (traces, metrics): (&Traces, &Metrics),
) -> Producer {
    let (broker, ledger) = (metered::broker(broker, metrics), metered::ledger(ledger, metrics));
    let queues = settings.queues.keys().cloned();
    Producer::new(id, broker, ledger, clock.clone()).with_traces(traces.clone()).with_metrics(
        metrics,
        queues,
        &settings.group,
    )
}

/// The same adapters, as a role measures them.
pub fn metered(backends: &Backends, metrics: &Metrics) -> Backends {
    Backends {
        broker: metered::broker(backends.broker.clone(), metrics),
        sink: metered::sink(backends.sink.clone(), metrics),
        ledger: metered::ledger(backends.ledger.clone(), metrics),
    }
}

/// Starts a producer and a scheduler, named `<name>-producer` and `<name>-scheduler`, each on its listener and a part of `readiness`.
pub fn serve(
    name: &str,
    (scheduler, producer): (TcpListener, TcpListener),
    Shared { settings, backends, clock, traces, metrics }: Shared<'_>,
    (readiness, shutdown): (&Readiness, &Shutdown),
    roles: &mut JoinSet<Result<()>>,
) {
    let token = RequireToken::new(settings.token.as_deref());
    let id = format!("{name}-producer");
    let measured = metrics.of("producer");
    let Backends { broker, ledger, .. } = backends.clone();
    let local = measured_producer(&id, settings, (broker, ledger), clock, (traces, &measured));
    let measured = metrics.of("scheduler");
    let sink = metered::sink(backends.sink.clone(), &measured);
    let ledger = metered::ledger(backends.ledger.clone(), &measured);
    let role = SchedulerContext {
        id: format!("{name}-scheduler"),
        group: settings.group.clone(),
        ledger,
        sink,
        producers: Arc::new(Producers::local(Arc::new(local.clone()))),
        clock: clock.clone(),
        rules: rules(settings),
        limits: limits(settings),
        traces: traces.clone(),
        metrics: measured,
    };
    let part = readiness.part("scheduler", &role.id);
    roles.spawn(paceline_scheduler::run(role, part, scheduler, token.clone(), shutdown.clone()));
    let part = readiness.part("producer", &id);
    let callers = RequireProtocol::new(Build::THIS, token);
    roles.spawn(paceline_producer::run(local, part, producer, callers, shutdown.clone()));
}

/// A worker of every configured queue with the built-in handlers.
pub fn worker(id: String, settings: &Settings, backends: &Backends, clock: &SharedClock, limits: Limits) -> Config {
    Config {
        id,
        version: Build::THIS.version,
        group: settings.group.clone(),
        queues: settings.queues.clone(),
        consumers: limits.consumers,
        prefetch: limits.prefetch,
        batch_max: limits.batch_max,
        grace: limits.grace,
        broker: backends.broker.clone(),
        sink: backends.sink.clone(),
        ledger: backends.ledger.clone(),
        handlers: Handlers::builtin(),
        clock: clock.clone(),
        faults: Arc::new(NoFaults),
        traces: Traces::off(),
        metrics: Metrics::off(),
    }
}
