//! One delivery: the envelope is checked, the handler runs within its deadline, and the outcome becomes the next step of the delivery.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt as _;
use paceline_core::document::{Document, Status};
use paceline_core::job::Job;
use paceline_core::outcome::Outcome;
use paceline_core::policy::Policy;
use paceline_core::ports::broker::Delivery;
use paceline_core::retry::backoff;
use serde_json::Map;

use crate::context::Context;
use crate::execution::{Death, Executed, Execution, FailedAttempt, shorten};
use crate::handlers::JobContext;
use crate::metrics::{DeathClass, RetryClass};
use crate::spans::{Received, Way};

/// Runs the handler of `delivery`. Never fails: a failure is an outcome, whatever goes wrong.
pub async fn execute(context: Arc<Context>, worker_id: Arc<str>, policy: Policy, delivery: Delivery) -> Executed {
    let job = match Job::decode(&delivery.message) {
        Ok(job) => job,
        Err(reason) => return Executed::Unreadable { delivery, reason },
    };
    let attempt = delivery.message.attempt.max(1);
    let started_us = context.ports.clock.wall_us();
    let redeliveries = delivery.redeliveries;
    let received = Received { attempt, redeliveries, enqueued_at_ms: job.enqueued_at, started_us };
    let mut way = Way::new(&delivery.message, &job.job_id, received);
    let (outcome, cause) = match &delivery.given_up {
        Some(reason) => (Outcome::dead(format!("the broker gave up on it: {reason}")), Cause::Broker),
        None => outcome(&context, &job, JobContext { attempt, worker_id }, policy).await,
    };
    way.ended(context.ports.clock.wall_us());
    Attempt { job, delivery, way, number: attempt, cause }.conclude(&context, outcome, policy)
}

/// An attempt whose handler has answered.
struct Attempt {
    job: Job,
    delivery: Delivery,
    way: Way,
    number: u32,
    cause: Cause,
}

impl Attempt {
    fn conclude(self, context: &Context, outcome: Outcome, policy: Policy) -> Executed {
        match outcome {
            Outcome::Done { output } => self.end(context, output, None),
            Outcome::Dead { reason } => {
                let death = Death { class: self.cause.of_death(), reason: shorten(reason) };
                self.end(context, Map::new(), Some(death))
            }
            Outcome::Retry { reason, .. } if self.number >= policy.attempts_max => {
                let reason = shorten(format!("attempt {0} of {0}: {reason}", self.number));
                self.end(context, Map::new(), Some(Death { class: DeathClass::AttemptsSpent, reason }))
            }
            Outcome::Retry { reason, after } => {
                let after = after.unwrap_or_else(|| backoff(policy.backoff(), self.number, fastrand::f64()));
                let (reason, class) = (shorten(reason), self.cause.of_retry());
                let Self { job: Job { run_id: run, queue, .. }, delivery, way, .. } = self;
                Executed::Retry(Box::new(FailedAttempt { delivery, run, after, reason, class, queue, way }))
            }
        }
    }

    fn end(self, context: &Context, output: Map<String, serde_json::Value>, dead: Option<Death>) -> Executed {
        let Self { job, delivery, way, number, .. } = self;
        let error = dead.as_ref().map(|death| death.reason.clone());
        let mut document = document(context, job, &way, number, error);
        document.payload.extend(output);
        Executed::Ended(Execution { document: Some(document), delivery, dead, way })
    }
}

/// The source of an outcome other than done.
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

fn document(context: &Context, job: Job, way: &Way, attempt: u32, error: Option<String>) -> Document {
    let (started_at, completed_at) = way.handled_ms();
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
        trace_id: Some(way.trace.to_string()),
        error,
        payload: job.payload,
    }
}

fn words(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without words")
}
