//! The trace of a job, from StartRun to its ack, as a receiver of OTLP sees it.

use std::sync::Arc;

use async_trait::async_trait;
use opentelemetry_proto::tonic::trace::v1::Span;
use paceline_core::ids::{DEFAULT_GROUP, DEFAULT_QUEUE, RunId};
use paceline_core::job::{Job, Range};
use paceline_core::outcome::Outcome;
use paceline_core::policy::Policy;
use paceline_core::ports::RangePublisher as _;
use paceline_core::seam::{Faults, Seam};
use paceline_core::trace::{Sampling, SpanId, TraceContext, TraceId};
use paceline_proto::v1::StartRunRequest;
use paceline_runtime::telemetry::traces::Choice;
use paceline_tests::client::numbers;
use paceline_tests::mesh::WorkerOptions;
use paceline_tests::receiver::{Receiver, attribute, names};
use paceline_tests::{Backend, Client, Mesh};
use paceline_worker::{Handler, Handlers, JobContext};
use tonic::Request;

use crate::support::documents;

both!(
    a_plain_job_is_one_tree_from_reservation_to_ack,
    a_retried_and_a_dead_job_show_each_attempt_and_why,
    a_job_that_was_not_chosen_and_dies_is_traced_whole,
    a_worker_that_dies_between_sink_and_ledger_leaves_its_part,
    a_range_that_is_published_twice_and_a_healed_job_continue_their_traces,
    a_receiver_that_is_away_and_a_hostile_context_change_nothing,
);

const PLAIN: [&str; 8] =
    ["job", "reserve", "publish default", "wait in queue", "process default", "store", "count", "ack"];
const STARTED_BY: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// Traces are recorded, all of a slow run.
async fn traced(backend: Backend) -> (Mesh, Receiver) {
    let (mut mesh, receiver) = (Mesh::new(backend).await, Receiver::start().await);
    mesh.trace_to(&format!("http://{}", receiver.address), Choice::default()).await;
    (mesh, receiver)
}

fn trace(run: &str, seq: u64) -> TraceId {
    TraceId::of_job(&format!("{run}-{seq}"))
}

fn named<'a>(spans: &'a [Span], name: &str) -> Vec<&'a Span> {
    spans.iter().filter(|span| span.name == name).collect()
}

fn has(spans: &[Span], name: &str, count: usize) -> bool {
    named(spans, name).len() == count
}

/// Everything hangs on the job's root, and nothing ends before it begins.
fn assert_tree(run: &str, seq: u64, spans: &[Span]) {
    let root = SpanId::of_root(&format!("{run}-{seq}"), DEFAULT_GROUP).0.to_be_bytes();
    let roots = named(spans, "job");
    assert!(roots.len() == 1 && roots[0].span_id == root && roots[0].parent_span_id.is_empty(), "{roots:?}");
    for span in spans.iter().filter(|span| span.name != "job") {
        assert_eq!(span.parent_span_id, root, "{}", span.name);
        assert!(span.end_time_unix_nano >= span.start_time_unix_nano, "{}", span.name);
    }
}

async fn a_plain_job_is_one_tree_from_reservation_to_ack(backend: Backend) {
    let (mesh, receiver) = traced(backend).await;
    let scheduler = mesh.scheduler(&[]).await;
    let worker = mesh.worker(WorkerOptions::default()).await;
    let mut client = Client::of(&scheduler).await;
    let mut request =
        Request::new(StartRunRequest { jobs: 300, per_minutes: 1.0, total: Some(3), ..Default::default() });
    request.metadata_mut().insert("traceparent", STARTED_BY.parse().expect("a header"));
    let run = client.0.start_run(request).await.expect("it starts").into_inner().run.expect("a run").run_id;
    client.until_ended(&run).await;
    let documents = documents(&mesh, &run).await;
    for seq in 0..3 {
        let spans = receiver.until(trace(&run, seq), |spans| spans.len() >= PLAIN.len()).await;
        let (mut found, mut expected) = (names(&spans), PLAIN.map(str::to_owned).to_vec());
        found.sort();
        expected.sort();
        assert_eq!(found, expected);
        assert_tree(&run, seq, &spans);
        assert_eq!(documents[&seq].trace_id, Some(trace(&run, seq).to_string()));
        let reserve = named(&spans, "reserve")[0];
        let started_by = TraceContext::parse(STARTED_BY).expect("it is one");
        assert_eq!(reserve.links[0].trace_id, started_by.trace.0.to_be_bytes());
        let store = named(&spans, "store")[0];
        let is_bulk = |span: &Span| span.name == "bulk" && span.span_id == store.links[0].span_id;
        let bulk = receiver.all().into_iter().find(is_bulk).expect("the request that stored it");
        assert!(bulk.links.iter().any(|link| link.trace_id == spans[0].trace_id), "and that is linked back");
        let wait = named(&spans, "wait in queue")[0];
        assert_eq!(wait.links[0].span_id, named(&spans, "publish default")[0].span_id);
    }
    worker.stop().await;
    scheduler.stop().await;
}

/// Job 0 fails at first, job 1 for ever.
struct Failing;

#[async_trait]
impl Handler for Failing {
    async fn handle(&self, job: &Job, context: &JobContext) -> Outcome {
        match (job.seq, context.attempt) {
            (0, 1) => Outcome::retry("not yet"),
            (1, _) => Outcome::dead("never"),
            _ => Outcome::Done { output: serde_json::Map::new() },
        }
    }
}

async fn start_failing(mesh: &Mesh) -> (Vec<paceline_tests::Role>, Client, String) {
    let scheduler = mesh.scheduler(&[]).await;
    let policy = Policy { backoff_ms: 10, ..Policy::default() };
    let handlers = Handlers::builtin().with("test", Failing);
    let worker = mesh.worker(WorkerOptions { policy, handlers, ..WorkerOptions::default() }).await;
    let mut client = Client::of(&scheduler).await;
    let request =
        StartRunRequest { jobs: 300, per_minutes: 1.0, total: Some(3), handler: "test".into(), ..Default::default() };
    let run = client.start_with(request).await.run_id;
    client.until_ended(&run).await;
    (vec![worker, scheduler], client, run)
}

async fn a_retried_and_a_dead_job_show_each_attempt_and_why(backend: Backend) {
    let (mesh, receiver) = traced(backend).await;
    let (roles, _client, run) = start_failing(&mesh).await;
    let retried =
        receiver.until(trace(&run, 0), |spans| has(spans, "job", 1) && has(spans, "process default", 2)).await;
    assert_tree(&run, 0, &retried);
    let mut attempts: Vec<_> = named(&retried, "process default");
    attempts.sort_by_key(|span| span.start_time_unix_nano);
    assert_eq!(attempts.iter().map(|span| attribute(span, "paceline.attempt")).collect::<Vec<_>>(), ["1", "2"]);
    let why = |span: &Span| span.status.as_ref().map(|status| status.message.clone()).unwrap_or_default();
    assert_eq!(attempts.iter().map(|span| why(span)).collect::<Vec<_>>(), ["not yet", ""]);
    assert!(has(&retried, "retry", 1) && has(&retried, "wait in queue", 2) && has(&retried, "publish default", 1));
    assert_eq!(attribute(named(&retried, "job")[0], "paceline.trace.reason"), "retried");

    let dead = receiver.until(trace(&run, 1), |spans| has(spans, "job", 1)).await;
    assert_tree(&run, 1, &dead);
    let root = named(&dead, "job")[0];
    assert_eq!((why(root).as_str(), attribute(root, "paceline.job.status").as_str()), ("never", "dead"));
    assert!(has(&dead, "bury", 1) && has(&dead, "ack", 0));
    for role in roles {
        role.stop().await;
    }
}

async fn a_job_that_was_not_chosen_and_dies_is_traced_whole(backend: Backend) {
    let (mut mesh, receiver) = (Mesh::new(backend).await, Receiver::start().await);
    let none = Choice { per_second: 0.0, ..Choice::default() };
    mesh.trace_to(&format!("http://{}", receiver.address), none).await;
    let (roles, _client, run) = start_failing(&mesh).await;
    for role in roles {
        role.stop().await;
    }
    let dead = receiver.until(trace(&run, 1), |spans| has(spans, "job", 1)).await;
    assert_tree(&run, 1, &dead);
    let mut found = names(&dead);
    found.sort();
    // Nobody has noted when it was reserved.
    assert_eq!(found, ["bury", "count", "job", "process default", "publish default", "store", "wait in queue"]);
    let retried = receiver.until(trace(&run, 0), |spans| has(spans, "job", 1)).await;
    assert!(has(&retried, "process default", 2) && has(&retried, "publish default", 1), "{:?}", names(&retried));
    assert!(receiver.trace(trace(&run, 2)).is_empty(), "it was neither chosen nor odd");
}

/// Strikes at the first pass.
struct AtOnce(Seam);

impl Faults for AtOnce {
    fn strikes(&self, seam: Seam) -> bool {
        seam == self.0
    }
}

async fn a_worker_that_dies_between_sink_and_ledger_leaves_its_part(backend: Backend) {
    let (mesh, receiver) = traced(backend).await;
    let scheduler = mesh.scheduler(&[]).await;
    let mut client = Client::of(&scheduler).await;
    let run = client.start(300, Some(1)).await;
    let faults = Arc::new(AtOnce(Seam::SinkToLedger));
    let doomed = mesh.worker(WorkerOptions { faults, ..WorkerOptions::default() }).await;
    let dead_worker = doomed.id.clone();
    doomed.ended().await.expect_err("the fault strikes");
    let worker = mesh.worker(WorkerOptions::default()).await;
    client.until_ended(&run).await;
    let is_whole = |spans: &[Span]| !named(spans, "job").is_empty() && named(spans, "process default").len() >= 2;
    let spans = receiver.until(trace(&run, 0), is_whole).await;
    let workers: Vec<_> =
        named(&spans, "process default").iter().map(|span| attribute(span, "paceline.worker.id")).collect();
    assert!(workers.contains(&dead_worker) && workers.contains(&worker.id), "{workers:?}");
    // On a machine that confirms late the range is published again, and its second message is executed too.
    if has(&spans, "publish default", 1) {
        assert_tree(&run, 0, &spans);
        assert!(workers.len() == 2 && has(&spans, "store", 2), "{:?}", names(&spans));
        assert!(has(&spans, "count", 1) && has(&spans, "ack", 1), "{:?}", names(&spans));
    }
    worker.stop().await;
    scheduler.stop().await;
}

async fn a_range_that_is_published_twice_and_a_healed_job_continue_their_traces(backend: Backend) {
    let (mesh, receiver) = traced(backend).await;
    let scheduler = mesh.scheduler(&[]).await;
    let mut client = Client::of(&scheduler).await;
    let run = client.start(300, Some(2)).await;
    client.until(&run, "everything published", |run| numbers(run).published == 2).await;
    let at = mesh.backends().await;
    at.broker.purge(DEFAULT_QUEUE, DEFAULT_GROUP).await.expect("the queue is there");
    let worker = mesh.worker(WorkerOptions::default()).await;
    client.until_ended(&run).await;
    let healed = receiver.until(trace(&run, 0), |spans| !has(spans, "job", 0)).await;
    // On a machine that confirms late the range is published once more, and executed once more.
    if has(&healed, "publish default", 2) {
        assert_tree(&run, 0, &healed);
        assert!(has(&healed, "process default", 1), "{:?}", names(&healed));
    }

    let producer = mesh.node().publisher("again", at.broker, at.ledger);
    let (id, range) = (RunId::parse(&run).expect("a run id"), Range { first: 1, count: 1, scheduled_at_ms: 0 });
    producer.publish(&id, &range, Sampling::ALL).await.expect("it is published");
    let twice = receiver.until(trace(&run, 1), |spans| named(spans, "process default").len() >= 2).await;
    assert!(named(&twice, "publish default").len() >= 3, "{:?}", names(&twice));
    worker.stop().await;
    scheduler.stop().await;
}

async fn a_receiver_that_is_away_and_a_hostile_context_change_nothing(backend: Backend) {
    let mut mesh = Mesh::new(backend).await;
    // Nobody listens there.
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("an address");
    mesh.trace_to(&format!("http://{closed}"), Choice::default()).await;
    let scheduler = mesh.scheduler(&[]).await;
    let worker = mesh.worker(WorkerOptions::default()).await;
    let mut client = Client::of(&scheduler).await;
    let long = "0".repeat(10_000);
    for hostile in ["", "00-00", "zz-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", long.as_str()] {
        let mut request =
            Request::new(StartRunRequest { jobs: 6_000, per_minutes: 1.0, total: Some(5), ..Default::default() });
        request.metadata_mut().insert("traceparent", hostile.parse().expect("a header"));
        let run = client.0.start_run(request).await.expect("it starts").into_inner().run.expect("a run").run_id;
        let ended = client.until_ended(&run).await;
        assert_eq!(numbers(&ended).processed, 5);
    }
    worker.stop().await;
    scheduler.stop().await;
}
