//! Builds each role on the ports that it is given.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use paceline_core::clock::SharedClock;
use paceline_core::policy::Policy;
use paceline_core::ports::{Backends, Broker, Ledger, Sink};
use paceline_core::seam::NoFaults;
use paceline_producer::Producer;
use paceline_runtime::auth::RequireToken;
use paceline_runtime::instruments::Instruments;
use paceline_runtime::protocol::{Build, RequireProtocol};
use paceline_runtime::readiness::Readiness;
use paceline_runtime::settings::Settings;
use paceline_runtime::telemetry::metrics::{Metrics, metered};
use paceline_runtime::telemetry::traces::Traces;
use paceline_scheduler::{OwnerLimits, Producers, Rules};
use paceline_worker::Handlers;

use crate::roles::{ProducerRole, SchedulerRole, WorkerRole};

/// The settings that the roles of one process have in common.
#[derive(Clone)]
pub struct Node {
    /// The consumer group that new runs are made for, and that workers consume for.
    pub group: String,
    /// The queues, each with its policy.
    pub queues: BTreeMap<String, Policy>,
    pub limits: OwnerLimits,
    pub handlers: Handlers,
    /// The names of handlers that a run may ask for.
    pub handler_names: Vec<String>,
    pub token: RequireToken,
    pub build: Build,
    pub clock: SharedClock,
    pub traces: Traces,
    pub metrics: Metrics,
}

/// The bounds of one worker.
#[derive(Debug, Clone, Copy)]
pub struct WorkerSetup {
    /// Consumers a queue.
    pub consumers: usize,
    /// Unacknowledged jobs that a consumer may hold.
    pub prefetch: u16,
    /// The most documents in one request to the sink.
    pub batch_max: usize,
    /// The longest time that a stop may take to finish the jobs that are held.
    pub grace: Duration,
}

impl Node {
    /// A node with the built-in handlers that records and measures nothing.
    pub fn new(settings: &Settings, clock: SharedClock) -> Self {
        let handlers = Handlers::builtin();
        Self {
            group: settings.group.clone(),
            queues: settings.queues.clone(),
            limits: OwnerLimits::of(settings.high_water, settings.queues.values().copied()),
            handler_names: handlers.names(),
            handlers,
            token: RequireToken::new(settings.token.as_deref()),
            build: Build::THIS,
            clock,
            traces: Traces::off(),
            metrics: Metrics::off(),
        }
    }

    pub fn observed(self, traces: Traces, metrics: Metrics) -> Self {
        Self { traces, metrics, ..self }
    }

    /// A scheduler named `id` that hands its ranges to `producers`.
    pub fn scheduler(
        &self,
        id: &str,
        ledger: Ledger,
        sink: Sink,
        producers: Producers,
        readiness: Readiness,
    ) -> SchedulerRole {
        let instruments = self.instruments("scheduler", readiness);
        let config = paceline_scheduler::Config {
            id: id.to_owned(),
            group: self.group.clone(),
            rules: Rules { queues: self.queues.keys().cloned().collect(), handlers: self.handler_names.clone() },
            limits: self.limits,
            token: self.token.clone(),
            instruments,
        };
        let metrics = &config.instruments.metrics;
        let ports = paceline_scheduler::Ports {
            ledger: metered::ledger(ledger, metrics),
            sink: metered::sink(sink, metrics),
            producers: Arc::new(producers),
            clock: self.clock.clone(),
        };
        SchedulerRole { config, ports }
    }

    /// A producer named `id`. Its handle publishes at once, also for a scheduler in this process.
    pub fn producer(&self, id: &str, broker: Arc<dyn Broker>, ledger: Ledger, readiness: Readiness) -> ProducerRole {
        let config = paceline_producer::Config {
            id: id.to_owned(),
            queues: self.queues.keys().cloned().collect(),
            group: self.group.clone(),
            callers: RequireProtocol::new(self.build, self.token.clone()),
            instruments: self.instruments("producer", readiness),
        };
        let metrics = &config.instruments.metrics;
        let (broker, ledger) = (metered::broker(broker, metrics), metered::ledger(ledger, metrics));
        let ports = paceline_producer::Ports::new(broker, ledger, self.clock.clone());
        let producer = Producer::new(&config, ports);
        ProducerRole { config, producer }
    }

    /// A producer that is served to nobody, as the repair of a run needs it.
    pub fn publisher(&self, id: &str, broker: Arc<dyn Broker>, ledger: Ledger) -> Producer {
        self.producer(id, broker, ledger, Readiness::new("producer", id)).producer
    }

    /// A worker named `id` of every queue of the node.
    pub fn worker(&self, id: &str, backends: Backends, setup: WorkerSetup, readiness: Readiness) -> WorkerRole {
        let WorkerSetup { consumers, prefetch, batch_max, grace } = setup;
        let config = paceline_worker::Config {
            id: id.to_owned(),
            version: self.build.version,
            group: self.group.clone(),
            queues: self.queues.clone(),
            consumers,
            prefetch,
            batch_max,
            grace,
            handlers: self.handlers.clone(),
            faults: Arc::new(NoFaults),
            instruments: self.instruments("worker", readiness),
        };
        let metrics = &config.instruments.metrics;
        let ledger = metered::ledger(backends.ledger, metrics);
        let ports = paceline_worker::Ports {
            broker: metered::broker(backends.broker, metrics),
            sink: metered::sink(backends.sink, metrics).writer,
            counts: ledger.counts,
            workers: ledger.workers,
            clock: self.clock.clone(),
        };
        WorkerRole { config, ports }
    }

    fn instruments(&self, role: &'static str, readiness: Readiness) -> Instruments {
        Instruments { readiness, traces: self.traces.clone(), metrics: self.metrics.of(role) }
    }
}
