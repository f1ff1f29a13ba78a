//! Messages of a queue that are no plain jobs: foreign messages, jobs that fail, jobs that panic.

use std::sync::Arc;

use async_trait::async_trait;
use paceline_core::document::Status;
use paceline_core::ids::{DEFAULT_GROUP, DEFAULT_QUEUE};
use paceline_core::job::Job;
use paceline_core::outcome::Outcome;
use paceline_core::policy::Policy;
use paceline_core::ports::broker::{Confirm, Message};
use paceline_proto::v1::{RunState, StartRunRequest};
use paceline_tests::client::{assert_exact, numbers};
use paceline_tests::mesh::WorkerOptions;
use paceline_tests::{Backend, Client, Mesh};
use paceline_worker::{Handler, Handlers, JobContext};

use crate::support::{documents, status_of};

both!(foreign_messages_go_to_the_dead_queue, jobs_are_retried_and_given_up);

fn foreign(id: &str, body: &'static str) -> Message {
    Message {
        id: id.into(),
        handler: Arc::from(""),
        run: Arc::from(""),
        seq: None,
        attempt: 1,
        timestamp_ms: 0,
        traceparent: None,
        body: body.as_bytes().into(),
    }
}

async fn foreign_messages_go_to_the_dead_queue(backend: Backend) {
    let mesh = Mesh::new(backend).await;
    let scheduler = mesh.scheduler(&[]).await;
    let worker = mesh.worker(WorkerOptions::default()).await;
    let mut client = Client::of(&scheduler).await;
    let broker = mesh.backends().await.broker;
    broker.declare(DEFAULT_QUEUE, DEFAULT_GROUP).await.expect("the queue");
    let strangers = vec![foreign("a", "not json"), foreign("", "{}"), foreign("b", r#"{"jobId":"b"}"#)];
    let confirms = broker.publish(DEFAULT_QUEUE, strangers).await.expect("published");
    assert!(confirms.iter().all(|confirm| *confirm == Confirm::Confirmed), "{confirms:?}");

    let run = client.start(60_000, Some(200)).await;
    client.until_ended(&run).await;
    assert_exact(&mesh, &run, 200).await;
    // The worker stops in order, so every stranger is settled: each is dead, with words, and none goes round.
    worker.stop().await;
    let dead = broker.dead_letters(DEFAULT_QUEUE, DEFAULT_GROUP, 10).await.expect("the dead queue");
    let mut reasons: Vec<_> =
        dead.iter().map(|letter| letter.reason.split(':').next().unwrap_or("").to_owned()).collect();
    reasons.sort();
    assert_eq!(reasons, ["body is not a Paceline job", "body is not a Paceline job", "message has no id"], "{dead:?}");
    scheduler.stop().await;
}

/// By seq: every tenth fails for ever, every seventh panics at first, every fifth fails at first, the rest is fine.
struct Moody;

#[async_trait]
impl Handler for Moody {
    async fn handle(&self, job: &Job, context: &JobContext) -> Outcome {
        match (job.seq, context.attempt) {
            (seq, _) if seq % 10 == 0 => Outcome::dead("every tenth"),
            (seq, 1) if seq % 7 == 0 => panic!("every seventh"),
            (seq, 1) if seq % 5 == 0 => Outcome::retry("every fifth"),
            (3, _) => Outcome::retry("number three never works"),
            _ => Outcome::Done { output: serde_json::Map::new() },
        }
    }
}

async fn jobs_are_retried_and_given_up(backend: Backend) {
    let mesh = Mesh::new(backend).await;
    let scheduler = mesh.scheduler(&[]).await;
    let policy = Policy { attempts_max: 2, backoff_ms: 10, ..Policy::default() };
    let handlers = Handlers::builtin().with("test", Moody);
    let worker = mesh.worker(WorkerOptions { policy, handlers, ..WorkerOptions::default() }).await;
    let mut client = Client::of(&scheduler).await;
    let request = StartRunRequest {
        jobs: 60_000,
        per_minutes: 1.0,
        total: Some(100),
        handler: "test".into(),
        ..Default::default()
    };
    let run = client.start_with(request).await.run_id;
    let ended = client.until_ended(&run).await;
    assert_eq!((ended.state(), numbers(&ended).dead, numbers(&ended).processed), (RunState::Completed, 11, 89));
    assert_eq!(assert_exact(&mesh, &run, 100).await, (89, 11));

    let documents = documents(&mesh, &run).await;
    let dead: Vec<u64> = (0..100).filter(|seq| seq % 10 == 0 || *seq == 3).collect();
    assert_eq!(status_of(&documents, Status::Dead), dead);
    assert_eq!(documents[&10].error.as_deref(), Some("every tenth"));
    assert_eq!(documents[&3].error.as_deref(), Some("attempt 2 of 2: number three never works"));
    for (seq, attempts) in [(1, 1), (7, 2), (15, 2), (10, 1), (3, 2)] {
        assert_eq!(documents[&seq].attempts, attempts, "job {seq}");
    }
    worker.stop().await;
    let letters =
        mesh.backends().await.broker.dead_letters(DEFAULT_QUEUE, DEFAULT_GROUP, 100).await.expect("the dead queue");
    assert_eq!(letters.len(), 11, "every dead job's message is kept");
    scheduler.stop().await;
}
