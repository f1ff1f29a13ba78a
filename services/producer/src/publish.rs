//! Publishing a range: encode its jobs in chunks, publish each with confirms, and make the queue if nobody has yet.
//!
//! Chunks bound the memory that a range takes, whatever its payload, and show that the broker makes progress with a large one.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures::stream::{self, TryStreamExt as _};
use paceline_core::clock::SharedClock;
use paceline_core::error::codes;
use paceline_core::error::{Error, ErrorKind, Result};
use paceline_core::ids::RunId;
use paceline_core::job::{RANGE_JOBS_MAX, Range};
use paceline_core::ports::broker::{Confirm, Depth, Message};
use paceline_core::ports::{Broker, Mesh, RangePublisher};
use paceline_core::trace::Sampling;

use paceline_runtime::instruments::Instruments;
use paceline_runtime::telemetry::metrics::{Metrics, names};
use paceline_runtime::telemetry::traces::Traces;

use crate::context::{Config, Ports};
use crate::in_flight::InFlight;
use crate::measured::Measured;
use crate::spans;
use crate::specs::{Known, Specs};

/// The most jobs in one chunk, and the most bytes of them, if there is more than one.
const CHUNK_JOBS_MAX: u64 = 256;
const CHUNK_BYTES_MAX: u64 = 1024 * 1024;
/// Chunks of one range that are on their way at once: all of a range of 2,000 small jobs.
const CHUNKS_AT_ONCE: usize = 8;

/// A cheap handle on a producer.
#[derive(Clone)]
pub struct Producer {
    inner: Arc<Inner>,
    traces: Traces,
    measured: Arc<Measured>,
}

struct Inner {
    id: String,
    broker: Arc<dyn Broker>,
    specs: Specs,
    mesh: Arc<dyn Mesh>,
    clock: SharedClock,
    /// By queue and group.
    declared: Mutex<HashSet<(String, String)>>,
    in_flight: InFlight,
}

impl Producer {
    /// Publishes over these ports; nothing is served before [`crate::run`].
    pub fn new(config: &Config, ports: Ports) -> Self {
        let Ports { broker, runs, mesh, clock } = ports;
        let Config { id, queues, group, instruments: Instruments { traces, metrics, .. }, .. } = config;
        let (specs, in_flight) = (Specs::new(runs), InFlight::new());
        let inner =
            Arc::new(Inner { id: id.clone(), broker, specs, mesh, clock, declared: Mutex::default(), in_flight });
        inner.show(metrics);
        Self {
            inner,
            traces: traces.clone(),
            measured: Arc::new(Measured::new(metrics, queues.iter().cloned(), group)),
        }
    }

    pub(crate) fn measured(&self) -> &Arc<Measured> {
        &self.measured
    }

    pub(crate) fn broker(&self) -> &dyn Broker {
        &*self.inner.broker
    }

    /// Queues and groups that it publishes to.
    pub(crate) fn declared(&self) -> Vec<(String, String)> {
        self.inner.lock().iter().cloned().collect()
    }

    pub fn id(&self) -> &str {
        &self.inner.id
    }

    /// Whether the broker can be reached.
    pub async fn check_broker(&self) -> Result<String> {
        self.inner.broker.check().await
    }

    /// Whether the ledger, which knows what a run's jobs are, can be reached.
    pub async fn check_ledger(&self) -> Result<String> {
        self.inner.mesh.check().await
    }

    /// Whether the broker takes publishes: it does not say otherwise, and what is on its way is confirmed in time.
    pub fn check_confirms(&self) -> Result<()> {
        match self.inner.broker.blocked() {
            Some(reason) => Err(Error::unavailable(format!("the broker blocks publishers: {reason}"))
                .coded(codes::BROKER_BLOCKS_PUBLISHERS)),
            None => self.inner.in_flight.check(),
        }
    }

    /// Whether publishes come through, where some were tried. Not a part of the health that schedulers ask for: they learn it from their
    /// ranges, and only a range can show that it is over.
    pub fn check_refusals(&self) -> Result<()> {
        self.inner.in_flight.check_refusals()
    }

    /// How often a connection to the broker was made anew.
    pub fn rebuilt(&self) -> u64 {
        self.inner.broker.rebuilt()
    }
}

#[async_trait]
impl RangePublisher for Producer {
    async fn publish(&self, run: &RunId, range: &Range, sampling: Sampling) -> Result<String> {
        if range.count == 0 || range.count > RANGE_JOBS_MAX || range.first.checked_add(range.count).is_none() {
            return Err(Error::invalid_field("count", format!("must be 1 to {RANGE_JOBS_MAX}, not {}", range.count))
                .coded(codes::RANGE_INVALID));
        }
        let known = self.inner.specs.get(run).await?;
        self.inner.declare_once(&known).await?;
        let chunks = chunks(range, known.encoder.message_bytes_max() as u64);
        let order = Order { range, sampling, traces: &self.traces, measured: &self.measured };
        let publishing = chunks.map(|seqs| Ok(self.inner.publish_chunk(&known, order, seqs)));
        stream::iter(publishing).try_buffer_unordered(CHUNKS_AT_ONCE).try_collect::<()>().await?;
        Ok(self.inner.id.clone())
    }

    async fn depth(&self, run: &RunId) -> Result<Depth> {
        let known = self.inner.specs.get(run).await?;
        let mut deepest = EMPTY;
        for group in known.groups.iter() {
            deepest = deepest.max(self.depth_of(&known.queue, group).await?);
        }
        Ok(deepest)
    }

    async fn depth_of(&self, queue: &str, group: &str) -> Result<Depth> {
        match self.inner.broker.depth(queue, group).await {
            Err(error) if error.kind == ErrorKind::NotFound => {
                // As long as another group takes the jobs nothing is unroutable, so only this look tells.
                self.inner.forget(queue);
                Ok(EMPTY)
            }
            depth => depth,
        }
    }
}

/// Of a queue that is not there.
const EMPTY: Depth = Depth { ready: 0, unacked: Some(0), delayed: 0, dead: 0 };

/// The seqs of a range of messages of `message_bytes`, in stretches for one publish each.
fn chunks(range: &Range, message_bytes: u64) -> impl Iterator<Item = std::ops::Range<u64>> + use<> {
    let jobs = (CHUNK_BYTES_MAX / message_bytes.max(1)).clamp(1, CHUNK_JOBS_MAX);
    let std::ops::Range { start, end } = range.seqs();
    (start..end).step_by(jobs as usize).map(move |first| first..(first + jobs).min(end))
}

/// A range to be published, and what is recorded of it.
#[derive(Clone, Copy)]
struct Order<'a> {
    range: &'a Range,
    sampling: Sampling,
    traces: &'a Traces,
    measured: &'a Measured,
}

impl Inner {
    fn show(self: &Arc<Self>, metrics: &Metrics) {
        let shown = Arc::downgrade(self);
        metrics.read(move |readings| {
            if let Some(inner) = shown.upgrade() {
                readings.add(&names::PUBLISH_IN_FLIGHT, &[], inner.in_flight.bytes());
            }
        });
    }

    async fn publish_chunk(&self, known: &Known, order: Order<'_>, seqs: std::ops::Range<u64>) -> Result<()> {
        let unroutable = self.publish(known, order, seqs.collect()).await?;
        if unroutable.is_empty() {
            return Ok(());
        }
        // Somebody deleted the queue, or the broker lost it: make it again, once, before saying so.
        self.forget(&known.queue);
        self.declare_once(known).await?;
        let still = self.publish(known, order, unroutable).await?;
        if still.is_empty() {
            return Ok(());
        }
        let (queue, count, first) = (&known.queue, still.len(), still[0]);
        Err(Error::unavailable(format!("{count} jobs from seq {first} on fit no queue: {queue} is not bound"))
            .coded(codes::QUEUE_GONE))
    }

    /// Publishes jobs of a range and answers those that no queue took. A refusal is an error, and the queue's own: the range is sent again later. Nothing
    /// is encoded before there is room for it.
    async fn publish(&self, known: &Known, order: Order<'_>, seqs: Vec<u64>) -> Result<Vec<u64>> {
        let (queue, sent) = (&known.queue, seqs.len());
        let on_its_way = self.in_flight.begin(sent * known.encoder.message_bytes_max()).await;
        let sent_us = self.clock.wall_us();
        let encoded = |seq: &u64| known.encoder.message(order.range, *seq, sent_us / 1000, order.sampling);
        let messages: Vec<Message> = seqs.iter().map(encoded).collect();
        let traced = spans::traced(&messages);
        let published = self.broker.publish(queue, messages).await;
        order.measured.published(sent, &published);
        let times = (sent_us, self.clock.wall_us());
        let place = (self.id.as_str(), queue.as_str(), known.groups.first());
        spans::write(order.traces, traced, place, times, &published);
        let confirms = match published {
            Ok(confirms) => confirms,
            Err(error) => {
                on_its_way.failed(&error.message);
                return Err(error);
            }
        };
        let refused = confirms.iter().find_map(|confirm| match confirm {
            Confirm::Refused(reason) => Some(reason.as_str()),
            Confirm::Confirmed | Confirm::Unroutable => None,
        });
        on_its_way.answered(refused);
        if confirms.len() != sent {
            return Err(Error::internal(format!("the broker answered {} of {sent} publishes", confirms.len())));
        }
        let mut unroutable = Vec::new();
        for (seq, confirm) in seqs.into_iter().zip(confirms) {
            match confirm {
                Confirm::Confirmed => (),
                Confirm::Unroutable => unroutable.push(seq),
                Confirm::Refused(reason) => {
                    return Err(Error::resource_exhausted(format!("queue {queue} refused a job: {reason}"))
                        .coded(codes::QUEUE_FULL));
                }
            }
        }
        Ok(unroutable)
    }

    /// Makes the queue of every group of the run: a group that joined late would miss the jobs before it.
    async fn declare_once(&self, known: &Known) -> Result<()> {
        for group in known.groups.iter() {
            let place = (known.queue.clone(), group.to_owned());
            if self.lock().contains(&place) {
                continue;
            }
            self.broker.declare(&known.queue, group).await?;
            self.lock().insert(place);
        }
        Ok(())
    }

    fn forget(&self, queue: &str) {
        self.lock().retain(|(declared, _)| declared != queue);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashSet<(String, String)>> {
        self.declared.lock().expect("no code panics while it holds the declared queues")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_cover_the_range_and_are_bounded_in_jobs_and_bytes() {
        let range = Range { first: 7, count: 2_000, scheduled_at_ms: 0 };
        for (message_bytes, jobs) in [(300, 256), (64 * 1024, 16), (2 * CHUNK_BYTES_MAX, 1)] {
            let all: Vec<_> = chunks(&range, message_bytes).collect();
            assert!(all.iter().all(|seqs| seqs.end - seqs.start <= jobs), "{message_bytes}: {all:?}");
            assert_eq!(all.len() as u64, range.count.div_ceil(jobs));
            assert!(all.into_iter().flatten().eq(range.seqs()), "every job once");
        }
    }
}
