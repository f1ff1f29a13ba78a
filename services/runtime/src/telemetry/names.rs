//! Every name that traces use, in one place: OpenTelemetry's conventions for messaging and databases where they have one, `paceline.…`
//! where they have none.

/// Spans, in the order of a job's way.
pub mod span {
    /// The root: from falling due to its end.
    pub const JOB: &str = "job";
    /// From falling due to being reserved, which makes it durable.
    pub const RESERVE: &str = "reserve";
    /// From being sent to the broker's confirm; followed by the queue.
    pub const PUBLISH: &str = "publish";
    /// In the queue: from being published to a worker's hands.
    pub const WAIT: &str = "wait in queue";
    /// One attempt of the handler; followed by the queue.
    pub const PROCESS: &str = "process";
    /// From the handler's end until the sink has the document: in the worker's batch, and in the request.
    pub const STORE: &str = "store";
    /// Until the ledger has counted it.
    pub const COUNT: &str = "count";
    /// Until the acknowledgement is on its way.
    pub const ACK: &str = "ack";
    /// Until the delay queue has confirmed it.
    pub const RETRY: &str = "retry";
    /// Until the dead queue has confirmed it.
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
    /// Why a trace was written that was not chosen at the beginning: `retried`, `dead`, `redelivered` or `slow`.
    pub const REASON: &str = "paceline.trace.reason";
    pub const DELAY_MS: &str = "paceline.retry.delay_ms";
    pub const OPERATION: &str = "messaging.operation.type";
    pub const DESTINATION: &str = "messaging.destination.name";
    pub const MESSAGE: &str = "messaging.message.id";
    pub const BATCH: &str = "db.operation.batch.size";
    pub const RPC_SYSTEM: &str = "rpc.system";
    /// Of a call of the API, whose span has the same name.
    pub const RPC_METHOD: &str = "rpc.method";
    pub const RPC_STATUS: &str = "rpc.grpc.status_code";
}
