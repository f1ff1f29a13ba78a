//! The one connection: an epoch that fails whole and is built anew by the next call, never waits without a bound, and turns what
//! goes wrong into the port's errors.
//!
//! A connection that does not answer in time has failed, like one that was closed: a peer that vanished without a word would
//! otherwise keep every call waiting until the system's TCP gives up, a quarter of an hour later.

use std::future::Future;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use paceline_core::clock::SystemClock;
use paceline_core::error::codes;
use paceline_core::{Error, Result};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Cmd, FromRedisValue, RedisError, RedisResult, ScriptInvocation, cmd};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::barrier::{Barrier, few_enough};
use super::config::{RedisAddress, RedisConfig};
use super::errors::{SUBJECT, into_error, is_final};
use super::sentinels::Sentinels;
use super::server::Server;
use super::watch::Word;
use crate::link::{Epoch, Link};

/// The longest that a connection may take to come up.
const CONNECT_MAX: Duration = Duration::from_secs(2);
/// The longest that one command may take to answer.
const RESPONSE_MAX: Duration = Duration::from_secs(3);
/// The longest that a call takes, whatever happens.
const CALL_MAX: Duration = Duration::from_secs(6);
/// Commands that wait to be written; a caller beyond them waits, asynchronously.
const COMMANDS_QUEUED_MAX: usize = 256;

pub(super) struct RedisConnection {
    place: RedisAddress,
    namespace: String,
    link: Link<Multiplexed>,
    label: String,
}

/// One connection, shared by all calls.
struct Multiplexed {
    connection: MultiplexedConnection,
    /// Asks for a replica's word; only where the server is a primary with replicas.
    barrier: Option<Barrier>,
    server: String,
    failure: Arc<OnceLock<Error>>,
    /// The word of the sentinels' majority for this server, where there are sentinels; `_watch` asks for it.
    word: Option<Arc<Word>>,
    _watch: JoinSet<()>,
}

impl Epoch for Multiplexed {
    fn failure(&self) -> Option<Error> {
        self.failure.get().cloned()
    }
}

impl RedisConnection {
    pub(super) async fn open(config: &RedisConfig) -> Result<Self> {
        let place = config.place()?;
        let (label, namespace) = (place.label(), config.namespace.clone());
        let connection = Self { place, namespace, link: Link::new(SystemClock::shared()), label };
        connection.link.get(async || Box::pin(connection.connect()).await).await?;
        Ok(connection)
    }

    pub(super) async fn command<T: FromRedisValue>(&self, command: &Cmd) -> Result<T> {
        self.call(async |mut connection| command.query_async(&mut connection).await).await
    }

    /// Runs a script; `subject` is what it is about, for the words of a refusal.
    pub(super) async fn script<T: FromRedisValue>(
        &self,
        subject: &str,
        invocation: &ScriptInvocation<'_>,
    ) -> Result<T> {
        let answer = self.call(async |mut connection| invocation.invoke_async(&mut connection).await).await;
        answer.map_err(|e| Error { message: e.message.replace(SUBJECT, subject), ..e })
    }

    /// A call whose connection fails is not repeated: nobody knows whether it happened. Where there are replicas, an answer counts
    /// when one of them has it, a refusal too: only then is it the ledger's word, and not that of a primary of before.
    async fn call<T>(&self, call: impl AsyncFnOnce(MultiplexedConnection) -> RedisResult<T>) -> Result<T> {
        let whole = async {
            // In a box: connecting is rare and its future is large, and this one is made for every call.
            let epoch = self.link.get(async || Box::pin(self.connect()).await).await?;
            let answer = match call(epoch.connection.clone()).await {
                Err(e) if is_final(&e) => return Err(epoch.fail(into_error(&epoch.server, &e))),
                answer => answer.map_err(|e| into_error(&epoch.server, &e)),
            };
            if let Some(barrier) = &epoch.barrier
                && let Err(not_passed) = barrier.pass().await
            {
                // The sentinels are asked anew: it may be the primary no more.
                let words = |e: &RedisError| into_error(&epoch.server, e);
                return Err(epoch.fail(not_passed.into_error(&epoch.server, barrier.channel(), words)));
            }
            // Last: the replica's word is worth something only from the servers that the sentinels stand by.
            epoch.is_named()?;
            answer
        };
        bounded(&self.label, whole).await
    }

    async fn connect(&self) -> Result<Multiplexed> {
        bounded(&self.label, async {
            match &self.place {
                RedisAddress::Server(server) => {
                    let connection = multiplexed(server).await?;
                    Ok(Multiplexed {
                        connection,
                        barrier: None,
                        server: server.address.clone(),
                        failure: Arc::default(),
                        word: None,
                        _watch: JoinSet::new(),
                    })
                }
                RedisAddress::Sentinels(sentinels) => {
                    let asked = Instant::now();
                    let primary = sentinels.primary().await?;
                    self.connect_to_primary(&primary, Word::asked_at(asked), sentinels).await
                }
            }
        })
        .await
    }

    async fn connect_to_primary(&self, server: &Server, word: Word, sentinels: &Arc<Sentinels>) -> Result<Multiplexed> {
        let (mut connection, beside) = tokio::try_join!(multiplexed(server), multiplexed(server))?;
        let words = |e: RedisError| into_error(&server.address, &e);
        let mut told = Vec::<redis::Value>::into_iter(cmd("ROLE").query_async(&mut connection).await.map_err(words)?);
        let role: String =
            redis::from_redis_value(told.next().unwrap_or(redis::Value::Nil)).map_err(|e| words(e.into()))?;
        if role != "master" {
            return Err(Error::unavailable(format!(
                "redis at {} is no primary ({role}) though the sentinels say so; they are just choosing another",
                server.address
            ))
            .coded(codes::LEDGER_PRIMARY_CHANGED));
        }
        // After the role and its offset: address, port and offset of each replica.
        let replicas: Vec<(String, String, String)> = match told.nth(1) {
            Some(replicas) => redis::from_redis_value(replicas).map_err(|e| words(e.into()))?,
            None => Vec::new(),
        };
        let replicas: Vec<String> = replicas.iter().map(|(host, port, _)| format!("{host}:{port}")).collect();
        few_enough(&server.address, replicas.iter().map(String::as_str))?;
        let barrier = Some(Barrier::new(beside, &self.namespace));
        let (failure, word) = (Arc::new(OnceLock::new()), Arc::new(word));
        let mut watch = JoinSet::new();
        watch.spawn(leave_when_not_named(server.address.clone(), word.clone(), sentinels.clone(), failure.clone()));
        let server = server.address.clone();
        Ok(Multiplexed { connection, barrier, server, failure, word: Some(word), _watch: watch })
    }

    /// The server that the connection leads to now, or should lead to.
    pub(super) fn server(&self) -> String {
        self.link.current().map_or_else(|| self.label.clone(), |epoch| epoch.server.clone())
    }

    pub(super) fn sentinels(&self) -> Option<&Sentinels> {
        match &self.place {
            RedisAddress::Server(_) => None,
            RedisAddress::Sentinels(sentinels) => Some(sentinels),
        }
    }
}

impl Multiplexed {
    /// The first failure is the reason; those that follow only suffer from it.
    fn fail(&self, error: Error) -> Error {
        _ = self.failure.set(error.clone());
        error
    }

    /// An error when the sentinels stand by this server no more, as far as is known.
    fn is_named(&self) -> Result<()> {
        let Some(word) = &self.word else { return Ok(()) };
        self.failure().map_or(Ok(()), Err)?;
        word.check(&self.server).map_err(|error| self.fail(error))
    }
}

async fn leave_when_not_named(
    server: String,
    word: Arc<Word>,
    sentinels: Arc<Sentinels>,
    failure: Arc<OnceLock<Error>>,
) {
    let ask = || {
        let sentinels = sentinels.clone();
        async move { Ok(Box::pin(sentinels.primary()).await?.address) }
    };
    let error = word.watch(&server, ask).await;
    tracing::warn!(%error, "looking for Redis' primary anew");
    _ = failure.set(error);
}

async fn multiplexed(server: &Server) -> Result<MultiplexedConnection> {
    let settings = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT_MAX))
        .set_response_timeout(Some(RESPONSE_MAX))
        .set_pipeline_buffer_size(COMMANDS_QUEUED_MAX);
    let connected = server.client.get_multiplexed_async_connection_with_config(&settings).await;
    connected.map_err(|e| into_error(&server.address, &e))
}

async fn bounded<T>(server: &str, call: impl Future<Output = Result<T>>) -> Result<T> {
    let seconds = CALL_MAX.as_secs();
    tokio::time::timeout(CALL_MAX, call).await.unwrap_or_else(|_| {
        Err(Error::unavailable(format!("redis at {server} did not answer within {seconds} s; is it overloaded?"))
            .coded(codes::LEDGER_TIMEOUT))
    })
}

#[cfg(test)]
mod tests {
    use paceline_core::ErrorKind as Kind;
    use tokio::net::TcpListener;

    use super::*;

    async fn open(address: std::net::SocketAddr) -> Error {
        let url = format!("redis://someone:s3cret@{address}");
        let config = RedisConfig { url, namespace: "test".into(), ca_file: None };
        RedisConnection::open(&config).await.map(drop).unwrap_err()
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
