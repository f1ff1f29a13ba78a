//! The one table from our errors to gRPC statuses, with field details and retry hints as `google.rpc` messages; and back.

use std::collections::HashMap;
use std::time::Duration;

use paceline_core::error::{Error, ErrorKind, FieldViolation};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

/// Marks the one kind that has no code of its own: to a client that does not know the mark it is an invalid argument.
const UNPUBLISHABLE: &str = "UNPUBLISHABLE";
const DOMAIN: &str = "paceline";

/// The gRPC code of a kind.
pub fn code(kind: ErrorKind) -> Code {
    match kind {
        ErrorKind::InvalidArgument | ErrorKind::Unpublishable => Code::InvalidArgument,
        ErrorKind::NotFound => Code::NotFound,
        ErrorKind::FailedPrecondition => Code::FailedPrecondition,
        ErrorKind::ResourceExhausted => Code::ResourceExhausted,
        ErrorKind::Unavailable => Code::Unavailable,
        ErrorKind::Aborted => Code::Aborted,
        ErrorKind::Internal => Code::Internal,
    }
}

/// Our error as a status, for the edge of a server.
pub fn to_status(error: Error) -> Status {
    let mut details = ErrorDetails::new();
    for violation in &error.fields {
        details.add_bad_request_violation(&violation.field, &violation.description);
    }
    if let Some(after) = error.retry_after {
        details.set_retry_info(Some(after));
    }
    if error.kind == ErrorKind::Unpublishable {
        details.set_error_info(UNPUBLISHABLE, DOMAIN, HashMap::new());
    }
    Status::with_error_details(code(error.kind), error.message, details)
}

/// A status as our error, for the edge of a client.
pub fn from_status(status: &Status) -> Error {
    let details = status.get_error_details();
    let is_marked = details.error_info().is_some_and(|info| info.reason == UNPUBLISHABLE && info.domain == DOMAIN);
    let kind = match status.code() {
        Code::InvalidArgument if is_marked => ErrorKind::Unpublishable,
        Code::InvalidArgument => ErrorKind::InvalidArgument,
        Code::NotFound => ErrorKind::NotFound,
        Code::FailedPrecondition => ErrorKind::FailedPrecondition,
        Code::ResourceExhausted => ErrorKind::ResourceExhausted,
        Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled | Code::Unknown => ErrorKind::Unavailable,
        Code::Aborted => ErrorKind::Aborted,
        _ => ErrorKind::Internal,
    };
    let fields = details.bad_request().map_or_else(Vec::new, |bad| {
        let violation = |v: &tonic_types::FieldViolation| FieldViolation {
            field: v.field.clone(),
            description: v.description.clone(),
        };
        bad.field_violations.iter().map(violation).collect()
    });
    let retry_after: Option<Duration> = details.retry_info().and_then(|info| info.retry_delay);
    Error { fields, retry_after, ..Error::new(kind, status.message()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use paceline_core::error::Violations;

    #[test]
    fn an_error_crosses_the_wire_with_its_fields_and_hint() {
        let mut violations = Violations::default();
        violations.add("jobs", "must be at least 1");
        violations.add("per_minutes", "must be above 0");
        let error = violations.check().unwrap_err().with_retry_after(Duration::from_secs(2));
        let back = from_status(&to_status(error.clone()));
        assert_eq!((back.kind, &back.fields, back.retry_after), (error.kind, &error.fields, error.retry_after));
        assert_eq!(back.message, error.message);
    }

    #[test]
    fn every_kind_survives_the_round_trip() {
        for kind in ErrorKind::ALL {
            assert_eq!(from_status(&to_status(Error::new(kind, "x"))).kind, kind);
        }
    }
}
