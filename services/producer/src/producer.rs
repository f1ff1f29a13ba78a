//! The handle on a producer: publishes ranges, asks for depths, and knows whether it can do its work.

use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::{self, TryStreamExt as _};
use paceline_core::error::codes;
use paceline_core::error::{Error, ErrorKind, Result};
use paceline_core::ids::RunId;
use paceline_core::job::{RANGE_JOBS_MAX, Range};
use paceline_core::ports::broker::Depth;
use paceline_core::ports::{Broker, Mesh, RangePublisher};
use paceline_core::trace::Sampling;
use paceline_runtime::instruments::Instruments;
use paceline_runtime::telemetry::metrics::{Metrics, names};

use crate::chunk::{ChunkPublisher, Order, chunks};
use crate::context::{Config, Ports};
use crate::declared::DeclaredQueues;
use crate::depths::QueueDepths;
use crate::in_flight::InFlight;
use crate::metrics::ProducerMetrics;
use crate::specs::Specs;

/// Chunks of one range that are in flight at once: all of a range of 2,000 small jobs.
const CHUNKS_AT_ONCE: usize = 8;

/// The depth of a queue that is not there.
const EMPTY: Depth = Depth { ready: 0, unacked: Some(0), delayed: 0, dead: 0 };

/// A cheap handle on a producer.
#[derive(Clone)]
pub struct Producer(Arc<Inner>);

struct Inner {
    chunks: ChunkPublisher,
    specs: Specs,
    mesh: Arc<dyn Mesh>,
    depths: QueueDepths,
}

impl Producer {
    /// Publishes over these ports; nothing is served before [`crate::run`].
    pub fn new(config: &Config, ports: Ports) -> Self {
        let Ports { broker, runs, mesh, clock } = ports;
        let Config { id, queues, group, instruments: Instruments { traces, metrics, .. }, .. } = config;
        let chunks = ChunkPublisher {
            id: id.clone(),
            broker,
            clock,
            declared: DeclaredQueues::default(),
            in_flight: InFlight::new(),
            metrics: ProducerMetrics::new(metrics),
            traces: traces.clone(),
        };
        let (specs, depths) = (Specs::new(runs), QueueDepths::new(metrics, queues, group));
        let inner = Arc::new(Inner { chunks, specs, mesh, depths });
        inner.show(metrics);
        Self(inner)
    }

    pub fn id(&self) -> &str {
        &self.0.chunks.id
    }

    fn broker(&self) -> &dyn Broker {
        &*self.0.chunks.broker
    }

    /// `Ok` if the broker can be reached.
    pub async fn check_broker(&self) -> Result<String> {
        self.broker().check().await
    }

    /// `Ok` if the ledger, which knows what a run's jobs are, can be reached.
    pub async fn check_ledger(&self) -> Result<String> {
        self.0.mesh.check().await
    }

    /// `Ok` if the broker takes publishes: it does not say otherwise, and publishes in flight are confirmed in time.
    pub fn check_confirms(&self) -> Result<()> {
        match self.broker().blocked() {
            Some(reason) => Err(Error::unavailable(format!("the broker blocks publishers: {reason}"))
                .coded(codes::BROKER_BLOCKS_PUBLISHERS)),
            None => self.0.chunks.in_flight.check(),
        }
    }

    /// `Ok` if publishes come through, where some were tried. Not a part of the health that schedulers ask for: they learn it from their
    /// ranges, and only a range can show that it is over.
    pub fn check_refusals(&self) -> Result<()> {
        self.0.chunks.in_flight.check_refusals()
    }

    /// The number of times that a connection to the broker was made anew.
    pub fn rebuilt(&self) -> u64 {
        self.broker().rebuilt()
    }

    /// Asks the broker for the depths of the queues that are shown. Never returns.
    pub(crate) async fn watch_depths(&self) {
        self.0.depths.watch(self.broker(), || self.0.chunks.declared.all()).await;
    }
}

impl Inner {
    fn show(self: &Arc<Self>, metrics: &Metrics) {
        let shown = Arc::downgrade(self);
        metrics.read(move |readings| {
            if let Some(inner) = shown.upgrade() {
                readings.add(&names::PUBLISH_IN_FLIGHT, &[], inner.chunks.in_flight.bytes());
            }
        });
    }
}

#[async_trait]
impl RangePublisher for Producer {
    async fn publish(&self, run: &RunId, range: &Range, sampling: Sampling) -> Result<String> {
        if range.count == 0 || range.count > RANGE_JOBS_MAX || range.first.checked_add(range.count).is_none() {
            return Err(Error::invalid_field("count", format!("must be 1 to {RANGE_JOBS_MAX}, not {}", range.count))
                .coded(codes::RANGE_INVALID));
        }
        let (known, publisher) = (self.0.specs.get(run).await?, &self.0.chunks);
        publisher.declared.declare_once(self.broker(), &known).await?;
        let order = Order { known: &known, range, sampling };
        let chunks = chunks(range, known.encoder.message_bytes_max() as u64);
        let publishing = chunks.map(|seqs| Ok(publisher.publish_chunk(order, seqs)));
        stream::iter(publishing).try_buffer_unordered(CHUNKS_AT_ONCE).try_collect::<()>().await?;
        Ok(self.id().to_owned())
    }

    async fn depth(&self, run: &RunId) -> Result<Depth> {
        let known = self.0.specs.get(run).await?;
        let mut deepest = EMPTY;
        for group in known.groups.iter() {
            deepest = deepest.max(self.depth_of(&known.queue, group).await?);
        }
        Ok(deepest)
    }

    async fn depth_of(&self, queue: &str, group: &str) -> Result<Depth> {
        match self.broker().depth(queue, group).await {
            Err(error) if error.kind == ErrorKind::NotFound => {
                // As long as another group takes the jobs nothing is unroutable, so only this look tells.
                self.0.chunks.declared.forget(queue);
                Ok(EMPTY)
            }
            depth => depth,
        }
    }
}
