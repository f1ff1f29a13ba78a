//! The sink on several nodes, some of which are away, silent or of another cluster.

use std::net::TcpListener;
use std::time::Duration;

use paceline_core::ports::DocumentWriter as _;
use paceline_core::ports::documents::Verdict;
use paceline_core::{Error, ErrorKind};
use serde_json::json;

use super::fake_answers::{items, refusal, stored, three};
use super::fake_server::Answer::{Say, Silence};
use super::fake_server::{FakeServer, connect};

#[tokio::test]
async fn a_node_that_is_away_costs_no_call() {
    let away = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let all = || items(&[stored(), stored(), stored()]);
    let server = FakeServer::answering(vec![all(), all(), all()]);
    let sink = connect(&format!("http://{away},{}", server.address()));
    for _ in 0..3 {
        assert_eq!(sink.upsert(&three()).await.unwrap(), [const { Verdict::Stored }; 3]);
    }
}

#[tokio::test]
async fn a_silent_node_costs_one_call_its_time_and_is_named() {
    // Ready to be silent again, should anybody ask.
    let silent = FakeServer::answering(vec![Silence, Silence, Silence]);
    let all = || items(&[stored(), stored(), stored()]);
    let server = FakeServer::answering(vec![all(), all(), all(), all()]);
    let sink = connect(&format!("http://u:s3cret@{},{}", silent.address(), server.address()))
        .with_request_timeout(Duration::from_millis(200));
    let mut errors = Vec::new();
    for _ in 0..5 {
        errors.extend(sink.upsert(&three()).await.err());
    }
    assert_eq!(errors.len(), 1, "{errors:?}");
    let said = &errors[0].message;
    assert!(
        said.contains(&silent.address()) && !said.contains(&server.address()) && !said.contains("s3cret"),
        "{said}"
    );
}

#[tokio::test]
async fn a_node_that_has_lost_its_cluster_is_left_out() {
    let no_master = || refusal(503, "master_not_discovered_exception", "no master");
    let alone = FakeServer::answering(vec![no_master(), no_master(), no_master()]);
    let all = || items(&[stored(), stored(), stored()]);
    let server = FakeServer::answering(vec![all(), all(), all(), all()]);
    let sink = connect(&format!("http://{},{}", alone.address(), server.address()));
    let mut errors = Vec::new();
    for _ in 0..5 {
        errors.extend(sink.upsert(&three()).await.err());
    }
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(errors[0].message.contains(&alone.address()), "{}", errors[0]);
}

#[tokio::test]
async fn nodes_of_two_clusters_are_none_that_one_url_may_name() {
    let node = |cluster: &str| {
        let version = json!({ "nodes": { "n": { "version": "8.19.0" } } });
        let cluster = json!({ "cluster_uuid": cluster });
        FakeServer::answering(vec![Say(200, version.to_string()), Say(200, cluster.to_string())])
    };
    let nodes = [node("one"), node("one"), node("other")];
    let addresses = nodes.each_ref().map(FakeServer::address);
    let found = connect(&format!("http://{}", addresses.join(","))).look().await;
    let wrong: Vec<_> = found.iter().filter_map(|(_, node)| node.as_ref().err()).collect();
    // Addresses are looked at in their order, and ports are in any.
    assert!(!wrong.is_empty() && wrong.len() < 3, "{found:?}");
    let names = |error: &&Error| error.message.contains("cluster one") && error.message.contains("cluster other");
    assert!(wrong.iter().all(names) && wrong[0].kind == ErrorKind::FailedPrecondition, "{wrong:?}");
}
