//! One delivery: check the envelope, run the handler within its deadline, and turn the outcome into what is to be done.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use paceline_core::document::{Document, Status};
use paceline_core::ids::RunId;
use paceline_core::job::Job;
use paceline_core::outcome::Outcome;
use paceline_core::policy::Policy;
use paceline_core::ports::broker::Delivery;
use paceline_core::retry::backoff;
use paceline_core::trace::TraceId;
use serde_json::Map;

use crate::context::Context;
use crate::handlers::JobContext;
use crate::measured::{DeathClass, RetryClass};
use crate::way::Way;

/// The longest reason that is stored and dead-lettered, in bytes; the rest is cut off.
const REASON_BYTES_MAX: usize = 2_048;

/// What is to be done with a delivery.
#[allow(clippy::large_enum_variant, reason = "the large one is nearly every one; a box would be an allocation a job")]
pub enum Executed {
    /// Store the document, count it, then settle.
    Ended(Ended),
    /// Into the delay queue.
    Retry(Box<Failed>),
    /// Not a job of ours: into the dead queue, no document.
    Unreadable { delivery: Delivery, reason: String },
}

/// An attempt that is followed by another.
pub struct Failed {
    pub delivery: Delivery,
    pub run: RunId,
    pub after: Duration,
    pub reason: String,
    pub class: RetryClass,
    /// As the message says.
    pub queue: String,
    pub way: Way,
}

/// Why a job is dead; its message goes to the dead queue with the reason.
#[derive(Debug, Clone)]
pub struct Death {
    pub class: DeathClass,
    pub reason: String,
}

/// A job that needs its document stored.
pub struct Ended {
    /// Taken by the flusher, which keeps documents side by side for the sink.
    pub document: Option<Document>,
    pub delivery: Delivery,
    pub dead: Option<Death>,
    pub way: Way,
}

/// Runs the handler of `delivery`. Never fails: whatever goes wrong is an outcome.
pub async fn execute(context: Arc<Context>, worker_id: Arc<str>, policy: Policy, delivery: Delivery) -> Executed {
    let job = match Job::decode(&delivery.message) {
        Ok(job) => job,
        Err(reason) => return Executed::Unreadable { delivery, reason },
    };
    let attempt = delivery.message.attempt.max(1);
    let started_us = context.ports.clock.wall_us();
    let received = (attempt, delivery.redeliveries);
    let mut way = Way::new(&delivery.message, &job.job_id, received, (job.enqueued_at, started_us));
    let (outcome, cause) = match &delivery.given_up {
        Some(reason) => (Outcome::dead(format!("the broker gave up on it: {reason}")), Cause::Broker),
        None => outcome(&context, &job, JobContext { attempt, worker_id }, policy).await,
    };
    let ended_us = context.ports.clock.wall_us();
    way.ended(ended_us);
    let (output, dead) = match outcome {
        Outcome::Done { output } => (output, None),
        Outcome::Dead { reason } => (Map::new(), Some(Death { class: cause.of_death(), reason: shorten(reason) })),
        Outcome::Retry { reason, .. } if attempt >= policy.attempts_max => {
            let reason = shorten(format!("attempt {attempt} of {attempt}: {reason}"));
            (Map::new(), Some(Death { class: DeathClass::AttemptsSpent, reason }))
        }
        Outcome::Retry { reason, after } => {
            let after = after.unwrap_or_else(|| backoff(policy.backoff(), attempt, fastrand::f64()));
            let (reason, class) = (shorten(reason), cause.of_retry());
            let Job { run_id: run, queue, .. } = job;
            return Executed::Retry(Box::new(Failed { delivery, run, after, reason, class, queue, way }));
        }
    };
    let times = (started_us / 1000, ended_us / 1000);
    let error = dead.as_ref().map(|death| death.reason.clone());
    let mut document = document(&context, job, (attempt, way.trace), times, error);
    document.payload.extend(output);
    Executed::Ended(Ended { document: Some(document), delivery, dead, way })
}

/// The source of the word that a job is not done.
#[derive(Clone, Copy)]
enum Cause {
    Handler,
    Timeout,
    Panic,
    NoHandler,
    Broker,
}

impl Cause {
    fn of_retry(self) -> RetryClass {
        match self {
            Self::Timeout => RetryClass::Timeout,
            Self::Panic => RetryClass::Panic,
            Self::Handler | Self::NoHandler | Self::Broker => RetryClass::Handler,
        }
    }

    fn of_death(self) -> DeathClass {
        match self {
            Self::NoHandler => DeathClass::NoHandler,
            Self::Broker => DeathClass::GivenUpByBroker,
            Self::Handler | Self::Timeout | Self::Panic => DeathClass::RejectedByHandler,
        }
    }
}

async fn outcome(context: &Context, job: &Job, call: JobContext, policy: Policy) -> (Outcome, Cause) {
    let Some(handler) = context.config.handlers.get(&job.handler) else {
        return (Outcome::dead(format!("no handler {:?} in this worker", job.handler)), Cause::NoHandler);
    };
    let handling = AssertUnwindSafe(handler.handle(job, &call)).catch_unwind();
    match tokio::time::timeout(policy.timeout(), handling).await {
        Ok(Ok(outcome)) => (outcome, Cause::Handler),
        Ok(Err(panic)) => (Outcome::retry(format!("the handler panicked: {}", words(&*panic))), Cause::Panic),
        Err(_) => (Outcome::retry(format!("not done within {} ms", policy.timeout_ms)), Cause::Timeout),
    }
}

fn document(
    context: &Context,
    job: Job,
    (attempt, trace): (u32, TraceId),
    (started_at, completed_at): (i64, i64),
    error: Option<String>,
) -> Document {
    Document {
        job_id: job.job_id,
        run_id: job.run_id,
        queue: job.queue,
        group: context.config.group.clone(),
        seq: job.seq,
        status: if error.is_some() { Status::Dead } else { Status::Completed },
        attempts: attempt,
        scheduled_at: job.scheduled_at,
        enqueued_at: job.enqueued_at,
        started_at,
        completed_at,
        wait_ms: u64::try_from(started_at - job.scheduled_at).unwrap_or(0),
        run_ms: u64::try_from(completed_at - started_at).unwrap_or(0),
        worker_id: context.config.id.clone(),
        trace_id: Some(trace.to_string()),
        error,
        payload: job.payload,
    }
}

/// Cuts at a character's boundary.
pub fn shorten(mut reason: String) -> String {
    reason.truncate(reason.floor_char_boundary(REASON_BYTES_MAX));
    reason
}

fn words(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without words")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_cut_between_characters() {
        let long = "é".repeat(REASON_BYTES_MAX);
        let cut = shorten(format!("a{long}"));
        assert!(cut.len() <= REASON_BYTES_MAX && cut.len() > REASON_BYTES_MAX - 3);
        assert_eq!(shorten("short".into()), "short");
    }
}
