//! The counts of a worker for its metrics. Series are looked up once, here; a job costs a few atomic operations and three observations.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use paceline_core::ports::counts::Recorded;
use paceline_core::ports::documents::Verdict;
use paceline_core::trace::TraceId;
use paceline_runtime::telemetry::metrics::names;
use paceline_runtime::telemetry::metrics::{Counter, Histogram, Metrics};
use tokio::runtime::Handle;

use crate::health::Health;
use crate::load::Hands;
use crate::stats::Stats;
use crate::window::Window;

/// Why an attempt is followed by another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryClass {
    /// The handler asked for it.
    Handler,
    Timeout,
    Panic,
}

/// Why a job is dead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeathClass {
    AttemptsSpent,
    RejectedByHandler,
    /// This worker has no handler of the job's name.
    NoHandler,
    RejectedBySink,
    GivenUpByBroker,
    /// A message that is no job.
    NotUnderstood,
}

impl RetryClass {
    const NAMES: [&str; 3] = ["handler", "timeout", "panic"];
}

impl DeathClass {
    const NAMES: [&str; 6] = [
        "attempts_spent",
        "rejected_by_handler",
        "no_handler",
        "rejected_by_sink",
        "given_up_by_broker",
        "not_understood",
    ];
}

/// Of one queue that is consumed. The name in a message is no label: anybody can write it.
pub struct Queue {
    completed: Counter,
    dead: Counter,
    retried: Counter,
    retries: [Counter; RetryClass::NAMES.len()],
    deaths: [Counter; DeathClass::NAMES.len()],
    wait: Histogram,
    run: Histogram,
    end_to_end: Histogram,
    /// For the heartbeat.
    pub hands: Hands,
}

/// How long a job took, in seconds.
#[derive(Debug, Clone, Copy)]
pub struct Took {
    pub wait: f64,
    pub run: f64,
}

impl Queue {
    fn new(metrics: &Metrics, queue: &str) -> Self {
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

    /// An execution. `example` is its trace, if that is recorded, and now.
    pub fn executed(&self, took: Took, example: Option<(TraceId, i64)>) {
        observe(&self.wait, took.wait, example);
        observe(&self.run, took.run, example);
    }

    /// A job is stored and counted, so long after it fell due.
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

/// Of the whole worker.
pub struct Measured {
    queues: BTreeMap<String, Arc<Queue>>,
    documents: Histogram,
    stored: Counter,
    retry: Counter,
    reject: Counter,
    duplicates: Counter,
    foreign: Counter,
    /// Requests on their way to the sink.
    requests: AtomicUsize,
}

/// A request on its way; dropped when it has arrived.
pub struct Request<'a>(&'a AtomicUsize);

impl Measured {
    pub fn new<'a>(metrics: &Metrics, queues: impl IntoIterator<Item = &'a String>) -> Self {
        let queue = |name: &String| (name.clone(), Arc::new(Queue::new(metrics, name)));
        let verdict = |verdict| metrics.counter(&names::SINK_VERDICTS, &[verdict]);
        Self {
            queues: queues.into_iter().map(queue).collect(),
            documents: metrics.histogram(&names::BULK_DOCUMENTS, &[]),
            stored: verdict("stored"),
            retry: verdict("retry"),
            reject: verdict("reject"),
            duplicates: metrics.counter(&names::DUPLICATES, &[]),
            foreign: metrics.counter(&names::FOREIGN_JOBS, &[]),
            requests: AtomicUsize::new(0),
        }
    }

    /// Of a queue that this worker consumes; of any other, one that nobody sees.
    pub fn queue(&self, name: &str) -> Arc<Queue> {
        self.queues.get(name).cloned().unwrap_or_else(|| Arc::new(Queue::new(&Metrics::off(), name)))
    }

    /// Of every queue that this worker consumes.
    pub fn hands(&self) -> impl Iterator<Item = (&String, &Hands)> {
        self.queues.iter().map(|(name, queue)| (name, &queue.hands))
    }

    pub fn request(&self, documents: usize) -> Request<'_> {
        self.documents.observe(documents as f64);
        self.requests.fetch_add(1, Ordering::Relaxed);
        Request(&self.requests)
    }

    pub fn judged(&self, verdicts: &[Verdict]) {
        let count = |is_it: fn(&Verdict) -> bool| verdicts.iter().filter(|verdict| is_it(verdict)).count() as u64;
        let stored = count(|verdict| *verdict == Verdict::Stored);
        self.stored.inc_by(stored);
        if stored < verdicts.len() as u64 {
            self.retry.inc_by(count(|verdict| matches!(verdict, Verdict::Retry { .. })));
            self.reject.inc_by(count(|verdict| matches!(verdict, Verdict::Reject { .. })));
        }
    }

    pub fn recorded(&self, recorded: &Recorded) {
        self.duplicates.inc_by(recorded.duplicates);
        self.foreign.inc_by(recorded.foreign);
    }
}

impl Drop for Request<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Shows what is read when somebody asks.
pub fn show(metrics: &Metrics, stats: &Arc<Stats>, health: &Arc<Health>, window: &Arc<Mutex<Window>>) {
    let (stats, health, window) = (Arc::downgrade(stats), Arc::downgrade(health), Arc::downgrade(window));
    let threads = Handle::try_current().ok().map(|runtime| runtime.metrics().num_workers());
    metrics.read(move |readings| {
        let (Some(stats), Some(health), Some(window)) = (stats.upgrade(), health.upgrade(), window.upgrade()) else {
            return;
        };
        readings.add(&names::JOBS_HELD, &[], Stats::get(&stats.held));
        readings.add(&names::STALLS, &[], Stats::get(&stats.stalled));
        readings.add(&names::SINK_IN_FLIGHT, &[], stats.measured.requests.load(Ordering::Relaxed));
        if let Ok(window) = window.lock() {
            readings.add(&names::SINK_WINDOW, &[], window.in_flight());
        }
        let group = health.group.as_str();
        health.open().for_each(|(queue, open)| readings.add(&names::CONSUMERS_OPEN, &[queue, group], open));
        if let Some(threads) = threads {
            readings.add(&names::WORKER_THREADS, &[], threads);
        }
    });
}
