//! The counts of one queue that is consumed. A job costs a few atomic operations and three observations.

use paceline_core::trace::TraceId;
use paceline_runtime::telemetry::metrics::names;
use paceline_runtime::telemetry::metrics::{Counter, Histogram, Metrics};

use super::classes::{DeathClass, RetryClass};
use super::load::Hands;
use crate::spans::Took;

/// The metrics of one queue that is consumed. A queue's name in a message is no label: anybody can write it.
pub struct QueueMetrics {
    completed: Counter,
    dead: Counter,
    retried: Counter,
    retries: [Counter; RetryClass::NAMES.len()],
    deaths: [Counter; DeathClass::NAMES.len()],
    wait: Histogram,
    run: Histogram,
    end_to_end: Histogram,
    /// The held jobs, for the heartbeat.
    pub hands: Hands,
}

impl QueueMetrics {
    pub fn new(metrics: &Metrics, queue: &str) -> Self {
        let jobs = |outcome| metrics.counter(&names::JOBS, &[queue, outcome]);
        let histogram = |metric| metrics.histogram(metric, &[queue]);
        Self {
            completed: jobs("completed"),
            dead: jobs("dead"),
            retried: jobs("retried"),
            retries: RetryClass::NAMES.map(|reason| metrics.counter(&names::JOB_RETRIES, &[queue, reason])),
            deaths: DeathClass::NAMES.map(|reason| metrics.counter(&names::JOB_DEATHS, &[queue, reason])),
            wait: histogram(&names::JOB_WAIT),
            run: histogram(&names::JOB_RUN),
            end_to_end: histogram(&names::JOB_END_TO_END),
            hands: Hands::default(),
        }
    }

    /// An execution. `example` is its trace, if that is sampled, and now.
    pub fn executed(&self, took: Took, example: Option<(TraceId, i64)>) {
        observe(&self.wait, took.wait, example);
        observe(&self.run, took.run, example);
    }

    /// A job is stored and counted, `end_to_end` seconds after it fell due.
    pub fn ended(&self, death: Option<DeathClass>, end_to_end: f64, example: Option<(TraceId, i64)>) {
        observe(&self.end_to_end, end_to_end, example);
        match death {
            None => _ = self.completed.inc(),
            Some(class) => {
                self.dead.inc();
                self.died(class);
            }
        }
    }

    /// The delay queue has the next attempt.
    pub fn retried(&self, class: RetryClass) {
        self.retried.inc();
        self.retries[class as usize].inc();
    }

    pub fn died(&self, class: DeathClass) {
        self.deaths[class as usize].inc();
    }
}

fn observe(histogram: &Histogram, seconds: f64, example: Option<(TraceId, i64)>) {
    match example {
        Some((trace, now_us)) => histogram.observe_as_example(seconds, trace, now_us),
        None => histogram.observe(seconds),
    }
}
