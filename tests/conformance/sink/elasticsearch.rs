//! Elasticsearch, at the address of PACELINE_SINK_URL; each case has indices and templates of its own. Then what only Elasticsearch can
//! refuse: payloads that its mappings do not take.

use async_trait::async_trait;
use elasticsearch::http::transport::Transport;
use elasticsearch::indices::{IndicesDeleteIndexTemplateParts, IndicesDeleteParts, IndicesGetParts};
use elasticsearch::{Elasticsearch, SearchParts};
use paceline_adapters::elasticsearch::{ElasticConfig, ElasticSink};
use paceline_core::clock::SystemClock;
use paceline_core::document::{Document, Status};
use paceline_core::ids::RunId;
use paceline_core::ports::documents::Verdict;
use paceline_core::ports::sink::Payloads;
use paceline_core::ports::{DocumentReader as _, DocumentWriter as _, Sink};
use paceline_core::testkit::sink::{SinkHarness, documents, new_run};
use serde_json::{Map, Value, json};

struct Namespace {
    config: ElasticConfig,
    sink: ElasticSink,
}

fn url() -> String {
    std::env::var("PACELINE_SINK_URL").unwrap_or_else(|_| {
        panic!("PACELINE_SINK_URL is not set: run `make test`, or eval \"$(infra/local/stack up)\" first")
    })
}

/// Any node, where the URL names a cluster.
fn node(url: &str) -> String {
    paceline_core::nodes::node_urls(url).remove(0)
}

fn connect(config: &ElasticConfig) -> ElasticSink {
    ElasticSink::connect(config.clone(), SystemClock::shared()).expect("the config is usable")
}

async fn open() -> Namespace {
    open_with(Payloads::Searchable).await
}

async fn open_with(payloads: Payloads) -> Namespace {
    let namespace = format!("test-{}", new_run());
    let config = ElasticConfig { url: url(), namespace, ca_file: None, payloads };
    let sink = connect(&config);
    sink.prepare().await.expect("prepare answers");
    Namespace { config, sink }
}

#[async_trait]
impl SinkHarness for Namespace {
    fn sink(&self) -> Sink {
        Sink::of(self.sink.clone())
    }

    async fn reopen(&mut self) {
        self.sink = connect(&self.config);
    }

    async fn close(self) {
        let client = Elasticsearch::new(Transport::single_node(&node(&self.config.url)).expect("a url"));
        let namespace = self.config.namespace;
        // By name: a cluster may refuse to delete by a pattern.
        let pattern = format!("{namespace}-jobs-*,{namespace}-runs*");
        let indices = client.indices();
        let found = indices.get(IndicesGetParts::Index(&[&pattern])).filter_path(&["*.aliases"]).send().await;
        let found: Map<String, Value> = found.expect("an answer").json().await.expect("a list");
        let names: Vec<&str> = found.keys().map(String::as_str).collect();
        if !names.is_empty() {
            let deleted = indices.delete(IndicesDeleteParts::Index(&names)).send().await.expect("an answer");
            assert!(deleted.status_code().is_success(), "{names:?} are deleted");
        }
        for template in [namespace.clone(), format!("{namespace}:runs")] {
            let parts = IndicesDeleteIndexTemplateParts::Name(&template);
            let deleted = indices.delete_index_template(parts).send().await.expect("an answer");
            assert!(deleted.status_code().is_success(), "the template {template} is deleted");
        }
    }
}

paceline_core::sink_conformance!(open);

mod stored {
    use super::*;

    async fn open() -> Namespace {
        open_with(Payloads::Stored).await
    }

    paceline_core::sink_conformance!(open);
}

/// Payloads that flattened fields refuse: a key with a zero byte, and a term that is too long for the key alone.
fn refused_when_searchable(run: &RunId) -> Vec<Document> {
    let mut batch = documents(run, 0..2);
    batch[0].payload.insert("a\0b".into(), Value::Bool(true));
    batch[1].payload.insert("k".repeat(40_000), Value::Bool(true));
    batch
}

#[tokio::test]
async fn what_is_refused_when_searchable_is_kept_when_only_stored() {
    let (searchable, stored) = (open().await, open_with(Payloads::Stored).await);
    let batch = refused_when_searchable(&new_run());
    let verdicts = searchable.sink.upsert(&batch).await.expect("the sink answers");
    assert!(verdicts.iter().all(|verdict| matches!(verdict, Verdict::Reject { .. })), "{verdicts:?}");
    let verdicts = stored.sink.upsert(&batch).await.expect("the sink answers");
    assert_eq!(verdicts, [const { Verdict::Stored }; 2]);
    for document in &batch {
        let kept = stored.sink.get(&document.run_id, &document.job_id).await.expect("the sink answers");
        assert_eq!(kept.as_ref(), Some(document));
    }
    searchable.close().await;
    stored.close().await;
}

/// Both ways, because either may be the older one.
#[tokio::test]
async fn a_change_of_the_setting_loses_nothing_and_is_named() {
    for (before, now) in [(Payloads::Searchable, Payloads::Stored), (Payloads::Stored, Payloads::Searchable)] {
        let namespace = open_with(before).await;
        // Runs of two days, so two indices.
        let (old, young) = (new_run(), RunId::generate(1_760_000_000_000));
        assert_eq!(namespace.sink.upsert(&documents(&old, 0..3)).await.unwrap(), [const { Verdict::Stored }; 3]);
        assert!(!namespace.sink.check().await.unwrap().contains("payloads"));

        let changed = connect(&ElasticConfig { payloads: now, ..namespace.config.clone() });
        let told = changed.check().await.unwrap();
        let words = format!("keeps payloads {}, the settings say {}", before.name(), now.name());
        assert!(told.contains(&words) && told.contains("PACELINE_SINK_PAYLOAD"), "{told}");
        changed.prepare().await.expect("an index of the other way stays as it is");
        for run in [&old, &young] {
            assert_eq!(changed.upsert(&documents(run, 3..6)).await.unwrap(), [const { Verdict::Stored }; 3]);
        }
        assert_eq!(changed.count(&old, Status::Completed).await.unwrap(), 6);
        let told = changed.check().await.unwrap();
        let old_index = format!("{}-jobs-2025.06.15 keep payloads {}", namespace.config.namespace, before.name());
        assert!(told.contains(&old_index) && !told.contains("the settings say"), "{told}");
        // The younger index follows the setting of now: only there is the one taken that the other refuses.
        let verdicts = changed.upsert(&refused_when_searchable(&young)).await.unwrap();
        let are_taken = verdicts.iter().all(|verdict| *verdict == Verdict::Stored);
        assert_eq!(are_taken, now == Payloads::Stored, "{verdicts:?}");
        namespace.close().await;
    }
}

/// Flattened fields refuse a key with a zero byte, so this is Elasticsearch's own verdict on one of three.
#[tokio::test]
async fn what_elasticsearch_refuses_has_its_own_reason() {
    let namespace = open().await;
    let mut batch = documents(&new_run(), 0..3);
    batch[1].payload.insert("a\0b".into(), Value::Bool(true));
    let verdicts = namespace.sink.upsert(&batch).await.expect("the sink answers");
    assert!(matches!(&verdicts[1], Verdict::Reject { reason } if reason.contains("[payload]")), "{verdicts:?}");
    assert_eq!([&verdicts[0], &verdicts[2]], [&Verdict::Stored; 2]);
    namespace.close().await;
}

#[tokio::test]
async fn fields_of_a_payload_can_be_searched_for() {
    let namespace = open().await;
    let run = new_run();
    let batch = documents(&run, 0..20);
    namespace.sink.upsert(&batch).await.expect("the sink answers");
    // Makes them visible.
    assert_eq!(namespace.sink.count(&run, Status::Completed).await.expect("count answers"), 20);

    let client = Elasticsearch::new(Transport::single_node(&node(&namespace.config.url)).expect("a url"));
    let pattern = format!("{}-jobs-*", namespace.config.namespace);
    let query = json!({ "query": { "term": { "payload.number": "7" } } });
    let found = client.search(SearchParts::Index(&[&pattern])).body(query).send().await.expect("an answer");
    let found: Value = found.json().await.expect("a page");
    assert_eq!(found["hits"]["hits"][0]["_id"], batch[7].job_id.as_str(), "{found}");
    namespace.close().await;
}
