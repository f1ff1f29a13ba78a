//! The one error type that crosses ports and roles: a kind that decides the status code, a code that `paceline explain` knows, and
//! words for a person.
//!
//! Here: the error's type, its kinds and the table of all codes. Everything may use it, and it uses nothing else of the house.

mod code;
pub mod codes;
mod kind;

use std::time::Duration;

pub use code::Code;
pub use kind::ErrorKind;

pub type Result<T, E = Error> = std::result::Result<T, E>;

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
    /// The line of the table of [`codes`].
    pub code: &'static Code,
    pub message: String,
    pub fields: Vec<FieldViolation>,
    pub retry_after: Option<Duration>,
}

impl Error {
    /// An error with the general code of its kind; [`Self::coded`] says more.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, code: Code::general(kind), message: message.into(), fields: Vec::new(), retry_after: None }
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

    /// The same error under its own line of the table.
    pub fn coded(self, code: &'static Code) -> Self {
        Self { code, ..self }
    }

    pub fn with_retry_after(mut self, after: Duration) -> Self {
        self.retry_after = Some(after);
        self
    }

    /// True if the same call may succeed later without anybody changing it.
    pub fn is_retryable(&self) -> bool {
        matches!(self.kind, ErrorKind::Unavailable | ErrorKind::ResourceExhausted)
    }
}

/// Collects every bad field of a request, so that a caller sees all mistakes at once.
#[derive(Debug, Default)]
pub struct Violations {
    fields: Vec<FieldViolation>,
    codes: Vec<&'static Code>,
}

impl Violations {
    pub fn add(&mut self, field: impl Into<String>, description: impl Into<String>) {
        self.add_coded(codes::REQUEST_INVALID, field, description);
    }

    /// A mistake with a code of its own.
    pub fn add_coded(&mut self, code: &'static Code, field: impl Into<String>, description: impl Into<String>) {
        self.fields.push(FieldViolation { field: field.into(), description: description.into() });
        self.codes.push(code);
    }

    pub fn check(self) -> Result<()> {
        if self.fields.is_empty() { Ok(()) } else { Err(self.into_error()) }
    }

    /// The same as [`Self::check`], with the code of everything that is checked here, such as the settings.
    pub fn check_coded(self, code: &'static Code) -> Result<()> {
        self.check().map_err(|error| error.coded(code))
    }

    fn into_error(self) -> Error {
        let lines = self.fields.iter().map(|v| format!("{}: {}", v.field, v.description));
        let message = lines.collect::<Vec<_>>().join("; ");
        let error = Error::new(ErrorKind::InvalidArgument, message).coded(common(&self.codes));
        Error { fields: self.fields, ..error }
    }
}

/// The code of all mistakes, if they share one.
fn common(codes: &[&'static Code]) -> &'static Code {
    match codes {
        [first, others @ ..] if others.iter().all(|other| other == first) => first,
        _ => codes::REQUEST_INVALID,
    }
}
