//! Every metric of Paceline: name, kind, labels, words. The one table from which they are registered, exposed and documented:
//! `docs/metrics.md` is made from it (`docs.rs`), and nothing that is not in [`ALL`] is ever shown.

/// Buckets of times: 1 ms to 1 h, among them every threshold of the alerts, where a quantile is exact.
pub const SECONDS: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.6, 0.8, 1.0, 1.5, 2.0, 2.5, 3.0, 5.0, 10.0, 30.0, 60.0,
    300.0, 900.0, 3600.0,
];
/// Buckets of documents in a request.
pub const DOCUMENTS: &[f64] =
    &[1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0, 2_000.0, 5_000.0, 10_000.0];

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum MetricKind {
    Counter,
    Gauge,
    /// A gauge of which the lowest counts, where several roles of one kind in a process have the same labels.
    LowestGauge,
    Histogram(&'static [f64]),
}

/// The part of Paceline that has a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricOwner {
    EveryRole,
    Process,
    Grpc,
    Scheduler,
    Producer,
    Worker,
}

#[derive(Debug, PartialEq)]
pub struct Metric {
    /// The name in Prometheus, with unit and `_total`.
    pub name: &'static str,
    pub kind: MetricKind,
    pub part: MetricOwner,
    /// Besides `role`, which all have but those of the process.
    pub labels: &'static [&'static str],
    pub help: &'static str,
    /// True if buckets carry the trace of one of their jobs.
    pub has_exemplars: bool,
}

const fn metric(
    part: MetricOwner,
    kind: MetricKind,
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
) -> Metric {
    Metric { name, kind, part, labels, help, has_exemplars: false }
}

impl Metric {
    const fn with_exemplars(self) -> Self {
        Self { has_exemplars: true, ..self }
    }

    pub const fn has_role(&self) -> bool {
        !matches!(self.part, MetricOwner::Process)
    }
}

use MetricKind::{Counter, Gauge, Histogram, LowestGauge};
use MetricOwner::{EveryRole, Grpc, Process, Producer, Scheduler, Worker};

/// Declares each as a static, and all of them, in order, as [`ALL`].
macro_rules! metrics {
    ($($id:ident = $part:expr, $kind:expr, $name:literal, $labels:expr, $help:literal $(, $with:ident)?;)+) => {
        $(pub static $id: Metric = metric($part, $kind, $name, &$labels, $help)$(.$with())?;)+

        /// In the order of the page and of `/metrics`.
        pub static ALL: &[&Metric] = &[$(&$id),+];
    };
}

metrics! {
    BUILD_INFO = EveryRole, LowestGauge, "paceline_build_info", ["version", "id"],
        "Always 1: which build this is, and which role of which name";
    READY = EveryRole, LowestGauge, "paceline_ready", [],
        "1 while /readyz answers 200";
    CONDITION_OK = EveryRole, LowestGauge, "paceline_condition_ok", ["condition"],
        "Each check of /readyz: 0 is why the role is not ready";
    CALL_DURATION = EveryRole, Histogram(SECONDS), "paceline_call_duration_seconds", ["service", "operation"],
        "Calls of broker, sink and ledger, failed ones too: a bulk is sink/upsert, counting ledger/record, a confirm broker/publish",
        with_exemplars;
    CALL_ERRORS = EveryRole, Counter, "paceline_call_errors_total", ["service", "operation", "kind"],
        "Calls of broker, sink and ledger that failed, by the kind of the error";
    CONNECTIONS_REBUILT = EveryRole, Counter, "paceline_connections_rebuilt_total", ["service"],
        "Connections that were lost and made anew";
    BROKER_BLOCKED = EveryRole, Gauge, "paceline_broker_blocked", [],
        "1 while the broker says that it takes no publishes";
    SPANS = EveryRole, Counter, "paceline_spans_total", ["result"],
        "Spans of traces: exported, dropped because the queue was full, or failed because the receiver did not take them";
    LOG_EVENTS = EveryRole, Counter, "paceline_log_events_total", ["level"],
        "Warnings and errors in the log of this process";

    PROCESS_CPU = Process, Counter, "process_cpu_seconds_total", [],
        "Processor time that this process has used, user and system";
    PROCESS_MEMORY = Process, Gauge, "process_resident_memory_bytes", [],
        "Resident memory of this process";
    PROCESS_FDS = Process, Gauge, "process_open_fds", [],
        "Open file descriptors";
    PROCESS_FDS_MAX = Process, Gauge, "process_max_fds", [],
        "File descriptors that may be open";
    PROCESS_THREADS = Process, Gauge, "process_threads", [],
        "Threads of this process";
    PROCESS_START = Process, Gauge, "process_start_time_seconds", [],
        "When this process started, in seconds since the Unix epoch";
    MEMORY_LIMIT = Process, Gauge, "paceline_process_memory_limit_bytes", [],
        "Memory that this process may use: the limit of its cgroup, or else all of the machine";
    CPU_LIMIT = Process, Gauge, "paceline_cpu_limit_cores", [],
        "Cores that this process may use: the quota of its cgroup, or else all of the machine";

    GRPC_DURATION = Grpc, Histogram(SECONDS), "paceline_grpc_duration_seconds", ["method", "code"],
        "Calls of the API that ended; of a stream, such as WatchRun, its opening";

    RUN_ASKED = Scheduler, Gauge, "paceline_run_asked_jobs_per_second", ["run"],
        "The rate that was asked for; 0 while the run is not running";
    RUN_ENQUEUED = Scheduler, Counter, "paceline_run_enqueued_jobs_total", ["run"],
        "Jobs that are reserved, and so durable in the ledger";
    RUN_PUBLISHED = Scheduler, Counter, "paceline_run_published_jobs_total", ["run"],
        "Jobs that the broker has confirmed";
    RUN_PROCESSED = Scheduler, Counter, "paceline_run_processed_jobs_total", ["run", "group"],
        "Jobs that are stored and counted";
    RUN_DEAD = Scheduler, Gauge, "paceline_run_dead_jobs", ["run", "group"],
        "Jobs that are dead; one fewer when a dead job is repaired";
    RUN_PACE_ERROR = Scheduler, Gauge, "paceline_run_pace_error_jobs", ["run"],
        "Jobs that were due and not yet enqueued after the owner's last step; 0 is exact";
    RUN_OWNER_EPOCH = Scheduler, Gauge, "paceline_run_owner_epoch", ["run"],
        "The fencing epoch, from the scheduler that owns the run";
    RUN_OUTSTANDING = Scheduler, Gauge, "paceline_run_outstanding_ranges", ["run"],
        "Reserved ranges whose confirm the owner awaits";
    RUN_WINDOW = Scheduler, Gauge, "paceline_run_window_ranges", ["run"],
        "Ranges of the run that may be on their way at once";
    RUN_HEALED = Scheduler, Counter, "paceline_run_healed_jobs_total", ["run"],
        "Jobs that were sent again because no place had them any more";
    RUN_FAILED = Scheduler, Gauge, "paceline_run_failed", ["run"],
        "1 while the run is FAILED, until somebody resumes or stops it";
    RUNS_ACTIVE = Scheduler, LowestGauge, "paceline_runs_active", [],
        "Runs that have not ended, whoever owns them; each scheduler tells the same, and nothing while the ledger is away";
    RUNS_OWNED = Scheduler, Gauge, "paceline_runs_owned", [],
        "Runs that this scheduler owns";
    RESERVE_LATENESS = Scheduler, Histogram(SECONDS), "paceline_reserve_lateness_seconds", [],
        "How long after it fell due the first job of a range was reserved";
    JOBS_ENQUEUED = Scheduler, Counter, "paceline_jobs_enqueued_total", [],
        "Jobs that this scheduler has reserved, of all runs; a reservation whose answer was lost is not among them";
    JOBS_PUBLISHED = Scheduler, Counter, "paceline_jobs_published_total", [],
        "Jobs that the broker has confirmed to this scheduler, of all runs; a range that is taken over or healed counts again";
    RANGES = Scheduler, Counter, "paceline_ranges_total", ["result"],
        "Tries to publish a range: confirmed, or failed and tried again, also for want of a producer";
    PRODUCERS_AVAILABLE = Scheduler, Gauge, "paceline_producers_available", [],
        "Producers that ranges go to: their breaker is closed and they say SERVING";
    PRODUCERS = Scheduler, Gauge, "paceline_producers", [],
        "Producers that this scheduler knows";
    RUNS_HELD_BACK = Scheduler, Gauge, "paceline_runs_held_back", [],
        "Owned runs that are held back because their queue is over the high-water mark";

    PUBLISH_JOBS = Producer, Counter, "paceline_publish_jobs_total", ["result"],
        "Jobs by the broker's word: confirmed, unroutable, refused, or failed because nobody knows";
    PUBLISH_IN_FLIGHT = Producer, Gauge, "paceline_publish_in_flight_bytes", [],
        "Bytes of messages on their way to the broker";
    QUEUE_JOBS = Producer, Gauge, "paceline_queue_jobs", ["queue", "group", "state"],
        "Messages of a queue: ready, unacked, delayed, dead; looked at every 5 s by each producer, and absent while unknown";

    JOBS = Worker, Counter, "paceline_jobs_total", ["queue", "outcome"],
        "Executions that this worker has brought to an end: completed, dead, or retried later";
    JOB_RETRIES = Worker, Counter, "paceline_job_retries_total", ["queue", "reason"],
        "Attempts that failed and are tried again: handler said so, timeout, panic";
    JOB_DEATHS = Worker, Counter, "paceline_job_deaths_total", ["queue", "reason"],
        "Jobs that died: attempts_spent, rejected_by_handler, no_handler, rejected_by_sink, given_up_by_broker; not_understood are messages that are no jobs";
    JOB_WAIT = Worker, Histogram(SECONDS), "paceline_job_wait_seconds", ["queue"],
        "From being published, or put back for a retry, to a worker's hands", with_exemplars;
    JOB_RUN = Worker, Histogram(SECONDS), "paceline_job_run_seconds", ["queue"],
        "The handler, each attempt", with_exemplars;
    JOB_END_TO_END = Worker, Histogram(SECONDS), "paceline_job_end_to_end_seconds", ["queue"],
        "From falling due to being stored and counted", with_exemplars;
    BULK_DOCUMENTS = Worker, Histogram(DOCUMENTS), "paceline_bulk_documents", [],
        "Documents of a request to the sink";
    SINK_VERDICTS = Worker, Counter, "paceline_sink_verdicts_total", ["verdict"],
        "What the sink said of each document: stored, retry, reject";
    DUPLICATES = Worker, Counter, "paceline_duplicate_jobs_total", [],
        "Jobs that came again and that the ledger had counted before";
    FOREIGN_JOBS = Worker, Counter, "paceline_foreign_jobs_total", [],
        "Stored jobs that no run had reserved";
    JOBS_HELD = Worker, Gauge, "paceline_jobs_held", [],
        "Deliveries that are taken and not settled";
    SINK_WINDOW = Worker, Gauge, "paceline_sink_window_requests", [],
        "Requests to the sink that may be on their way at once now";
    SINK_IN_FLIGHT = Worker, Gauge, "paceline_sink_requests_in_flight", [],
        "Requests to the sink that are on their way";
    CONSUMERS_OPEN = Worker, Gauge, "paceline_consumers_open", ["queue", "group"],
        "Open consumers; 0 is a worker that hears nothing";
    WORKER_THREADS = Worker, LowestGauge, "paceline_worker_threads", [],
        "Threads that run the tasks of this worker: --threads";
    STALLS = Worker, Counter, "paceline_stalls_total", [],
        "Times that this worker did not run for longer than it may";
}
