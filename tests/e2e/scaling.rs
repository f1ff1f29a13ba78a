//! The number of workers that a queue needs, as the scheduler tells it to people and to KEDA: with work and without, and when it cannot know.

use std::collections::HashMap;

use paceline_core::scaling::UTILISATION;
use paceline_proto::externalscaler::external_scaler_client::ExternalScalerClient;
use paceline_proto::externalscaler::{GetMetricsRequest, ScaledObjectRef};
use paceline_proto::v1::scale_service_client::ScaleServiceClient;
use paceline_proto::v1::{ExplainScaleRequest, ExplainScaleResponse};
use paceline_tests::client::{Client, assert_exact, numbers};
use paceline_tests::mesh::WorkerOptions;
use paceline_tests::process::in_time;
use paceline_tests::{Backend, Mesh, Role};
use tonic::transport::Channel;
use tonic::{Code, Status};

both!(wants_workers_for_what_there_is_to_do, says_that_it_does_not_know, keda_gets_the_same_answers);

fn channel(scheduler: &Role) -> Channel {
    paceline_runtime::grpc::channel(&scheduler.url(), None).expect("a valid address")
}

async fn explain(scheduler: &Role, queue: &str) -> Result<ExplainScaleResponse, Status> {
    let request = ExplainScaleRequest { queue: queue.into(), ..ExplainScaleRequest::default() };
    ScaleServiceClient::new(channel(scheduler)).explain_scale(request).await.map(|answer| answer.into_inner())
}

/// Asks until `enough`; each question is a whole round through broker and ledger, so it needs no pause.
async fn until(scheduler: &Role, what: &str, enough: impl Fn(&ExplainScaleResponse) -> bool) -> ExplainScaleResponse {
    in_time(what, async {
        loop {
            if let Ok(answer) = explain(scheduler, "").await
                && enough(&answer)
            {
                return answer;
            }
        }
    })
    .await
}

async fn wants_workers_for_what_there_is_to_do(backend: Backend) {
    let mesh = Mesh::new(backend).await;
    let scheduler = mesh.scheduler(&[]).await;
    let idle = explain(&scheduler, "").await.expect("everything is known");
    assert_eq!((idle.wanted, idle.current, idle.is_active, idle.queue.as_str()), (0, 0, false, "default"));

    // 12,000 a minute are 200 a second; without a worker one is taken for 100, planned at 80.
    let mut client = Client::of(&scheduler).await;
    let run = client.start(12_000, None).await;
    let busy = until(&scheduler, "run", |answer| answer.arrival_per_second >= 200.0 && !answer.runs.is_empty()).await;
    assert!(busy.wanted >= 3 && busy.is_active && !busy.is_measured, "{busy:?}");
    client.stop(&run).await;
    let stopping = client.until(&run, "the last publish", |run| numbers(run).published == numbers(run).enqueued).await;
    let jobs = numbers(&stopping).enqueued;
    let waiting = until(&scheduler, "backlog", |answer| answer.ready == jobs && answer.arrival_per_second == 0.0).await;
    let enough = (jobs as f64 / (80.0 * waiting.drain_seconds)).ceil() as u32;
    assert_eq!(waiting.wanted, enough, "{waiting:?}");

    let worker = mesh.worker(WorkerOptions::default()).await;
    client.until_ended(&run).await;
    let measured = until(&scheduler, "measurement", |answer| answer.is_measured && !answer.is_active).await;
    let [said] = measured.workers.as_slice() else { panic!("one worker: {measured:?}") };
    assert_eq!((said.worker_id.as_str(), said.slots, said.is_stale), (worker.id.as_str(), Some(40), false));
    assert!(said.hold_ms.is_some_and(|ms| ms > 0.0) && said.measured_age_ms.is_some(), "{said:?}");
    assert!(measured.steps.iter().any(|step| step.contains("the mean of 1 that measured it")), "{measured:?}");
    assert_eq!((measured.current, measured.wanted, measured.unacked), (1, 0, Some(0)));
    assert_exact(&mesh, &run, jobs).await;

    worker.stop().await;
    until(&scheduler, "end of the worker", |answer| answer.workers.is_empty()).await;
    let unknown = explain(&scheduler, "nail").await.expect_err("there is no such queue");
    assert!(unknown.code() == Code::InvalidArgument && unknown.message().contains("there are: default"), "{unknown}");
}

async fn says_that_it_does_not_know(backend: Backend) {
    let mesh = Mesh::new(backend).await;
    let producer = mesh.producer().await;
    let scheduler = mesh.scheduler(&[&producer]).await;
    assert_eq!(explain(&scheduler, "").await.expect("everything is known").wanted, 0);
    producer.stop().await;
    // Nobody can ask the broker now.
    let unknown = explain(&scheduler, "").await.expect_err("how long the queue is");
    assert_eq!(unknown.code(), Code::Unavailable, "{unknown}");
    assert!(unknown.message().starts_with("the depth of the queue is not known: "), "{unknown}");
    let mut keda = ExternalScalerClient::new(channel(&scheduler));
    assert_eq!(keda.is_active(object(&[])).await.expect_err("unknown is not zero").code(), Code::Unavailable);
    let metric = GetMetricsRequest { scaled_object_ref: Some(object(&[])), metric_name: "paceline-workers".into() };
    assert_eq!(keda.get_metrics(metric).await.expect_err("unknown is not zero").code(), Code::Unavailable);
    // Silent until it is known: a stream that ended would be opened again later each time.
    keda.stream_is_active(object(&[])).await.expect("the question is a good one");
}

fn object(keys: &[(&str, &str)]) -> ScaledObjectRef {
    let scaler_metadata: HashMap<_, _> = keys.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
    ScaledObjectRef { name: "workers".into(), namespace: "paceline".into(), scaler_metadata }
}

async fn keda_gets_the_same_answers(backend: Backend) {
    let mesh = Mesh::new(backend).await;
    let scheduler = mesh.scheduler(&[]).await;
    let mut keda = ExternalScalerClient::new(channel(&scheduler));
    let trigger = object(&[
        ("scalerAddress", "scheduler:50051"),
        ("queue", "default"),
        ("jobsPerSecond", "1"),
        ("maxWorkers", "7"),
    ]);
    assert!(!keda.is_active(trigger.clone()).await.expect("it is known").into_inner().result);
    let mut stream = keda.stream_is_active(trigger.clone()).await.expect("it is known").into_inner();
    assert!(!stream.message().await.expect("it goes on").expect("it begins with the answer of now").result);

    let spec = keda.get_metric_spec(trigger.clone()).await.expect("it answers").into_inner().metric_specs;
    let [spec] = spec.as_slice() else { panic!("one metric: {spec:?}") };
    assert_eq!((spec.metric_name.as_str(), spec.target_size, spec.target_size_float), ("paceline-workers", 1, 1.0));

    let mut client = Client::of(&scheduler).await;
    let run = client.start(6_000, Some(200)).await;
    client.until(&run, "all of it", |run| run.snapshot.as_ref().is_some_and(|numbers| numbers.published == 200)).await;
    until(&scheduler, "backlog", |answer| answer.ready == 200 && answer.arrival_per_second == 0.0).await;
    let ask = |name: &str, object| GetMetricsRequest { scaled_object_ref: Some(object), metric_name: name.into() };
    let values = keda.get_metrics(ask("paceline-workers", trigger.clone())).await.expect("it is known").into_inner();
    let wanted = (200.0 / (UTILISATION * 60.0)).ceil();
    let [value] = values.metric_values.as_slice() else { panic!("one metric: {values:?}") };
    assert_eq!((value.metric_value_float, value.metric_value), (wanted, wanted as i64));
    let tight = object(&[("jobsPerSecond", "0.1"), ("maxWorkers", "7")]);
    let values = keda.get_metrics(ask("paceline-workers", tight)).await.expect("it is known").into_inner();
    assert_eq!(values.metric_values[0].metric_value, 7);
    assert!(stream.message().await.expect("it goes on").expect("it says the change").result);

    for (wrong, part) in [
        (ask("workers", trigger.clone()), "there is: paceline-workers"),
        (ask("paceline-workers", object(&[("que", "default")])), "there are: queue, group"),
        (GetMetricsRequest { scaled_object_ref: None, metric_name: "paceline-workers".into() }, "is missing"),
    ] {
        let refused = keda.get_metrics(wrong).await.expect_err("it is wrong");
        assert!(refused.code() == Code::InvalidArgument && refused.message().contains(part), "{refused}");
    }
}
