//! The one connection: reconnects by itself, never waits without a bound, and turns what goes wrong into the port's errors.

use std::future::Future;
use std::time::Duration;

use paceline_core::{Error, Result};
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Cmd, ErrorKind, FromRedisValue, RedisError, RedisResult, ScriptInvocation, ServerErrorKind};

use super::config::RedisConfig;

/// How long a connection may take to come up, and how often it is tried again within one call.
const CONNECT_MAX: Duration = Duration::from_secs(2);
const CONNECT_RETRIES: usize = 1;
const CONNECT_RETRY_DELAY: Duration = Duration::from_millis(100);
/// How long one command may take to answer.
const RESPONSE_MAX: Duration = Duration::from_secs(4);
/// How long a call takes at most, whatever happens.
const CALL_MAX: Duration = Duration::from_secs(8);
/// Commands that wait to be written; a caller beyond them waits, asynchronously.
const COMMANDS_QUEUED_MAX: usize = 256;

/// A cheap handle.
#[derive(Clone)]
pub(super) struct Connection {
    manager: ConnectionManager,
    server: String,
}

impl Connection {
    pub(super) async fn open(config: &RedisConfig) -> Result<Self> {
        let (client, server) = config.client()?;
        let settings = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(CONNECT_MAX))
            .set_response_timeout(Some(RESPONSE_MAX))
            .set_number_of_retries(CONNECT_RETRIES)
            .set_min_delay(CONNECT_RETRY_DELAY)
            .set_max_delay(CONNECT_RETRY_DELAY)
            .set_pipeline_buffer_size(COMMANDS_QUEUED_MAX);
        let manager = bounded(&server, ConnectionManager::new_with_config(client, settings)).await?;
        Ok(Self { manager, server })
    }

    pub(super) async fn command<T: FromRedisValue>(&self, command: &Cmd) -> Result<T> {
        let mut manager = self.manager.clone();
        bounded(&self.server, command.query_async(&mut manager)).await
    }

    /// Runs a script; `subject` is what it is about, for the words of a refusal.
    pub(super) async fn script<T: FromRedisValue>(
        &self,
        subject: &str,
        invocation: &ScriptInvocation<'_>,
    ) -> Result<T> {
        let mut manager = self.manager.clone();
        let answer = bounded(&self.server, invocation.invoke_async(&mut manager)).await;
        answer.map_err(|e| Error { message: e.message.replace(SUBJECT, subject), ..e })
    }

    pub(super) fn server(&self) -> &str {
        &self.server
    }
}

/// Stands in a refusal for what the script was about.
const SUBJECT: &str = "{subject}";

async fn bounded<T>(server: &str, call: impl Future<Output = RedisResult<T>>) -> Result<T> {
    match tokio::time::timeout(CALL_MAX, call).await {
        Ok(answer) => answer.map_err(|e| into_error(server, &e)),
        Err(_) => Err(Error::unavailable(format!(
            "redis at {server} did not answer within {} s; is it overloaded?",
            CALL_MAX.as_secs()
        ))),
    }
}

fn into_error(server: &str, error: &RedisError) -> Error {
    let detail = error.detail().unwrap_or_default();
    match error.code() {
        Some("ABORTED") => return Error::aborted(format!("{SUBJECT}: {detail}")),
        Some("PRECONDITION") => return Error::failed_precondition(format!("{SUBJECT}: {detail}")),
        Some("NOTFOUND") => return Error::not_found(format!("{SUBJECT} {detail}")),
        Some("OOM") => return Error::unavailable(format!("redis at {server} is full; raise its maxmemory: {error}")),
        Some("MISCONF") => return Error::unavailable(format!("redis at {server} cannot write to its disk: {error}")),
        Some("NOAUTH" | "WRONGPASS" | "NOPERM") => return unwelcome(server, error),
        _ => {}
    }
    match error.kind() {
        ErrorKind::AuthenticationFailed => unwelcome(server, error),
        ErrorKind::Io if error.to_string().contains("certificate") => Error::unavailable(format!(
            "cannot trust redis at {server}: {error}; if you signed it yourself, name the CA file"
        )),
        ErrorKind::Io | ErrorKind::Parse => Error::unavailable(format!(
            "cannot reach redis at {server}: {error}; is it running, and is PACELINE_LEDGER_URL right?"
        )),
        ErrorKind::Server(
            ServerErrorKind::BusyLoading
            | ServerErrorKind::TryAgain
            | ServerErrorKind::ClusterDown
            | ServerErrorKind::MasterDown
            | ServerErrorKind::ReadOnly
            | ServerErrorKind::Moved
            | ServerErrorKind::Ask,
        ) => Error::unavailable(format!("redis at {server} cannot now: {error}")),
        _ => Error::internal(format!("redis at {server}: {error}")),
    }
}

fn unwelcome(server: &str, error: &RedisError) -> Error {
    let reason = error.code().unwrap_or("refused");
    Error::failed_precondition(format!(
        "redis at {server} does not let us in ({reason}); check user and password in PACELINE_LEDGER_URL"
    ))
}

#[cfg(test)]
mod tests {
    use paceline_core::ErrorKind as Kind;
    use tokio::net::TcpListener;

    use super::*;

    async fn open(address: std::net::SocketAddr) -> Error {
        let url = format!("redis://someone:s3cret@{address}");
        let config = RedisConfig { url, namespace: "test".into(), ca_file: None };
        Connection::open(&config).await.map(drop).unwrap_err()
    }

    #[tokio::test]
    async fn a_server_that_is_away_or_silent_is_an_error_in_bounded_time() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        // It accepts, by the backlog, and never says a word.
        let silent = tokio::time::timeout(CALL_MAX, open(address)).await.unwrap();
        drop(listener);
        let away = open(address).await;
        for error in [silent, away] {
            assert_eq!(error.kind, Kind::Unavailable, "{error}");
            assert!(
                error.message.contains(&address.to_string()) && error.message.contains("PACELINE_LEDGER_URL"),
                "{error}"
            );
            assert!(!error.message.contains("s3cret"), "{error}");
        }
    }
}
