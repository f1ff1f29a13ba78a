//! `/metrics` of a mesh while a run goes on: numbers that close, labels that are bounded, exemplars that lead somewhere; and OTLP.

use std::net::SocketAddr;
use std::time::Duration;

use async_trait::async_trait;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use paceline_core::job::Job;
use paceline_core::outcome::Outcome;
use paceline_core::policy::Policy;
use paceline_core::trace::TraceId;
use paceline_proto::v1::StartRunRequest;
use paceline_runtime::admin::{self, Shown};
use paceline_runtime::readiness::Readiness;
use paceline_runtime::telemetry::metrics::push::{self, Push};
use paceline_runtime::telemetry::metrics::{Metrics, names};
use paceline_runtime::telemetry::otlp::OtlpProtocol;
use paceline_runtime::telemetry::traces::Choice;
use paceline_runtime::telemetry::{Identity, LogFilter};
use paceline_tests::mesh::WorkerOptions;
use paceline_tests::receiver::Receiver;
use paceline_tests::scrape::Scrape;
use paceline_tests::{Backend, Client, Mesh};
use paceline_worker::{Handler, Handlers, JobContext};
use tokio::net::TcpListener;

both!(the_numbers_of_a_run_close, metrics_are_pushed_and_a_receiver_that_is_away_stops_nobody);

const JOBS: u64 = 40;
const CALL_COUNT: &str = "paceline_call_duration_seconds_count";

/// Of ten jobs one dies, and one fails the first time.
struct Mixed;

#[async_trait]
impl Handler for Mixed {
    async fn handle(&self, job: &Job, context: &JobContext) -> Outcome {
        match (job.seq % 10, context.attempt) {
            (3, _) => Outcome::dead("never"),
            (7, 1) => Outcome::retry("not yet"),
            _ => Outcome::Done { output: serde_json::Map::new() },
        }
    }
}

/// A mesh that is measured, and where it can be scraped.
async fn measured(backend: Backend) -> (Mesh, SocketAddr) {
    let mut mesh = Mesh::new(backend).await;
    mesh.metrics = Metrics::new("test", mesh.clock.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let shown =
        Shown { readiness: Readiness::new("test", "test"), metrics: mesh.metrics.clone(), log: LogFilter::default() };
    serve(async move {
        admin::beside(Some(listener), shown, None, std::future::pending::<paceline_core::Result<()>>()).await
    });
    (mesh, address)
}

#[allow(clippy::disallowed_methods, reason = "it ends with the test's runtime")]
fn serve(serving: impl Future<Output: Send> + Send + 'static) {
    tokio::spawn(async move { _ = serving.await });
}

async fn the_numbers_of_a_run_close(backend: Backend) {
    let (mut mesh, address) = measured(backend).await;
    let receiver = Receiver::start().await;
    mesh.trace_to(&format!("http://{}", receiver.address), Choice { per_second: 1_000.0, ..Choice::default() }).await;
    mesh.metrics.show_spans(&mesh.traces);
    let producer = mesh.producer().await;
    let scheduler = mesh.scheduler(&[&producer]).await;
    let handlers = Handlers::builtin().with("test", Mixed);
    let policy = Policy { backoff_ms: 10, ..Policy::default() };
    let worker = mesh.worker(WorkerOptions { handlers, policy, ..WorkerOptions::default() }).await;
    let mut client = Client::of(&scheduler).await;
    let request = StartRunRequest {
        jobs: 6_000,
        per_minutes: 1.0,
        total: Some(JOBS),
        handler: "test".into(),
        ..Default::default()
    };
    let run = client.start_with(request).await.run_id;
    client.until_ended(&run).await;

    let label = format!("run=\"{run}\"");
    let ended = |scrape: &Scrape| {
        let of = |name| scrape.sum(name, &[&label]).unwrap_or(0.0);
        of("paceline_run_processed_jobs_total") + of("paceline_run_dead_jobs") >= JOBS as f64
            && scrape.samples("paceline_run_owner_epoch", &[&label]).is_empty()
            && scrape.sum("paceline_runs_active", &[]) == Some(0.0)
            && scrape.sum("paceline_queue_jobs", &["state=\"dead\""]).is_some()
            && scrape.sum("paceline_job_end_to_end_seconds_count", &[]).unwrap_or(0.0) >= JOBS as f64
    };
    let scrape = Scrape::until(address, ended).await;
    assert!(scrape.head.contains("content-type: application/openmetrics-text; version=1.0.0; charset=utf-8"));
    the_run_closes(&scrape, &label);
    the_worker_closes(&scrape);
    every_line_is_of_the_table(&scrape);
    exemplars_lead_to_traces(&scrape, &receiver).await;
    worker.stop().await;
    scheduler.stop().await;
    producer.stop().await;
}

fn the_run_closes(scrape: &Scrape, label: &str) {
    let of = |name: &str| scrape.sum(name, &[label]).unwrap_or_else(|| panic!("no {name} in {}", scrape.text));
    let (enqueued, published) = (of("paceline_run_enqueued_jobs_total"), of("paceline_run_published_jobs_total"));
    let (processed, dead) = (of("paceline_run_processed_jobs_total"), of("paceline_run_dead_jobs"));
    assert!(enqueued >= published && published >= processed + dead, "{}", scrape.text);
    assert_eq!((enqueued, processed, dead), (JOBS as f64, (JOBS - JOBS / 10) as f64, (JOBS / 10) as f64));
    assert_eq!(of("paceline_run_asked_jobs_per_second"), 0.0, "it has ended");
    assert_eq!(of("paceline_run_failed"), 0.0);
    let all = |name: &str, labels: &[&str]| scrape.sum(name, labels).unwrap_or_else(|| panic!("no {name} {labels:?}"));
    assert_eq!(all("paceline_jobs_enqueued_total", &[]), enqueued);
    assert!(all("paceline_jobs_published_total", &[]) >= published);
    assert!(all("paceline_publish_jobs_total", &["result=\"confirmed\""]) >= published);
    let ranges = all("paceline_ranges_total", &["result=\"confirmed\""]);
    assert_eq!(all("paceline_reserve_lateness_seconds_count", &[]), ranges);
    assert!(all(CALL_COUNT, &["role=\"producer\"", "operation=\"publish\""]) >= 1.0);
    assert_eq!(all("paceline_producers", &[]), 1.0);
    assert!(
        all("paceline_grpc_duration_seconds_count", &["role=\"scheduler\"", "method=\"StartRun\"", "code=\"OK\""])
            >= 1.0
    );
    assert!(all("paceline_grpc_duration_seconds_count", &["role=\"producer\"", "method=\"Publish\""]) >= ranges);
    let ready = scrape.samples("paceline_ready", &[]);
    assert!(ready.len() == 3 && ready.iter().all(|line| line.ends_with(" 1")), "{ready:?}");
}

fn the_worker_closes(scrape: &Scrape) {
    let all = |name: &str, labels: &[&str]| scrape.sum(name, labels).unwrap_or_else(|| panic!("no {name} {labels:?}"));
    let (tenth, jobs) = ((JOBS / 10) as f64, JOBS as f64);
    let outcome = |outcome: &str| all("paceline_jobs_total", &["queue=\"default\"", outcome]);
    // A duplicate of a job may have been brought to its end twice.
    let again = all("paceline_duplicate_jobs_total", &[]);
    assert_eq!(outcome("completed") + outcome("dead"), jobs + again);
    assert!(outcome("dead") >= tenth && outcome("retried") >= tenth);
    assert_eq!(all("paceline_job_end_to_end_seconds_count", &[]), jobs + again);
    assert_eq!(all("paceline_job_run_seconds_count", &[]), jobs + again + outcome("retried"));
    assert_eq!(all("paceline_job_deaths_total", &["reason=\"rejected_by_handler\""]), outcome("dead"));
    assert_eq!(all("paceline_job_retries_total", &["reason=\"handler\""]), outcome("retried"));
    assert_eq!(all("paceline_sink_verdicts_total", &["verdict=\"stored\""]), jobs + again);
    assert_eq!(all("paceline_bulk_documents_sum", &[]), jobs + again);
    assert_eq!(
        all(CALL_COUNT, &["service=\"sink\"", "operation=\"upsert\""]),
        all("paceline_bulk_documents_count", &[])
    );
    let open = all("paceline_consumers_open", &["queue=\"default\"", "group=\"main\""]);
    assert_eq!((open, all("paceline_worker_threads", &[])), (WorkerOptions::default().consumers as f64, 2.0));
    assert_eq!(all("paceline_queue_jobs", &["queue=\"default\"", "group=\"main\"", "state=\"ready\""]), 0.0);
}

/// No job is a label, and nothing is shown that the page does not have.
fn every_line_is_of_the_table(scrape: &Scrape) {
    for line in scrape.text.lines().filter(|line| !line.starts_with('#')) {
        let name = line.split(['{', ' ']).next().expect("a line has a name");
        let is_of = |metric: &&names::Metric| {
            let parts = ["", "_bucket", "_sum", "_count"];
            parts.iter().any(|part| name.strip_suffix(part) == Some(metric.name))
        };
        assert!(names::ALL.iter().any(is_of), "{line}");
        assert!(!line.contains("job=") && !line.contains("seq="), "{line}");
    }
}

/// Each exemplar is a trace that the receiver has.
async fn exemplars_lead_to_traces(scrape: &Scrape, receiver: &Receiver) {
    let starred = ["paceline_job_wait_seconds", "paceline_job_run_seconds", "paceline_job_end_to_end_seconds"];
    for name in starred.into_iter().chain(["paceline_call_duration_seconds"]) {
        let buckets = scrape.samples(&format!("{name}_bucket"), &[]);
        let traces: Vec<_> = buckets.iter().filter_map(|line| line.split("# {trace_id=\"").nth(1)?.get(..32)).collect();
        assert!(!traces.is_empty(), "{name} has no exemplar: {buckets:?}");
        for trace in traces {
            let trace = TraceId::parse(trace).expect("an id");
            receiver.until(trace, |spans| spans.iter().any(|span| span.name == "job")).await;
        }
    }
}

async fn metrics_are_pushed_and_a_receiver_that_is_away_stops_nobody(backend: Backend) {
    let (mesh, _) = measured(backend).await;
    let receiver = Receiver::start().await;
    let away = TcpListener::bind("127.0.0.1:0").await.expect("a free port").local_addr().expect("it was bound");
    let scheduler = mesh.scheduler(&[]).await;
    let worker = mesh.worker(WorkerOptions::default()).await;
    let mut client = Client::of(&scheduler).await;
    let every = Duration::from_millis(100);
    for (address, is_there) in [(away, false), (receiver.address, true)] {
        let endpoint = format!("http://{address}");
        let push = Push::new(&endpoint, OtlpProtocol::Grpc, every, Identity { role: "worker", id: "w-1" })
            .expect("an address");
        let role = async {
            let run = client.start(6_000, Some(JOBS)).await;
            client.until_ended(&run).await;
            if is_there {
                receiver.until_metrics(|metrics| !metrics.is_empty()).await;
            }
        };
        push::beside(Some(push), &mesh.metrics, role).await;
    }
    // The last request comes with the end of the role.
    let pushed =
        receiver.until_metrics(|metrics| metrics.iter().any(|metric| metric.name == "paceline_jobs_total")).await;
    let jobs = pushed.iter().rev().find(|metric| metric.name == "paceline_jobs_total").expect("it was waited for");
    let Some(Data::Sum(sum)) = &jobs.data else { panic!("a counter is a sum: {jobs:?}") };
    assert!(sum.is_monotonic);
    let total: f64 = sum
        .data_points
        .iter()
        .map(|point| match point.value {
            Some(Value::AsDouble(value)) => value,
            other => panic!("{other:?}"),
        })
        .sum();
    assert!(total >= (2 * JOBS) as f64, "{total}");
    worker.stop().await;
    scheduler.stop().await;
}

/// Two roles that are told to use one port: the second says so, in one line.
#[tokio::test]
async fn one_port_for_two_roles_is_one_clear_line() {
    let at: admin::AdminAt = "127.0.0.1:0".parse().expect("a place");
    let first = at.bind(0, None, false).await.expect("a free port").expect("it is on");
    let taken = admin::AdminAt::Address(first.local_addr().expect("it is bound"));
    let error = taken.bind(0, None, false).await.expect_err("it is taken");
    assert!(error.message.starts_with("admin port: cannot listen on 127.0.0.1:"), "{error}");
    assert!(!error.message.contains('\n'), "{error}");
}
