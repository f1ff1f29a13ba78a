//! The ledger's conformance suite over both adapters. `embedded` always runs; `redis` runs with the feature `services`, against
//! the server of PACELINE_LEDGER_URL, each case in a namespace of its own.

use std::sync::Arc;

use async_trait::async_trait;
use paceline_core::ports::Ledger;
use paceline_core::testkit::ledger::Harness;

mod embedded {
    use std::sync::{Mutex, Weak};
    use std::time::Duration;

    use paceline_adapters::embedded::ledger::EmbeddedLedger;
    use paceline_core::ErrorKind;
    use paceline_core::clock::SystemClock;

    use super::*;

    /// A folder has one process and so one ledger: further handles are the same one.
    struct Folder {
        folder: tempfile::TempDir,
        current: Mutex<Weak<dyn Ledger>>,
    }

    fn harness(_case: &str) -> Folder {
        Folder { folder: tempfile::tempdir().unwrap(), current: Mutex::new(Weak::<EmbeddedLedger>::new()) }
    }

    #[async_trait]
    impl Harness for Folder {
        async fn open(&self) -> Arc<dyn Ledger> {
            let current = self.current.lock().unwrap().upgrade();
            if let Some(ledger) = current {
                return ledger;
            }
            let ledger =
                tokio::time::timeout(Duration::from_secs(10), self.reopen()).await.expect("the folder is free again");
            *self.current.lock().unwrap() = Arc::downgrade(&ledger);
            ledger
        }
    }

    impl Folder {
        /// The threads of a dropped ledger let go of the folder a moment later.
        async fn reopen(&self) -> Arc<dyn Ledger> {
            loop {
                match EmbeddedLedger::open(self.folder.path(), SystemClock::shared()) {
                    Ok(ledger) => return Arc::new(ledger),
                    Err(error) if error.kind == ErrorKind::FailedPrecondition => tokio::task::yield_now().await,
                    Err(error) => panic!("{error}"),
                }
            }
        }
    }

    paceline_core::ledger_conformance!(harness);
}

#[cfg(feature = "services")]
mod redis {
    use paceline_adapters::redis::{RedisConfig, RedisLedger};
    use paceline_core::groups::Groups;
    use paceline_core::ids::RunId;
    use paceline_core::pacing::{CatchUp, Rate};
    use paceline_core::ports::ledger::{Created, RunChange};
    use paceline_core::run::{RunSpec, RunState};

    use super::*;

    struct Namespace(RedisConfig);

    fn harness(_case: &str) -> Namespace {
        let url = std::env::var("PACELINE_LEDGER_URL");
        let url = url.expect("PACELINE_LEDGER_URL is not set: run `make test`, or eval \"$(infra/local/stack up)\"");
        let namespace = format!("test-{}", RunId::generate(0));
        Namespace(RedisConfig { url, namespace, ca_file: None })
    }

    #[async_trait]
    impl Harness for Namespace {
        async fn open(&self) -> Arc<dyn Ledger> {
            Arc::new(RedisLedger::connect(self.0.clone()).await.unwrap())
        }
    }

    paceline_core::ledger_conformance!(harness);

    // === What only Redis can get wrong: a step over several keys that stopped half way ===

    fn spec() -> RunSpec {
        RunSpec {
            run_id: RunId::generate(1_700_000_000_000),
            rate: Rate { jobs: 1, per_ns: 1_000_000_000 },
            total: None,
            queue: "default".into(),
            groups: Groups::default(),
            handler: "record".into(),
            payload: serde_json::Map::new(),
            catch_up: CatchUp::All,
            created_at_ms: 1_700_000_000_000,
        }
    }

    /// Runs one command in the namespace, as a process that then died.
    async fn command(namespace: &Namespace, name: &str, key: &str, value: impl std::fmt::Display) {
        let client = ::redis::Client::open(namespace.0.url.as_str()).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        let key = format!("{}:{key}", namespace.0.namespace);
        ::redis::cmd(name).arg(key).arg(value.to_string()).exec_async(&mut connection).await.unwrap();
    }

    #[tokio::test]
    async fn a_request_that_stopped_half_way_is_completed_by_its_repeat() {
        let namespace = harness("");
        let claimed = spec().run_id;
        command(&namespace, "SET", "request:r1", &claimed).await;
        let ledger = namespace.open().await;
        assert_eq!(ledger.create_run(&spec(), "r1").await.unwrap(), Created::Existing(claimed.clone()));
        assert_eq!(ledger.run(&claimed).await.unwrap().unwrap().spec.run_id, claimed);
        assert_eq!(ledger.run_ids(None, 9).await.unwrap(), std::slice::from_ref(&claimed));
        assert_eq!(ledger.active_run_ids().await.unwrap(), [claimed]);
    }

    #[tokio::test]
    async fn a_run_that_ended_but_stayed_listed_is_not_active() {
        let namespace = harness("");
        let (ledger, spec) = (namespace.open().await, spec());
        ledger.create_run(&spec, "").await.unwrap();
        let current = ledger.run(&spec.run_id).await.unwrap().unwrap();
        let failed = RunChange { expected_revision: current.revision, spec: current.spec, state: RunState::Failed };
        ledger.change_run(&spec.run_id, &failed).await.unwrap();
        command(&namespace, "SADD", "active", &spec.run_id).await;
        command(&namespace, "ZREM", "unkept", format!("{}#1", spec.run_id)).await;
        assert_eq!(ledger.unkept_run_ids(None, 9).await.unwrap(), []);
        assert_eq!(ledger.active_run_ids().await.unwrap(), []);
        assert_eq!(ledger.unkept_run_ids(None, 9).await.unwrap(), [spec.run_id], "its end is not forgotten");
    }

    #[tokio::test]
    async fn an_end_that_stayed_listed_is_dropped_when_the_run_goes_on_or_is_gone() {
        let namespace = harness("");
        let (ledger, going, other) = (namespace.open().await, spec(), spec());
        for spec in [&going, &other] {
            ledger.create_run(spec, "").await.unwrap();
            command(&namespace, "SREM", "active", &spec.run_id).await;
        }
        for end in [format!("{}#3", going.run_id), format!("{}#1", spec().run_id)] {
            let client = ::redis::Client::open(namespace.0.url.as_str()).unwrap();
            let mut connection = client.get_multiplexed_async_connection().await.unwrap();
            let key = format!("{}:unkept", namespace.0.namespace);
            ::redis::cmd("ZADD").arg(key).arg(0).arg(end).exec_async(&mut connection).await.unwrap();
        }
        assert_eq!(ledger.unkept_run_ids(None, 1).await.unwrap(), [], "neither has this end");
        assert_eq!(ledger.active_run_ids().await.unwrap(), [going.run_id], "what goes on has to be owned");
    }
}
