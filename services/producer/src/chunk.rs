//! Publishing a chunk of a range: encoded once there is room, published with confirms, and again once if its queue was gone.
//!
//! Chunks bound the memory that a range takes, whatever its payload, and show that the broker makes progress with a large range.

use std::sync::Arc;

use paceline_core::clock::SharedClock;
use paceline_core::error::codes;
use paceline_core::error::{Error, Result};
use paceline_core::job::Range;
use paceline_core::ports::Broker;
use paceline_core::ports::broker::{Confirm, Message};
use paceline_core::trace::Sampling;
use paceline_runtime::telemetry::traces::Traces;

use crate::declared::DeclaredQueues;
use crate::in_flight::{InFlight, PendingPublish};
use crate::metrics::ProducerMetrics;
use crate::spans::{self, PublishSpans};
use crate::specs::KnownSpec;

/// The most jobs in one chunk, and the most bytes of them, if there is more than one.
const CHUNK_JOBS_MAX: u64 = 256;
const CHUNK_BYTES_MAX: u64 = 1024 * 1024;

/// The seqs of a range of messages of `message_bytes`, in stretches for one publish each.
pub fn chunks(range: &Range, message_bytes: u64) -> impl Iterator<Item = std::ops::Range<u64>> + use<> {
    let jobs = (CHUNK_BYTES_MAX / message_bytes.max(1)).clamp(1, CHUNK_JOBS_MAX);
    let std::ops::Range { start, end } = range.seqs();
    (start..end).step_by(jobs as usize).map(move |first| first..(first + jobs).min(end))
}

/// A range to be published.
#[derive(Clone, Copy)]
pub struct Order<'a> {
    pub known: &'a KnownSpec,
    pub range: &'a Range,
    pub sampling: Sampling,
}

pub struct ChunkPublisher {
    pub id: String,
    pub broker: Arc<dyn Broker>,
    pub clock: SharedClock,
    pub declared: DeclaredQueues,
    pub in_flight: InFlight,
    pub metrics: ProducerMetrics,
    pub traces: Traces,
}

impl ChunkPublisher {
    /// Publishes the jobs `seqs` of a range and answers once the broker has confirmed all of them (L5).
    pub async fn publish_chunk(&self, order: Order<'_>, seqs: std::ops::Range<u64>) -> Result<()> {
        let unroutable = self.publish(order, seqs.collect()).await?;
        if unroutable.is_empty() {
            return Ok(());
        }
        // Somebody deleted the queue, or the broker lost it: make it again, once, before saying so.
        let known = order.known;
        self.declared.forget(&known.queue);
        self.declared.declare_once(&*self.broker, known).await?;
        let still = self.publish(order, unroutable).await?;
        if still.is_empty() {
            return Ok(());
        }
        let (queue, count, first) = (&known.queue, still.len(), still[0]);
        Err(Error::unavailable(format!("{count} jobs from seq {first} on fit no queue: {queue} is not bound"))
            .coded(codes::QUEUE_GONE))
    }

    /// Publishes jobs of a range and answers those that no queue took. A refusal is an error, and the queue's own: the range is sent
    /// again later. Nothing is encoded before there is room for it.
    async fn publish(&self, order: Order<'_>, seqs: Vec<u64>) -> Result<Vec<u64>> {
        let Order { known, range, sampling } = order;
        let pending = self.in_flight.begin(seqs.len() * known.encoder.message_bytes_max()).await;
        let sent_us = self.clock.wall_us();
        let encoded = |seq: &u64| known.encoder.message(range, *seq, sent_us / 1000, sampling);
        let messages: Vec<Message> = seqs.iter().map(encoded).collect();
        let traced = spans::traced(&messages);
        let published = self.broker.publish(&known.queue, messages).await;
        self.metrics.published(seqs.len(), &published);
        let (traces, queue, group) = (&self.traces, known.queue.as_str(), known.groups.first());
        let spans =
            PublishSpans { traces, producer: &self.id, queue, group, times_us: (sent_us, self.clock.wall_us()) };
        spans.write(traced, &published);
        let confirms = answered(pending, published)?;
        unroutable(queue, seqs, confirms)
    }
}

/// Tells the bytes in flight that the broker has answered.
fn answered(pending: PendingPublish<'_>, published: Result<Vec<Confirm>>) -> Result<Vec<Confirm>> {
    match published {
        Ok(confirms) => {
            let refused = confirms.iter().find_map(|confirm| match confirm {
                Confirm::Refused(reason) => Some(reason.as_str()),
                Confirm::Confirmed | Confirm::Unroutable => None,
            });
            pending.answered(refused);
            Ok(confirms)
        }
        Err(error) => {
            pending.failed(&error.message);
            Err(error)
        }
    }
}

/// The jobs that no queue took.
fn unroutable(queue: &str, seqs: Vec<u64>, confirms: Vec<Confirm>) -> Result<Vec<u64>> {
    let sent = seqs.len();
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
