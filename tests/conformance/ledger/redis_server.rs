//! A Redis with other settings than those of the stack, started by the case and ended with it.

use std::net::TcpListener;
use std::process::Stdio;
use std::time::Duration;

use paceline_adapters::redis::{RedisConfig, RedisLedger};
use paceline_core::ErrorKind;
use paceline_core::ports::Mesh as _;
use tokio::process::{Child, Command};

/// The time in which a Redis starts, and a pause between two looks.
const START_MAX: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(50);

struct Server {
    url: String,
    _folder: tempfile::TempDir,
    _process: Child,
}

impl Server {
    fn with(settings: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        // Free a moment ago; nobody else is likely to get it.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = Command::new("redis-server");
        command.args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--save", ""]).args(settings);
        command.current_dir(folder.path()).stdout(Stdio::null()).kill_on_drop(true);
        let process = command.spawn().expect("redis-server is installed: run `infra/local/stack install`");
        Self { url: format!("redis://127.0.0.1:{port}"), _folder: folder, _process: process }
    }

    async fn ledger(&self) -> RedisLedger {
        let config = RedisConfig { url: self.url.clone(), namespace: "test".into(), ca_file: None };
        let connecting = async {
            loop {
                match RedisLedger::connect(config.clone()).await {
                    Ok(ledger) => return ledger,
                    Err(error) if error.kind == ErrorKind::Unavailable => tokio::time::sleep(POLL).await,
                    Err(error) => panic!("{error}"),
                }
            }
        };
        tokio::time::timeout(START_MAX, connecting).await.expect("redis-server starts")
    }
}

/// Keys that are evicted would take counts with them.
#[tokio::test]
async fn a_redis_that_may_evict_keys_is_refused_until_it_may_not() {
    let server = Server::with(&["--maxmemory", "64mb", "--maxmemory-policy", "allkeys-lru"]);
    let ledger = server.ledger().await;
    let refused = ledger.check().await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::FailedPrecondition);
    assert!(refused.message.contains("maxmemory-policy is allkeys-lru"), "{refused}");

    let client = ::redis::Client::open(server.url.as_str()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let mut set = ::redis::cmd("CONFIG");
    set.arg("SET").arg("maxmemory-policy").arg("noeviction").exec_async(&mut connection).await.unwrap();
    let words = ledger.check().await.expect("it evicts nothing");
    assert!(words.contains("appendonly yes"), "it still may lose what it has not saved: {words}");
}
