//! Every name that traces use, in one place: OpenTelemetry's conventions for messaging and databases where they have one, `paceline.…`
//! where they have none.

/// Spans, in the order of a job's way.
pub mod span {
    /// The root: from falling due to its end.
    pub const JOB: &str = "job";
    /// The time from falling due to being reserved, which makes the job durable.
    pub const RESERVE: &str = "reserve";
    /// The time from being sent to the broker's confirm; the queue follows the name.
    pub const PUBLISH: &str = "publish";
    /// In the queue: from being published to a worker's hands.
    pub const WAIT: &str = "wait in queue";
    /// One attempt of the handler; followed by the queue.
    pub const PROCESS: &str = "process";
    /// The time from the handler's end until the sink has the document: in the worker's batch, and in the request.
    pub const STORE: &str = "store";
    /// The time until the ledger has counted the job.
    pub const COUNT: &str = "count";
    /// The time until the acknowledgement is on its way.
    pub const ACK: &str = "ack";
    /// The time until the delay queue has confirmed the job's message.
    pub const RETRY: &str = "retry";
    /// The time until the dead queue has confirmed the job's message.
    pub const BURY: &str = "bury";
    /// One request with the documents of many jobs, which it is linked to; a trace of its own.
    pub const BULK: &str = "bulk";
}

/// Attributes of spans.
pub mod attribute {
    pub const RUN: &str = "paceline.run.id";
    pub const JOB: &str = "paceline.job.id";
    pub const SEQ: &str = "paceline.job.seq";
    pub const GROUP: &str = "messaging.consumer.group.name";
    /// `completed` or `dead`.
    pub const STATUS: &str = "paceline.job.status";
    /// 1 for the first.
    pub const ATTEMPT: &str = "paceline.attempt";
    /// The number of times that the broker had handed the message out before, to a worker that did not settle it.
    pub const REDELIVERIES: &str = "paceline.redeliveries";
    pub const WORKER: &str = "paceline.worker.id";
    pub const PRODUCER: &str = "paceline.producer.id";
    pub const SCHEDULER: &str = "paceline.scheduler.id";
    /// The reason for which a trace was written that was not chosen at the beginning: `retried`, `dead`, `redelivered` or `slow`.
    pub const REASON: &str = "paceline.trace.reason";
    pub const DELAY_MS: &str = "paceline.retry.delay_ms";
    pub const OPERATION: &str = "messaging.operation.type";
    pub const DESTINATION: &str = "messaging.destination.name";
    pub const MESSAGE: &str = "messaging.message.id";
    pub const BATCH: &str = "db.operation.batch.size";
    pub const RPC_SYSTEM: &str = "rpc.system";
    /// The method of a call of the API; the call's span has the same name.
    pub const RPC_METHOD: &str = "rpc.method";
    pub const RPC_STATUS: &str = "rpc.grpc.status_code";
}
