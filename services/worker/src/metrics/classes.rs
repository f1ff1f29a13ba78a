//! The classes of retries and deaths, by which they are counted.

/// The reason for which an attempt is followed by another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryClass {
    /// The handler asked for it.
    Handler,
    Timeout,
    Panic,
}

/// The reason for which a job is dead.
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
    pub const NAMES: [&str; 3] = ["handler", "timeout", "panic"];
}

impl DeathClass {
    pub const NAMES: [&str; 6] = [
        "attempts_spent",
        "rejected_by_handler",
        "no_handler",
        "rejected_by_sink",
        "given_up_by_broker",
        "not_understood",
    ];
}
