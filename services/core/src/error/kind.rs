//! The kinds of errors. Roles and clients decide by them.

/// The sort of a failure; `runtime::status` maps each to one gRPC code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The caller sent something that can never work; `fields` says which.
    InvalidArgument,
    NotFound,
    /// Right request, wrong moment: the run's state does not allow it.
    FailedPrecondition,
    /// A named limit is reached; try again after `retry_after`.
    ResourceExhausted,
    /// A service is away or answers that it cannot now; the same call may succeed later.
    Unavailable,
    /// Somebody else owns the run now, or it changed meanwhile: the caller's view is stale.
    Aborted,
    /// Our own bug, or data that we wrote and cannot read.
    Internal,
    /// A run whose jobs can be published by nobody, ever, because of what the run itself says. The only kind that makes a run FAILED.
    Unpublishable,
}

impl ErrorKind {
    pub const ALL: [Self; 8] = [
        Self::InvalidArgument,
        Self::NotFound,
        Self::FailedPrecondition,
        Self::ResourceExhausted,
        Self::Unavailable,
        Self::Aborted,
        Self::Internal,
        Self::Unpublishable,
    ];

    /// The kind that is called so; `None` for a kind that this version does not know.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// As metrics and the statuses of gRPC call it. A name stays: peers of other versions read it.
    pub fn name(self) -> &'static str {
        match self {
            Self::InvalidArgument => "invalid_argument",
            Self::NotFound => "not_found",
            Self::FailedPrecondition => "failed_precondition",
            Self::ResourceExhausted => "resource_exhausted",
            Self::Unavailable => "unavailable",
            Self::Aborted => "aborted",
            Self::Internal => "internal",
            Self::Unpublishable => "unpublishable",
        }
    }
}
