//! Bad input gets a clear error with field details, and nothing is half done.

use paceline_proto::v1::{GetRunRequest, ListRunsRequest, RunState, StartRunRequest, UpdateRunRequest};
use paceline_tests::client::numbers;
use paceline_tests::mesh::WorkerOptions;
use paceline_tests::{Backend, Client, Mesh};
use prost_types::value::Kind;
use prost_types::{Struct, Value};
use tonic::Code;
use tonic_types::StatusExt as _;

both!(
    bad_requests_start_nothing,
    the_same_request_id_starts_one_run,
    what_has_ended_cannot_be_changed,
    lists_are_paged_newest_first
);

fn good() -> StartRunRequest {
    StartRunRequest { jobs: 1_000, per_minutes: 1.0, ..Default::default() }
}

fn payload(key: &str, text: String) -> Option<Struct> {
    let value = Value { kind: Some(Kind::StringValue(text)) };
    Some(Struct { fields: [(key.to_owned(), value)].into() })
}

async fn bad_requests_start_nothing(backend: Backend) {
    let mesh = Mesh::new(backend).await;
    let scheduler = mesh.scheduler(&[]).await;
    let mut client = Client::of(&scheduler).await;
    let cases = [
        (StartRunRequest { jobs: 0, ..good() }, "jobs"),
        (StartRunRequest { jobs: u64::MAX, ..good() }, "jobs"),
        (StartRunRequest { per_minutes: 0.0, ..good() }, "per_minutes"),
        (StartRunRequest { per_minutes: -1.0, ..good() }, "per_minutes"),
        (StartRunRequest { per_minutes: f64::NAN, ..good() }, "per_minutes"),
        (StartRunRequest { per_minutes: f64::INFINITY, ..good() }, "per_minutes"),
        (StartRunRequest { total: Some(0), ..good() }, "total"),
        (StartRunRequest { queue: "nope".into(), ..good() }, "queue"),
        (StartRunRequest { handler: "nope".into(), ..good() }, "handler"),
        (StartRunRequest { payload: payload("text", "x".repeat(256 * 1024)), ..good() }, "payload"),
        (StartRunRequest { payload: payload("jobId", "mine".into()), ..good() }, "payload.jobId"),
        (StartRunRequest { request_id: "x".repeat(1_000), ..good() }, "request_id"),
    ];
    for (request, field) in cases {
        let refused = client.0.start_run(request).await.expect_err(field);
        assert_eq!(refused.code(), Code::InvalidArgument, "{field}");
        let details = refused.get_error_details();
        let fields: Vec<_> =
            details.bad_request().expect("field details").field_violations.iter().map(|v| v.field.clone()).collect();
        assert_eq!(fields, [field]);
    }
    let all_wrong = StartRunRequest { queue: "nope".into(), handler: "nope".into(), ..Default::default() };
    let refused = client.0.start_run(all_wrong).await.expect_err("everything is wrong");
    assert_eq!(
        refused.get_error_details().bad_request().expect("field details").field_violations.len(),
        4,
        "jobs, per_minutes, queue and handler at once"
    );

    let unknown =
        client.0.get_run(GetRunRequest { run_id: "01h00000000000000000000000".into() }).await.expect_err("no such run");
    assert_eq!(unknown.code(), Code::NotFound);
    let nonsense = client.0.get_run(GetRunRequest { run_id: "NO/SUCH".into() }).await.expect_err("not even an id");
    assert_eq!(nonsense.code(), Code::InvalidArgument);
    let listed = client.0.list_runs(ListRunsRequest::default()).await.expect("a list").into_inner();
    assert_eq!(listed.runs, [], "nothing was started");
    scheduler.stop().await;
}

async fn the_same_request_id_starts_one_run(backend: Backend) {
    let mesh = Mesh::new(backend).await;
    let scheduler = mesh.scheduler(&[]).await;
    let mut client = Client::of(&scheduler).await;
    let request = StartRunRequest { request_id: "order-1".into(), ..good() };
    let first = client.start_with(request.clone()).await.run_id;
    assert_eq!(client.start_with(request.clone()).await.run_id, first);
    let other = mesh.scheduler(&[]).await;
    assert_eq!(Client::of(&other).await.start_with(request).await.run_id, first, "also at another scheduler");
    let listed = client.0.list_runs(ListRunsRequest::default()).await.expect("a list").into_inner();
    assert_eq!(listed.runs.len(), 1);
    other.stop().await;
    scheduler.stop().await;
}

async fn what_has_ended_cannot_be_changed(backend: Backend) {
    let mesh = Mesh::new(backend).await;
    let scheduler = mesh.scheduler(&[]).await;
    let worker = mesh.worker(WorkerOptions::default()).await;
    let mut client = Client::of(&scheduler).await;
    let run = client.start(60_000, None).await;
    client.until(&run, "a job", |run| numbers(run).enqueued >= 1).await;
    client.stop(&run).await;
    assert_eq!(client.until_ended(&run).await.state(), RunState::Stopped);

    let update = UpdateRunRequest { run_id: run.clone(), jobs: Some(5), per_minutes: Some(1.0), total: None };
    let refused = client.0.update_run(update).await.expect_err("it is stopped");
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(refused.message().contains("STOPPED"), "{refused:?}");
    let half = UpdateRunRequest { run_id: run.clone(), jobs: Some(5), ..Default::default() };
    assert_eq!(client.0.update_run(half).await.expect_err("Y is missing").code(), Code::InvalidArgument);
    let nothing = UpdateRunRequest { run_id: run.clone(), ..Default::default() };
    assert_eq!(client.0.update_run(nothing).await.expect_err("nothing to do").code(), Code::InvalidArgument);
    assert_eq!(client.stop(&run).await.state(), RunState::Stopped, "stopping twice is a success");
    worker.stop().await;
    scheduler.stop().await;
}

async fn lists_are_paged_newest_first(backend: Backend) {
    let mesh = Mesh::new(backend).await;
    let scheduler = mesh.scheduler(&[]).await;
    let mut client = Client::of(&scheduler).await;
    let mut started = Vec::new();
    for _ in 0..5 {
        started.push(client.start(1, None).await);
    }
    started.sort();
    started.reverse();
    let mut seen = Vec::new();
    let mut page_token = String::new();
    loop {
        let page = client.0.list_runs(ListRunsRequest { page_size: 2, page_token }).await.expect("a page").into_inner();
        seen.extend(page.runs.into_iter().map(|run| run.run_id));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(seen, started);
    scheduler.stop().await;
}
