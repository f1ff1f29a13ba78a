//! Redis behind sentinels: who is believed, what counts, and when the sentinels are asked anew.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use paceline_core::error::codes;
use paceline_core::{Error, ErrorKind};
use redis::cmd;
use tokio::net::TcpListener;

use super::config::RedisConfig;
use super::connection::RedisConnection;
use super::fake_redis::{FakeRedis, list};

async fn open(sentinels: &[SocketAddr]) -> Result<RedisConnection, Error> {
    let addresses: Vec<String> = sentinels.iter().map(SocketAddr::to_string).collect();
    let url = format!("redis+sentinel://{}/p", addresses.join(","));
    RedisConnection::open(&RedisConfig { url, namespace: "test".into(), ca_file: None }).await
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

/// A server that accepts, by the backlog, and never says a word.
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

    let roles = || server.asked().iter().filter(|name| *name == "ROLE").count();
    let (questions, before) = (sentinel.asked().len(), roles());
    replicas.store(2, Ordering::Relaxed);
    assert_eq!(connection.command::<String>(&cmd("NAME")).await.unwrap(), "only");
    let asked_again = sentinel.asked().len() > questions && roles() == before + 1;
    assert!(asked_again, "a server that proved nothing may be the primary no more");
}

#[tokio::test]
async fn a_minority_of_the_sentinels_is_not_believed() {
    let server = primary("old", one_replica()).await;
    let knows = FakeRedis::sentinel(server.address, 1).await;
    let ((_one, frozen_one), (_other, frozen_other)) = (frozen().await, frozen().await);
    let error = open(&[frozen_one, knows.address, frozen_other]).await.map(drop).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable);
    let silent = [frozen_one, frozen_other].map(|address| format!("sentinel {address}: did not answer"));
    assert!(silent.iter().all(|words| error.message.contains(words)) && error.message.contains("1 of 3"), "{error}");
    assert!(server.asked().is_empty());
}

/// A network is cut: the old primary and its replica still answer, and the sentinels have chosen another primary.
#[tokio::test]
async fn a_primary_that_proves_its_answers_is_left_when_the_sentinels_name_another() {
    let (old, new) = (primary("old", one_replica()).await, primary("new", one_replica()).await);
    let is_replaced = Arc::new(AtomicBool::new(false));
    let (says, addresses) = (is_replaced.clone(), [old.address, new.address]);
    let sentinel = FakeRedis::answering(move |command| {
        let replaced = usize::from(says.load(Ordering::Relaxed));
        Some(match command[1].as_str() {
            "GET-MASTER-ADDR-BY-NAME" => list(&["127.0.0.1", &addresses[replaced].port().to_string()]),
            _ => list(&["config-epoch", &replaced.to_string()]),
        })
    })
    .await;
    let connection = open(&[sentinel.address]).await.unwrap();
    assert_eq!(connection.command::<String>(&cmd("NAME")).await.unwrap(), "old");
    is_replaced.store(true, Ordering::Relaxed);
    let found = async {
        loop {
            if matches!(connection.command::<String>(&cmd("NAME")).await, Ok(name) if name == "new") {
                break;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(30), found).await.unwrap();
    assert_eq!(connection.server(), new.address.to_string());
}

/// In Redis' own words, as a primary says them that has just become a replica.
#[tokio::test]
async fn whatever_a_server_says_instead_of_its_replicas_word_proves_nothing_and_is_left() {
    for (words, kind, names) in [
        (
            "-ERR WAIT cannot be used with replica instances. Please also note that since Redis 4.0 if a replica is configured to be writable \
             (which is not the default) writes to replicas are just local and are not propagated.",
            ErrorKind::Unavailable,
            "cannot prove",
        ),
        (
            "-UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)",
            ErrorKind::Unavailable,
            "cannot prove",
        ),
        (
            "-NOPERM this user has no permissions to run the 'wait' command",
            ErrorKind::FailedPrecondition,
            "&test:barrier",
        ),
    ] {
        let server = FakeRedis::answering(move |command| {
            Some(match command[0].as_str() {
                "ROLE" => list(&["master"]),
                "PUBLISH" => ":0\r\n".to_owned(),
                "WAIT" => format!("{words}\r\n"),
                _ => "+OK\r\n".to_owned(),
            })
        })
        .await;
        let sentinel = FakeRedis::sentinel(server.address, 1).await;
        let connection = open(&[sentinel.address]).await.unwrap();
        let error = connection.command::<String>(&cmd("SET")).await.unwrap_err();
        assert!(error.kind == kind && error.message.contains(names), "{error:?}");
        assert!(connection.command::<String>(&cmd("SET")).await.is_err());
        assert_eq!(server.asked().iter().filter(|name| *name == "ROLE").count(), 2, "it was not left");
    }
}

/// Three replicas: one of four servers has an answer besides the primary, and the other two may choose another primary.
#[tokio::test]
async fn a_primary_with_more_replicas_than_the_proof_holds_for_is_refused() {
    let server = FakeRedis::answering(|command| {
        let replica = |port: &str| list(&["10.0.0.2", port, "14"]);
        Some(match command[0].as_str() {
            "ROLE" => format!("*3\r\n$6\r\nmaster\r\n:14\r\n*3\r\n{}{}{}", replica("1"), replica("2"), replica("3")),
            _ => "+OK\r\n".to_owned(),
        })
    })
    .await;
    let sentinel = FakeRedis::sentinel(server.address, 1).await;
    let error = open(&[sentinel.address]).await.map(drop).unwrap_err();
    assert!(error.kind == ErrorKind::FailedPrecondition && error.message.contains("has 3 replicas"), "{error}");
}

/// `doctor`'s words: a server that is dead is named though all sentinels answer and agree about the primary.
#[tokio::test]
async fn a_replica_that_the_sentinels_do_not_reach_is_a_failed_node() {
    let sees = |flags: &'static str| {
        FakeRedis::answering(move |command| {
            let server = |port: &str, flags: &str| list(&["ip", "10.0.0.2", "port", port, "flags", flags]);
            Some(match command[1].as_str() {
                "GET-MASTER-ADDR-BY-NAME" => list(&["10.0.0.2", "1"]),
                "MASTER" => list(&["config-epoch", "4", "flags", "master"]),
                _ => format!("*2\r\n{}{}", server("2", "slave"), server("3", flags)),
            })
        })
    };
    let (one, other) = (sees("s_down,slave,disconnected").await, sees("slave").await);
    let behind = FakeRedis::sentinel(one.address, 3).await;
    let url = format!("redis+sentinel://{},{},{}/p", one.address, other.address, behind.address);
    let look = async |url: &str| {
        let config = RedisConfig { url: url.to_owned(), namespace: "test".into(), ca_file: None };
        super::RedisLedger::look(&config).await.unwrap()
    };
    let found = look(&url).await;
    let of = |address: &str| found.iter().find(|(node, _)| node == address).unwrap().1.clone();
    assert!(of("10.0.0.2:1").unwrap().contains("primary of p"), "{found:?}");
    assert!(of("10.0.0.2:2").unwrap().contains("replica"), "{found:?}");
    let dead = of("10.0.0.2:3").unwrap_err();
    assert!(dead.message.contains("1 of 2 sentinels") && dead.message.contains("s_down"), "{dead}");
    assert_eq!(dead.code, codes::LEDGER_NODE_AWAY);
    let disagrees = of(&behind.address.to_string()).unwrap_err();
    assert!(disagrees.message.contains("10.0.0.2:1") && disagrees.code == codes::LEDGER_NODE_AWAY, "{disagrees}");

    let alone = FakeRedis::sentinel(one.address, 1).await;
    let found = look(&format!("redis+sentinel://{}/p", alone.address)).await;
    let primary = found.iter().find(|(node, _)| *node == one.address.to_string()).unwrap().1.clone().unwrap_err();
    assert!(primary.message.contains("0 replicas") && primary.code == codes::LEDGER_REPLICAS_MISSING, "{primary}");
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
