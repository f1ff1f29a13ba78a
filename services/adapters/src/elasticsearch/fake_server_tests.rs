//! The sink on answers that a healthy Elasticsearch does not give.

use std::net::TcpListener;
use std::time::Duration;

use paceline_core::document::Status;
use paceline_core::ports::documents::{StoredId, Verdict};
use paceline_core::ports::sink::Payloads;
use paceline_core::ports::{DocumentReader, DocumentWriter, KeptRuns};
use paceline_core::testkit::sink::{documents, kept_run, new_run};
use paceline_core::{Error, ErrorKind};
use serde_json::{Value, json};

use super::fake_answers::{failed, items, refusal, stored, three};
use super::fake_server::Answer::{self, HangUp, Say, Silence};
use super::fake_server::{FakeServer, connect};
use super::payloads;

async fn verdicts(answer: Answer) -> Vec<Verdict> {
    FakeServer::answering(vec![answer]).sink().upsert(&three()).await.unwrap()
}

async fn error(answer: Answer) -> Error {
    let error = FakeServer::answering(vec![answer]).sink().upsert(&three()).await.unwrap_err();
    assert!(!error.message.contains("s3cret"), "{error}");
    error
}

#[tokio::test]
async fn an_item_that_is_too_many_is_retried_alone() {
    let answered =
        verdicts(items(&[stored(), failed(429, "es_rejected_execution_exception", "queue full"), stored()])).await;
    assert_eq!([&answered[0], &answered[2]], [&Verdict::Stored; 2]);
    assert!(matches!(&answered[1], Verdict::Retry { reason, .. } if reason.contains("queue full")), "{answered:?}");
}

#[tokio::test]
async fn an_item_whose_shard_is_away_is_retried_alone() {
    let away = failed(503, "unavailable_shards_exception", "primary shard is not active");
    let answered = verdicts(items(&[away, stored(), stored()])).await;
    assert!(matches!(&answered[0], Verdict::Retry { after, .. } if *after > Duration::ZERO), "{answered:?}");
    assert_eq!(answered[1..], [Verdict::Stored, Verdict::Stored]);
}

#[tokio::test]
async fn a_mapping_conflict_is_rejected_with_its_own_reason() {
    let why = "failed to parse field [seq] of type [long]";
    let answered = verdicts(items(&[stored(), stored(), failed(400, "mapper_parsing_exception", why)])).await;
    assert!(matches!(&answered[2], Verdict::Reject { reason } if reason.contains(why)), "{answered:?}");
    assert_eq!(answered[..2], [Verdict::Stored, Verdict::Stored]);
}

#[tokio::test]
async fn a_400_about_the_cluster_kills_no_job() {
    let full =
        failed(400, "validation_exception", "this cluster currently has [1000]/[1000] maximum normal shards open");
    let closed = failed(400, "index_closed_exception", "closed");
    let forbidden = failed(403, "cluster_block_exception", "index read-only");
    for verdict in verdicts(items(&[full, closed, forbidden])).await {
        assert!(matches!(verdict, Verdict::Retry { .. }), "{verdict:?}");
    }
}

#[tokio::test]
async fn only_a_conflict_of_versions_counts_as_stored() {
    let older = failed(409, "version_conflict_engine_exception", "current version [3] is higher");
    let other = failed(409, "snapshot_in_progress_exception", "busy");
    let answered = verdicts(items(&[older, stored(), other])).await;
    assert_eq!(answered[..2], [Verdict::Stored, Verdict::Stored]);
    assert!(matches!(answered[2], Verdict::Retry { .. }), "{answered:?}");
}

#[tokio::test]
async fn a_request_refused_for_load_is_retried_whole() {
    let answered = verdicts(refusal(429, "circuit_breaking_exception", "data too large")).await;
    assert!(answered.iter().all(|verdict| matches!(verdict, Verdict::Retry { .. })), "{answered:?}");
}

#[tokio::test]
async fn a_server_that_cannot_is_unavailable() {
    let error = error(refusal(503, "master_not_discovered_exception", "no master")).await;
    assert_eq!(error.kind, ErrorKind::Unavailable);
    assert!(error.retry_after.is_some() && error.message.contains("no master"), "{error}");
}

#[tokio::test]
async fn refused_credentials_are_named_but_not_shown() {
    let error = error(refusal(401, "security_exception", "unable to authenticate user [elastic]")).await;
    assert_eq!(error.kind, ErrorKind::Unavailable);
    assert!(error.message.contains("credentials"), "{error}");
}

#[tokio::test]
async fn a_stranger_that_says_400_kills_no_job() {
    let error = error(Say(400, "This is not an HTTPS port".into())).await;
    assert_eq!(error.kind, ErrorKind::Unavailable);
    assert!(error.message.contains("not an HTTPS port") && error.message.contains("sink url"), "{error}");
}

#[tokio::test]
async fn an_answer_about_fewer_documents_is_no_answer() {
    let error = error(items(&[stored(), stored()])).await;
    assert_eq!(error.kind, ErrorKind::Unavailable);
    assert!(error.message.contains("2 of 3"), "{error}");
}

#[tokio::test]
async fn a_connection_that_breaks_leaves_it_unknown() {
    assert_eq!(error(HangUp).await.kind, ErrorKind::Unavailable);
}

#[tokio::test]
async fn a_refused_connection_says_what_to_do() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let sink = connect(&format!("http://elastic:s3cret@127.0.0.1:{port}"));
    for error in
        [sink.upsert(&three()).await.unwrap_err(), sink.prepare().await.unwrap_err(), sink.check().await.unwrap_err()]
    {
        assert_eq!(error.kind, ErrorKind::Unavailable);
        let said = &error.message;
        assert!(said.contains(&format!("http://127.0.0.1:{port}")) && said.contains("check that it runs"), "{said}");
        assert!(!said.contains("s3cret") && !said.contains("elastic:"), "{said}");
    }
}

#[tokio::test]
async fn patience_is_bounded() {
    let server = FakeServer::answering(vec![Silence]);
    let sink = server.sink().with_request_timeout(Duration::from_millis(50));
    let error = sink.upsert(&three()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable);
    assert!(error.message.contains("50 ms"), "{error}");
}

#[tokio::test]
async fn a_request_that_is_too_large_is_split_and_the_size_remembered() {
    let too_large = || Say(413, String::new());
    let two = || items(&[stored(), stored()]);
    let server = FakeServer::answering(vec![too_large(), two(), two(), two(), two()]);
    let sink = server.sink();
    let four = documents(&new_run(), 0..4);
    for _ in 0..2 {
        assert_eq!(sink.upsert(&four).await.unwrap(), [const { Verdict::Stored }; 4]);
    }
    let sizes: Vec<usize> = server.seen().iter().map(|seen| seen.body.lines().count() / 2).collect();
    assert_eq!(sizes, [4, 2, 2, 2, 2]);
}

#[tokio::test]
async fn a_document_that_is_too_large_alone_is_rejected() {
    let server = FakeServer::answering(vec![Say(413, String::new())]);
    let verdicts = server.sink().upsert(&three()[..1]).await.unwrap();
    assert!(matches!(&verdicts[0], Verdict::Reject { reason } if reason.contains("413")), "{verdicts:?}");
}

#[tokio::test]
async fn a_document_that_spoils_the_request_is_found() {
    let spoilt = || refusal(400, "illegal_argument_exception", "malformed");
    // All three; the first alone; the others; the second alone; the third alone.
    let one = || items(&[stored()]);
    let server = FakeServer::answering(vec![spoilt(), one(), spoilt(), spoilt(), one()]);
    let verdicts = server.sink().upsert(&three()).await.unwrap();
    assert_eq!([&verdicts[0], &verdicts[2]], [&Verdict::Stored; 2]);
    assert!(matches!(&verdicts[1], Verdict::Reject { reason } if reason.contains("malformed")), "{verdicts:?}");
}

#[tokio::test]
async fn credentials_travel_as_a_header_and_answers_unpacked() {
    let server = FakeServer::answering(vec![items(&[stored(), stored(), stored()])]);
    server.sink().upsert(&three()).await.unwrap();
    let head = server.seen().remove(0).head.to_ascii_lowercase();
    assert!(head.contains("authorization: basic zwxhc3rpyzpzm2nyzxq="), "{head}");
    assert!(
        head.contains("accept-encoding: identity") && head.contains("content-type: application/x-ndjson"),
        "{head}"
    );
    assert!(!head.contains("s3cret"), "{head}");
}

#[tokio::test]
async fn unknown_is_never_zero() {
    let run = new_run();
    let away = || refusal(503, "search_phase_execution_exception", "all shards failed");
    let partly = Say(200, json!({ "_shards": { "total": 2, "successful": 1, "failed": 1 } }).to_string());
    let unreadable =
        Say(200, json!({ "docs": [{ "error": { "type": "no_shard_available_action_exception" } }] }).to_string());
    let partly_too = Say(200, json!({ "_shards": { "total": 2, "successful": 1, "failed": 1 } }).to_string());
    let server = FakeServer::answering(vec![away(), partly, away(), unreadable, partly_too]);
    let sink = server.sink();
    let last = StoredId { job_id: format!("{run}-0"), seq: 0, status: Status::Completed };
    let errors = [
        sink.count(&run, Status::Dead).await.unwrap_err(),
        sink.ids(&run, None, 10).await.unwrap_err(),
        sink.ids(&run, Some(&last), 10).await.unwrap_err(),
        sink.get(&run, &last.job_id).await.unwrap_err(),
        KeptRuns::list(&sink, None, 10).await.unwrap_err(),
    ];
    assert!(errors.iter().all(|error| error.kind == ErrorKind::Unavailable), "{errors:?}");
}

#[tokio::test]
async fn a_run_is_kept_once_its_index_is_prepared_and_a_newer_one_stays() {
    let ok = || Say(200, "{}".into());
    let newer = || refusal(409, "version_conflict_engine_exception", "current version [9] is higher");
    let away = || refusal(503, "unavailable_shards_exception", "primary shard is not active");
    let server = FakeServer::answering(vec![away(), ok(), ok(), newer(), away(), ok()]);
    let (sink, run) = (server.sink(), kept_run(&new_run(), 2, 3));
    let unprepared = sink.keep(&run).await.unwrap_err();
    sink.keep(&run).await.unwrap();
    let refused = sink.keep(&run).await.unwrap_err();
    sink.keep(&run).await.unwrap();
    assert!([unprepared, refused].iter().all(|error| error.kind == ErrorKind::Unavailable));

    let paths: Vec<String> = server
        .seen()
        .iter()
        .map(|seen| seen.head.split(' ').nth(1).unwrap().split('?').next().unwrap().into())
        .collect();
    let document = format!("/paceline-runs/_doc/{}", run.spec.run_id);
    let template = "/_index_template/paceline:runs";
    assert_eq!(paths, [template, template, "/paceline-runs/_mapping", &document, &document, &document]);
}

/// The template is put whatever was there before; the payload of an index that is there is left alone, because Elasticsearch
/// would refuse the whole change.
#[tokio::test]
async fn the_template_follows_the_setting_and_old_indices_keep_their_payload() {
    for (before, now) in [(Payloads::Searchable, Payloads::Stored), (Payloads::Stored, Payloads::Searchable)] {
        let payload = json!({ "properties": { "payload": payloads::mapping(before) } });
        let template = json!({ "index_template": { "template": { "mappings": payload } } });
        let found = Say(200, json!({ "index_templates": [template] }).to_string());
        let ok = || Say(200, "{}".into());
        let server = FakeServer::answering(vec![found, ok(), ok(), ok(), ok()]);
        server.sink_with(now).prepare().await.unwrap();
        let seen = server.seen();
        let body = |number: usize| serde_json::from_str::<Value>(&seen[number].body).unwrap();
        assert_eq!(body(1)["template"]["mappings"]["properties"]["payload"], payloads::mapping(now));
        assert!(seen[2].head.starts_with("PUT /paceline-jobs-*/_mapping"), "{}", seen[2].head);
        assert!(body(2)["properties"]["payload"].is_null() && body(2)["properties"]["jobId"].is_object());
    }
}
