//! Errors of the Redis client in the port's words: the event, the server, and the remedy.

use paceline_core::Error;
use paceline_core::error::{Code, codes};
use redis::{ErrorKind, RedisError, ServerErrorKind};

/// Stands in a refusal for what the script was about.
pub(super) const SUBJECT: &str = "{subject}";

/// True if a connection that has answered so is of no use any more: it failed, or leads to a server that is no primary.
pub(super) fn is_final(error: &RedisError) -> bool {
    const NO_PRIMARY: [&str; 4] = ["READONLY", "LOADING", "MASTERDOWN", "NOREPLICAS"];
    error.is_io_error() || error.is_unrecoverable_error() || error.code().is_some_and(|code| NO_PRIMARY.contains(&code))
}

pub(super) fn into_error(server: &str, error: &RedisError) -> Error {
    let detail = error.detail().unwrap_or_default();
    match error.code() {
        // Words of the ledger's own scripts.
        Some("ABORTED") => Error::aborted(format!("{SUBJECT}: {detail}")).coded(taken(detail)),
        Some("PRECONDITION") => Error::failed_precondition(format!("{SUBJECT}: {detail}")).coded(forbidden(detail)),
        Some("NOTFOUND") => Error::not_found(format!("{SUBJECT} {detail}")).coded(codes::RUN_UNKNOWN),
        Some("OOM") => Error::unavailable(format!("redis at {server} is full; raise its maxmemory: {error}"))
            .coded(codes::LEDGER_FULL),
        Some("MISCONF") => Error::unavailable(format!("redis at {server} cannot write to its disk: {error}"))
            .coded(codes::LEDGER_DISK_FAILED),
        Some("NOREPLICAS") => Error::unavailable(format!(
            "redis at {server} has too few replicas to take writes; are they running? ({error})"
        ))
        .coded(codes::LEDGER_REPLICAS_MISSING),
        Some("NOAUTH" | "WRONGPASS" | "NOPERM") => unwelcome(server, error),
        _ => by_kind(server, error),
    }
}

/// Errors without a code of their own.
fn by_kind(server: &str, error: &RedisError) -> Error {
    match error.kind() {
        ErrorKind::AuthenticationFailed => unwelcome(server, error),
        ErrorKind::Io if error.to_string().contains("certificate") => Error::unavailable(format!(
            "cannot trust redis at {server}: {error}; if you signed it yourself, name the CA file"
        ))
        .coded(codes::LEDGER_CERTIFICATE_REFUSED),
        ErrorKind::Io | ErrorKind::Parse => Error::unavailable(format!(
            "cannot reach redis at {server}: {error}; is it running, and is PACELINE_LEDGER_URL right?"
        ))
        .coded(codes::LEDGER_UNREACHABLE),
        ErrorKind::Server(
            ServerErrorKind::Moved | ServerErrorKind::Ask | ServerErrorKind::CrossSlot | ServerErrorKind::ClusterDown,
        ) => in_cluster_mode(server),
        ErrorKind::Server(
            ServerErrorKind::BusyLoading
            | ServerErrorKind::TryAgain
            | ServerErrorKind::MasterDown
            | ServerErrorKind::ReadOnly,
        ) => Error::unavailable(format!("redis at {server} cannot now: {error}")).coded(codes::LEDGER_BUSY),
        _ => Error::internal(format!("redis at {server}: {error}")).coded(codes::LEDGER_REFUSES_COMMAND),
    }
}

/// The code for a script that found the caller's view stale: another scheduler has the lease, or the run has another revision.
fn taken(detail: &str) -> &'static Code {
    if detail.starts_with("the lease") { codes::LEASE_LOST } else { codes::RUN_CHANGED_MEANWHILE }
}

/// The code for a script that found the step forbidden by the run.
fn forbidden(detail: &str) -> &'static Code {
    if detail.starts_with("it has enqueued") { codes::RUN_TOTAL_BELOW_ENQUEUED } else { codes::RUN_STATE_FORBIDS }
}

/// A server of Redis Cluster.
pub(super) fn in_cluster_mode(server: &str) -> Error {
    Error::failed_precondition(format!(
        "redis at {server} runs in cluster mode, which the ledger cannot use: its lists of runs are in no one slot; \
         take one server, or one primary with replicas and sentinels (redis+sentinel://…, docs/clusters.md)"
    ))
    .coded(codes::LEDGER_IN_CLUSTER_MODE)
}

fn unwelcome(server: &str, error: &RedisError) -> Error {
    let reason = error.code().unwrap_or("refused");
    Error::failed_precondition(format!(
        "redis at {server} does not let us in ({reason}); check user and password in PACELINE_LEDGER_URL"
    ))
    .coded(codes::LEDGER_LOGIN_REFUSED)
}
