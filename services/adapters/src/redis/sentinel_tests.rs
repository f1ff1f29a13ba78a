//! Redis behind sentinels: who is believed, what counts, and when the sentinels are asked anew.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use paceline_core::{Error, ErrorKind};
use redis::cmd;
use tokio::net::TcpListener;

use super::config::RedisConfig;
use super::connection::Connection;
use super::fake_redis::{FakeRedis, list};

async fn open(sentinels: &[SocketAddr]) -> Result<Connection, Error> {
    let addresses: Vec<String> = sentinels.iter().map(SocketAddr::to_string).collect();
    let url = format!("redis+sentinel://{}/p", addresses.join(","));
    Connection::open(&RedisConfig { url, namespace: "test".into(), ca_file: None }).await
}

/// A primary whose replicas answer as told, and that says its own name.
async fn primary(name: &'static str, replicas: Arc<AtomicU64>) -> FakeRedis {
    FakeRedis::answering(move |command| {
        Some(match command[0].as_str() {
            "ROLE" => list(&["master"]),
            "PUBLISH" => ":0\r\n".to_owned(),
            "WAIT" => format!(":{}\r\n", replicas.load(Ordering::Relaxed)),
            _ => format!("+{name}\r\n"),
        })
    })
    .await
}

fn one_replica() -> Arc<AtomicU64> {
    Arc::new(AtomicU64::new(1))
}

/// It accepts, by the backlog, and never says a word.
async fn frozen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

#[tokio::test]
async fn the_latest_election_that_a_majority_knows_of_counts_and_one_frozen_sentinel_costs_nothing() {
    let (old, new) = (primary("old", one_replica()).await, primary("new", one_replica()).await);
    let behind = FakeRedis::sentinel(old.address, 3).await;
    let knows = FakeRedis::sentinel(new.address, 4).await;
    let (_frozen, silent) = frozen().await;
    let connection = open(&[behind.address, silent, knows.address]).await.unwrap();
    assert_eq!(connection.command::<String>(&cmd("NAME")).await.unwrap(), "new");
    assert_eq!(connection.server(), new.address.to_string());
    assert!(old.asked().is_empty());
}

#[tokio::test]
async fn an_answer_that_no_replica_has_is_an_error_and_the_sentinels_are_asked_again() {
    let replicas = one_replica();
    let server = primary("only", replicas.clone()).await;
    let sentinel = FakeRedis::sentinel(server.address, 1).await;
    let connection = open(&[sentinel.address]).await.unwrap();
    replicas.store(0, Ordering::Relaxed);
    let error = connection.command::<String>(&cmd("NAME")).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable);
    assert!(
        error.message.contains("not yet replicated") && error.message.contains(&server.address.to_string()),
        "{error}"
    );

    let questions = sentinel.asked().len();
    replicas.store(2, Ordering::Relaxed);
    assert_eq!(connection.command::<String>(&cmd("NAME")).await.unwrap(), "only");
    assert!(sentinel.asked().len() > questions, "a server that proved nothing may be the primary no more");
}

#[tokio::test]
async fn a_primary_that_became_a_replica_is_left() {
    let demoted = Arc::new(AtomicBool::new(false));
    let says = demoted.clone();
    let server = FakeRedis::answering(move |command| {
        Some(match command[0].as_str() {
            "ROLE" => list(&[if says.load(Ordering::Relaxed) { "slave" } else { "master" }]),
            "PUBLISH" => ":0\r\n".to_owned(),
            "WAIT" => ":1\r\n".to_owned(),
            _ if says.load(Ordering::Relaxed) => {
                "-READONLY You can't write against a read only replica.\r\n".to_owned()
            }
            _ => "+OK\r\n".to_owned(),
        })
    })
    .await;
    let sentinel = FakeRedis::sentinel(server.address, 1).await;
    let connection = open(&[sentinel.address]).await.unwrap();
    connection.command::<String>(&cmd("SET")).await.unwrap();
    demoted.store(true, Ordering::Relaxed);
    assert_eq!(connection.command::<String>(&cmd("SET")).await.unwrap_err().kind, ErrorKind::Unavailable);
    // The sentinel has not noticed yet: its word alone is not enough.
    let error = connection.command::<String>(&cmd("SET")).await.unwrap_err();
    assert!(error.kind == ErrorKind::Unavailable && error.message.contains("is no primary"), "{error}");
}

#[tokio::test]
async fn sentinels_that_are_away_frozen_or_strangers_are_named_in_bounded_time() {
    let (_frozen, silent) = frozen().await;
    let (gone, away) = frozen().await;
    drop(gone);
    let stranger = FakeRedis::answering(|_| Some("*-1\r\n".to_owned())).await;
    let opened = tokio::time::timeout(Duration::from_secs(6), open(&[silent, away, stranger.address])).await;
    let error = opened.unwrap().map(drop).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable);
    let all = [away, stranger.address].map(|address| format!("sentinel {address}"));
    assert!(all.iter().all(|name| error.message.contains(name)), "{error}");
    assert!(
        error.message.contains("knows no primary \"p\"") && error.message.contains("PACELINE_LEDGER_URL"),
        "{error}"
    );
}

/// Many calls at once need few waits, and each has one that began after its answer.
#[tokio::test]
async fn calls_that_wait_at_the_same_time_share_a_wait() {
    let server = primary("only", one_replica()).await;
    let sentinel = FakeRedis::sentinel(server.address, 1).await;
    let connection = open(&[sentinel.address]).await.unwrap();
    let name = cmd("NAME");
    let answers = futures::future::join_all((0..100).map(|_| connection.command::<String>(&name))).await;
    assert!(answers.iter().all(Result::is_ok));
    let asked = server.asked();
    let count = |name: &str| asked.iter().filter(|asked| *asked == name).count();
    assert_eq!(count("NAME"), 100);
    assert!((1..100).contains(&count("WAIT")), "{}", count("WAIT"));
    // The last word is a wait: nothing was answered after it that it does not cover.
    assert!(asked.iter().rposition(|name| name == "WAIT") > asked.iter().rposition(|name| name == "NAME"), "{asked:?}");
}
