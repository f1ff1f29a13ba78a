//! The way of a job through this worker: the times of its steps, of which its spans are made.

use paceline_core::ports::broker::Message;
use paceline_core::trace::{TraceContext, TraceId};

/// The times of a job, in seconds.
#[derive(Debug, Clone, Copy)]
pub struct Took {
    pub wait: f64,
    pub run: f64,
}

/// A delivery as it came.
#[derive(Debug, Clone, Copy)]
pub struct Received {
    pub attempt: u32,
    pub redeliveries: u32,
    pub enqueued_at_ms: i64,
    pub started_us: i64,
}

/// The part of a delivery that its spans need. Times are microseconds since the Unix epoch.
#[derive(Debug, Clone)]
pub struct Way {
    pub trace: TraceId,
    /// The context in the message, if it is one of this trace.
    pub(super) context: Option<TraceContext>,
    pub(super) attempt: u32,
    pub(super) redeliveries: u32,
    /// When the message was published, or put into the delay queue.
    pub(super) published_us: i64,
    pub(super) started_us: i64,
    pub(super) ended_us: i64,
    /// The first spans have been written.
    pub(super) is_begun: bool,
}

/// The steps of a batch: when its request was sent, stored, counted, and its acks were given.
#[derive(Debug, Clone, Copy, Default)]
pub struct Steps {
    pub sent_us: i64,
    pub stored_us: i64,
    pub counted_us: i64,
}

impl Way {
    /// The way of a delivery that has just come.
    pub fn new(message: &Message, job_id: &str, received: Received) -> Self {
        let Received { attempt, redeliveries, enqueued_at_ms, started_us } = received;
        let trace = TraceId::of_job(job_id);
        let context = message.traceparent.as_deref().and_then(TraceContext::parse);
        Self {
            trace,
            // A stranger's trace is not this job's.
            context: context.filter(|context| context.trace == trace),
            attempt,
            redeliveries,
            published_us: if attempt > 1 { message.timestamp_ms } else { enqueued_at_ms }.saturating_mul(1000),
            started_us,
            ended_us: started_us,
            is_begun: false,
        }
    }

    pub fn ended(&mut self, ended_us: i64) {
        self.ended_us = ended_us;
    }

    /// Milliseconds since the Unix epoch at which the handler started and ended.
    pub fn handled_ms(&self) -> (i64, i64) {
        (self.started_us / 1000, self.ended_us / 1000)
    }

    /// The times of waiting and of the handler.
    pub fn took(&self) -> Took {
        let seconds = |from_us: i64, to_us: i64| to_us.saturating_sub(from_us).max(0) as f64 / 1e6;
        Took { wait: seconds(self.published_us, self.started_us), run: seconds(self.started_us, self.ended_us) }
    }

    /// True if scheduler and producer have written their part.
    pub(super) fn is_chosen(&self) -> bool {
        self.context.is_some_and(|context| context.is_sampled)
    }

    /// True if the spans are written as they end.
    pub(super) fn is_followed(&self) -> bool {
        self.is_chosen() || self.attempt > 1 || self.redeliveries > 0
    }
}
