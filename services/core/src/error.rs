//! The one error type that crosses ports and roles: a kind that decides the status code, and words for a person.

use std::time::Duration;

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What sort of failure it is; `runtime::status` maps each to one gRPC code and one HTTP status.
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

    /// As metrics call it.
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

/// One field of a request and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldViolation {
    pub field: String,
    pub description: String,
}

/// Says what happened, to which thing, and what to do.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    pub kind: ErrorKind,
    pub message: String,
    pub fields: Vec<FieldViolation>,
    pub retry_after: Option<Duration>,
}

impl Error {
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), fields: Vec::new(), retry_after: None }
    }

    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotFound, message)
    }

    pub fn failed_precondition(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::FailedPrecondition, message)
    }

    pub fn resource_exhausted(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::ResourceExhausted, message)
    }

    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unavailable, message)
    }

    pub fn aborted(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Aborted, message)
    }

    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, message)
    }

    pub fn unpublishable(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unpublishable, message)
    }

    /// One bad field; collect several with [`Violations`].
    pub fn invalid_field(field: impl Into<String>, description: impl Into<String>) -> Self {
        let mut violations = Violations::default();
        violations.add(field, description);
        violations.into_error()
    }

    pub fn with_retry_after(mut self, after: Duration) -> Self {
        self.retry_after = Some(after);
        self
    }

    /// Whether the same call may succeed later without anybody changing it.
    pub fn is_retryable(&self) -> bool {
        matches!(self.kind, ErrorKind::Unavailable | ErrorKind::ResourceExhausted)
    }
}

/// Collects every bad field of a request, so that a caller sees all mistakes at once.
#[derive(Debug, Default)]
pub struct Violations(Vec<FieldViolation>);

impl Violations {
    pub fn add(&mut self, field: impl Into<String>, description: impl Into<String>) {
        self.0.push(FieldViolation { field: field.into(), description: description.into() });
    }

    pub fn check(self) -> Result<()> {
        if self.0.is_empty() { Ok(()) } else { Err(self.into_error()) }
    }

    fn into_error(self) -> Error {
        let message = self.0.iter().map(|v| format!("{}: {}", v.field, v.description)).collect::<Vec<_>>().join("; ");
        Error { fields: self.0, ..Error::new(ErrorKind::InvalidArgument, message) }
    }
}
