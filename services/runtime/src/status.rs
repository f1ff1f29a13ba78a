//! The one table from our errors to gRPC statuses, with code, field details and retry hints as `google.rpc` messages; and back.

use std::collections::HashMap;
use std::time::Duration;

use paceline_core::error::{self, Error, ErrorKind, FieldViolation, codes};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, ErrorInfo, StatusExt};

/// The owner of the codes of errors, in `google.rpc.ErrorInfo`.
const DOMAIN: &str = "paceline";
/// The keys of the metadata there: the code of the error, and the name of its kind.
const CODE: &str = "code";
const KIND: &str = "kind";
/// The reason of each error of the one kind that gRPC has no code for. Schedulers from before the codes look for this word, and know no
/// metadata; every other reason is the code of the error.
const UNPUBLISHABLE: &str = "UNPUBLISHABLE";

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
    details.set_error_info(reason(&error), DOMAIN, metadata(&error));
    Status::with_error_details(code, error.message, details)
}

fn reason(error: &Error) -> String {
    if error.kind == ErrorKind::Unpublishable { UNPUBLISHABLE.to_owned() } else { error.code.to_string() }
}

fn metadata(error: &Error) -> HashMap<String, String> {
    HashMap::from([(CODE.to_owned(), error.code.to_string()), (KIND.to_owned(), error.kind.name().to_owned())])
}

/// A status as our error, for the edge of a client.
pub fn from_status(status: &Status) -> Error {
    let details = status.get_error_details();
    let info = details.error_info().filter(|info| info.domain == DOMAIN);
    let known = info.and_then(named_code);
    let kind = info.and_then(|info| named_kind(info, known)).unwrap_or_else(|| kind_of(status.code()));
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

/// The code that a peer names: in the metadata, or in the reason alone. `None` for one that this version does not know.
fn named_code(info: &ErrorInfo) -> Option<&'static error::Code> {
    error::Code::of_text(info.metadata.get(CODE).unwrap_or(&info.reason))
}

/// The kind that a peer names. A peer without metadata names but one: by its reason, or by a code of that kind.
fn named_kind(info: &ErrorInfo, known: Option<&error::Code>) -> Option<ErrorKind> {
    let is_unpublishable =
        info.reason == UNPUBLISHABLE || known.is_some_and(|known| known.kind == ErrorKind::Unpublishable);
    let named = info.metadata.get(KIND).and_then(|name| ErrorKind::of_name(name));
    named.or(is_unpublishable.then_some(ErrorKind::Unpublishable))
}

/// The kind of a status that says no more than its gRPC code.
fn kind_of(code: Code) -> ErrorKind {
    match code {
        Code::InvalidArgument => ErrorKind::InvalidArgument,
        Code::NotFound => ErrorKind::NotFound,
        Code::FailedPrecondition => ErrorKind::FailedPrecondition,
        Code::ResourceExhausted => ErrorKind::ResourceExhausted,
        Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled | Code::Unknown => ErrorKind::Unavailable,
        Code::Aborted => ErrorKind::Aborted,
        _ => ErrorKind::Internal,
    }
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

    /// A status with these details of a peer, which is of another version.
    fn from_peer(code: Code, reason: &str, metadata: &[(&str, &str)]) -> Error {
        let metadata = metadata.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        let details = ErrorDetails::with_error_info(reason, DOMAIN, metadata.collect::<HashMap<_, _>>());
        from_status(&Status::with_error_details(code, "x", details))
    }

    #[test]
    fn every_kind_survives_the_round_trip_also_under_a_code_of_another_kind() {
        for kind in ErrorKind::ALL {
            let general = from_status(&to_status(Error::new(kind, "x")));
            assert_eq!((general.kind, general.code), (kind, error::Code::general(kind)));
            for code in [codes::QUEUE_FULL, codes::JOB_TOO_LARGE] {
                let coded = from_status(&to_status(Error::new(kind, "x").coded(code)));
                assert_eq!((coded.kind, coded.code), (kind, code));
            }
        }
    }

    #[test]
    fn a_code_of_a_later_version_keeps_its_kind_and_becomes_the_general_one() {
        let later = [(CODE, "PL-1999"), (KIND, "unpublishable")];
        let error = from_peer(Code::InvalidArgument, UNPUBLISHABLE, &later);
        assert_eq!((error.kind, error.code), (ErrorKind::Unpublishable, codes::JOBS_NOT_PUBLISHABLE));
        let later = [(CODE, "PL-3999"), (KIND, "resource_exhausted")];
        let error = from_peer(Code::ResourceExhausted, "PL-3999", &later);
        assert_eq!((error.kind, error.code), (ErrorKind::ResourceExhausted, codes::LIMIT_REACHED));
        let error = from_peer(Code::NotFound, "PL-3999", &[(KIND, "a kind of later")]);
        assert_eq!((error.kind, error.code), (ErrorKind::NotFound, codes::NOT_FOUND));
    }

    #[test]
    fn a_peer_from_before_the_codes_understands_and_is_understood() {
        let status = to_status(Error::unpublishable("x").coded(codes::JOB_TOO_LARGE));
        let info = status.get_details_error_info().unwrap();
        let seen = (status.code(), info.reason.as_str(), info.domain.as_str());
        assert_eq!(seen, (Code::InvalidArgument, "UNPUBLISHABLE", "paceline"));

        let error = from_peer(Code::InvalidArgument, "UNPUBLISHABLE", &[]);
        assert_eq!((error.kind, error.code), (ErrorKind::Unpublishable, codes::JOBS_NOT_PUBLISHABLE));
        let error = from_status(&Status::new(Code::InvalidArgument, "x"));
        assert_eq!((error.kind, error.code), (ErrorKind::InvalidArgument, codes::REQUEST_INVALID));
        // The first version with codes wrote them without metadata.
        let error = from_peer(Code::InvalidArgument, "PL-1061", &[]);
        assert_eq!((error.kind, error.code), (ErrorKind::Unpublishable, codes::JOB_TOO_LARGE));
    }
}
