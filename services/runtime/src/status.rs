//! The one table from our errors to gRPC statuses, with code, field details and retry hints as `google.rpc` messages; and back.

use std::collections::HashMap;
use std::time::Duration;

use paceline_core::error::{self, Error, ErrorKind, FieldViolation, codes};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

/// The owner of the codes of errors, in `google.rpc.ErrorInfo`.
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

/// The gRPC code of an error with this code. A refused token has one of its own.
pub fn code_of(code_of_error: &error::Code) -> Code {
    if code_of_error == codes::TOKEN_REFUSED { Code::Unauthenticated } else { code(code_of_error.kind) }
}

/// The status of a call without the right token.
pub fn unauthenticated(message: impl Into<String>) -> Status {
    to_status_as(Code::Unauthenticated, Error::internal(message).coded(codes::TOKEN_REFUSED))
}

/// Our error as a status, for the edge of a server.
pub fn to_status(error: Error) -> Status {
    to_status_as(code(error.kind), error)
}

fn to_status_as(code: Code, error: Error) -> Status {
    let mut details = ErrorDetails::new();
    for violation in &error.fields {
        details.add_bad_request_violation(&violation.field, &violation.description);
    }
    if let Some(after) = error.retry_after {
        details.set_retry_info(Some(after));
    }
    details.set_error_info(error.code.to_string(), DOMAIN, HashMap::new());
    Status::with_error_details(code, error.message, details)
}

/// A status as our error, for the edge of a client.
pub fn from_status(status: &Status) -> Error {
    let details = status.get_error_details();
    let info = details.error_info().filter(|info| info.domain == DOMAIN);
    let known = info.and_then(|info| error::Code::of_text(&info.reason));
    let kind = match status.code() {
        // The one kind without a gRPC code of its own: to a client that does not know our codes it is an invalid argument.
        Code::InvalidArgument if known.is_some_and(|known| known.kind == ErrorKind::Unpublishable) => {
            ErrorKind::Unpublishable
        }
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
    let error = Error::new(kind, status.message());
    Error { fields, retry_after, code: known.unwrap_or(error.code), ..error }
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
    fn every_code_survives_the_round_trip_and_an_unknown_one_is_the_general_one() {
        for code in codes::all() {
            let back = from_status(&to_status(Error::new(code.kind, "x").coded(code)));
            assert_eq!((back.kind, back.code), (code.kind, code));
        }
        for (reason, domain) in [("PL-9999", DOMAIN), ("PL-5001", "elsewhere"), ("ELSE", DOMAIN)] {
            let details = ErrorDetails::with_error_info(reason, domain, HashMap::new());
            let status = Status::with_error_details(Code::Unavailable, "x", details);
            assert_eq!(from_status(&status).code, codes::SERVICE_UNAVAILABLE, "{reason} {domain}");
        }
    }

    #[test]
    fn a_refused_token_is_unauthenticated_and_says_its_code() {
        let status = unauthenticated("the token is wrong");
        assert_eq!((status.code(), code_of(codes::TOKEN_REFUSED)), (Code::Unauthenticated, Code::Unauthenticated));
        assert_eq!(from_status(&status).code, codes::TOKEN_REFUSED);
    }

    #[test]
    fn every_kind_survives_the_round_trip() {
        for kind in ErrorKind::ALL {
            assert_eq!(from_status(&to_status(Error::new(kind, "x"))).kind, kind);
        }
    }
}
