//! Redis, at the address of PACELINE_LEDGER_URL; each case has a namespace of its own. Then what only Redis can get wrong: a step over
//! several keys that stopped half way.

use async_trait::async_trait;
use paceline_adapters::redis::{RedisConfig, RedisLedger};
use paceline_core::ids::RunId;
use paceline_core::ports::Ledger;
use paceline_core::ports::runs::Created;
use paceline_core::run::{RunChange, RunRecord, RunSpec, RunState};
use paceline_core::testkit::ledger::LedgerHarness;

use super::{completed, spec};

struct Namespace(RedisConfig);

fn harness(_case: &str) -> Namespace {
    let url = std::env::var("PACELINE_LEDGER_URL");
    let url = url.expect("PACELINE_LEDGER_URL is not set: run `make test`, or eval \"$(infra/local/stack up)\"");
    let namespace = format!("test-{}", RunId::generate(0));
    Namespace(RedisConfig { url, namespace, ca_file: None })
}

#[async_trait]
impl LedgerHarness for Namespace {
    async fn open(&self) -> Ledger {
        Ledger::of(RedisLedger::connect(self.0.clone()).await.unwrap())
    }
}

paceline_core::ledger_conformance!(harness);

/// Runs one command in the namespace, as a process that then died.
async fn command(namespace: &Namespace, name: &str, key: &str, value: impl std::fmt::Display) {
    commands(namespace, name, key, &[value.to_string()]).await;
}

/// Of a cluster, the server that its first sentinel names.
async fn primary(url: &str) -> String {
    let node = paceline_core::nodes::node_urls(url).remove(0);
    let Some((scheme, rest)) = node.split_once("+sentinel://") else { return node };
    let (sentinel, name) = rest.split_once('/').unwrap();
    let client = ::redis::Client::open(format!("{scheme}://{sentinel}")).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let mut ask = ::redis::cmd("SENTINEL");
    ask.arg("GET-MASTER-ADDR-BY-NAME").arg(name);
    let (host, port): (String, u16) = ask.query_async(&mut connection).await.unwrap();
    format!("{scheme}://{host}:{port}")
}

async fn commands(namespace: &Namespace, name: &str, key: &str, values: &[String]) {
    let client = ::redis::Client::open(primary(&namespace.0.url).await).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let key = format!("{}:{key}", namespace.0.namespace);
    ::redis::cmd(name).arg(key).arg(values).exec_async(&mut connection).await.unwrap();
}

/// A caller's change of the state alone.
async fn become_state(ledger: &Ledger, run: &RunId, state: RunState) -> RunRecord {
    let RunRecord { spec, revision, .. } = ledger.runs.find(run).await.unwrap().unwrap();
    ledger.runs.change(run, &RunChange { expected_revision: revision, spec, state }).await.unwrap()
}

#[tokio::test]
async fn a_request_that_stopped_half_way_is_completed_by_its_repeat() {
    let namespace = harness("");
    let claimed = spec().run_id;
    command(&namespace, "SET", "request:r1", &claimed).await;
    let ledger = namespace.open().await;
    assert_eq!(ledger.runs.create(&spec(), "r1").await.unwrap(), Created::Existing(claimed.clone()));
    assert_eq!(ledger.runs.find(&claimed).await.unwrap().unwrap().spec.run_id, claimed);
    assert_eq!(ledger.runs.list(None, 9).await.unwrap(), std::slice::from_ref(&claimed));
    assert_eq!(ledger.runs.active().await.unwrap(), [claimed]);
}

#[tokio::test]
async fn a_run_that_ended_but_stayed_listed_is_not_active() {
    let namespace = harness("");
    let (ledger, spec) = (namespace.open().await, spec());
    ledger.runs.create(&spec, "").await.unwrap();
    become_state(&ledger, &spec.run_id, RunState::Failed).await;
    assert_eq!(ledger.runs.unkept(None, 9).await.unwrap(), std::slice::from_ref(&spec.run_id));
    command(&namespace, "SADD", "active", &spec.run_id).await;
    command(&namespace, "ZREM", "unkept", format!("{}#1", spec.run_id)).await;
    assert_eq!(ledger.runs.unkept(None, 9).await.unwrap(), []);
    assert_eq!(ledger.runs.active().await.unwrap(), []);
    assert_eq!(ledger.runs.unkept(None, 9).await.unwrap(), [spec.run_id], "its end is not forgotten");
}

#[tokio::test]
async fn an_end_that_stayed_listed_is_none_when_the_run_goes_on_or_is_gone() {
    let namespace = harness("");
    let (ledger, going, other) = (namespace.open().await, spec(), spec());
    for spec in [&going, &other] {
        ledger.runs.create(spec, "").await.unwrap();
        command(&namespace, "SREM", "active", &spec.run_id).await;
    }
    for end in [format!("{}#3", going.run_id), format!("{}#1", spec().run_id)] {
        commands(&namespace, "ZADD", "unkept", &["0".into(), end]).await;
    }
    assert_eq!(ledger.runs.unkept(None, 1).await.unwrap(), [], "neither has this end");
    assert_eq!(ledger.runs.active().await.unwrap(), [going.run_id], "what goes on has to be owned");
}

/// The scheduler that retires it may be late with each step, and die before it looks if the run went on.
#[tokio::test]
async fn a_run_that_went_on_while_it_was_retired_is_found_however_late_that_is() {
    let namespace = harness("");
    let (ledger, run) = (namespace.open().await, spec().run_id);
    ledger.runs.create(&RunSpec { run_id: run.clone(), ..spec() }, "").await.unwrap();
    let failed = become_state(&ledger, &run, RunState::Failed).await;
    // The step of its end that came too late, as often as one may come.
    let take_off = async || command(&namespace, "SREM", "active", &run).await;
    let look = async || assert_eq!(ledger.runs.unkept(None, 9).await.unwrap(), []);
    become_state(&ledger, &run, RunState::Running).await;
    look().await;
    for _ in 0..2 {
        take_off().await;
        look().await;
        assert_eq!(ledger.runs.active().await.unwrap(), std::slice::from_ref(&run));
    }
    // And one who kept that end meanwhile is done with it.
    ledger.runs.note_kept(&run, failed.revision).await.unwrap();
    take_off().await;
    look().await;
    assert_eq!(ledger.runs.active().await.unwrap(), std::slice::from_ref(&run));

    // Its next end takes the place of the first, also if whoever made it dies at once.
    let again = become_state(&ledger, &run, RunState::Failed).await;
    command(&namespace, "ZREM", "unkept", format!("{run}#{}", again.revision)).await;
    ledger.runs.unkept(None, 9).await.unwrap();
    assert_eq!(ledger.runs.unkept(None, 9).await.unwrap(), std::slice::from_ref(&run));
    ledger.runs.note_kept(&run, again.revision).await.unwrap();
    look().await;
    assert_eq!(ledger.runs.active().await.unwrap(), []);
}

#[tokio::test]
async fn ends_from_before_they_were_listed_are_unkept_once() {
    let namespace = harness("");
    let ledger = namespace.open().await;
    let ended = completed(&ledger).await;
    ledger.runs.create(&spec(), "").await.unwrap();
    for key in ["unkept", "unkept-is-whole"] {
        commands(&namespace, "DEL", key, &[]).await;
    }
    let (ledger, run) = (namespace.open().await, ended.spec.run_id);
    assert_eq!(ledger.runs.unkept(None, 9).await.unwrap(), std::slice::from_ref(&run));
    ledger.runs.note_kept(&run, ended.revision).await.unwrap();
    assert_eq!(namespace.open().await.runs.unkept(None, 9).await.unwrap(), []);
}
