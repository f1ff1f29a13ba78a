//! Jobs and counts that a service lost come back: the run's owner notices by itself, and `verify --repair` and `doctor` do the rest.

use std::sync::Mutex;
use std::time::Duration;

use paceline_core::ids::{DEFAULT_GROUP, DEFAULT_QUEUE, RunId};
use paceline_core::repair::repair;
use paceline_proto::v1::RunState;
use paceline_scheduler::OwnerLimits;
use paceline_tests::client::{assert_exact, numbers};
use paceline_tests::mesh::WorkerOptions;
use paceline_tests::{Backend, Client, Mesh};

use crate::support::documents;

both!(
    what_the_broker_lost_is_published_again,
    what_the_broker_lost_is_published_again_while_the_run_goes_on,
    what_the_ledger_forgot_is_counted_from_the_sink,
    a_document_that_was_deleted_is_written_again,
    a_long_queue_holds_the_pacer_back,
);

/// Every message of a run is gone before a worker saw it.
async fn what_the_broker_lost_is_published_again(backend: Backend) {
    let mesh = Mesh::new(backend).await;
    let scheduler = mesh.scheduler(&[]).await;
    let mut client = Client::of(&scheduler).await;
    let run = client.start(60_000, Some(300)).await;
    client.until(&run, "everything published", |run| numbers(run).published == 300).await;
    let purged = mesh.backends().await.broker.purge(DEFAULT_QUEUE, DEFAULT_GROUP).await.expect("the queue is there");
    assert_eq!(purged, 300);

    let worker = mesh.worker(WorkerOptions::default()).await;
    let ended = client.until_ended(&run).await;
    assert_eq!((ended.state(), numbers(&ended).processed), (RunState::Completed, 300));
    assert_exact(&mesh, &run, 300).await;
    worker.stop().await;
    scheduler.stop().await;
}

/// The same for a run without an end, which is paused so that its numbers can close.
async fn what_the_broker_lost_is_published_again_while_the_run_goes_on(backend: Backend) {
    let mesh = Mesh::new(backend).await;
    let scheduler = mesh.scheduler(&[]).await;
    let mut client = Client::of(&scheduler).await;
    let run = client.start(6_000, None).await;
    client.until(&run, "some published", |run| numbers(run).published >= 50).await;
    client.pause(&run).await;
    client.until(&run, "all published", |run| numbers(run).published == numbers(run).enqueued).await;
    mesh.backends().await.broker.purge(DEFAULT_QUEUE, DEFAULT_GROUP).await.expect("the queue is there");

    let worker = mesh.worker(WorkerOptions::default()).await;
    let healed = client.until(&run, "all processed", |run| numbers(run).processed == numbers(run).enqueued).await;
    assert_eq!(healed.state(), RunState::Paused);
    client.stop(&run).await;
    let ended = client.until_ended(&run).await;
    assert_eq!(ended.state(), RunState::Stopped);
    assert_exact(&mesh, &run, numbers(&ended).enqueued).await;
    worker.stop().await;
    scheduler.stop().await;
}

/// Counts that are gone although their documents are there, as after a ledger that lost its last second.
async fn what_the_ledger_forgot_is_counted_from_the_sink(backend: Backend) {
    let mesh = Mesh::new(backend).await;
    let scheduler = mesh.scheduler(&[]).await;
    let worker = mesh.worker(WorkerOptions::default()).await;
    let mut client = Client::of(&scheduler).await;
    let run = client.start(6_000, None).await;
    client.until(&run, "progress", |run| numbers(run).processed >= 50).await;
    client.pause(&run).await;
    let before = client.until(&run, "all processed", |run| numbers(run).processed == numbers(run).enqueued).await;
    // Nobody is there to write a document: what is counted again is counted from the sink.
    worker.stop().await;
    let id = RunId::parse(&run).expect("a run id");
    let lost: Vec<u64> = (10..40).collect();
    let forgotten =
        mesh.backends().await.ledger.counts.forget(&id, DEFAULT_GROUP, &lost).await.expect("the run is there");
    // From now on its owner may count them at any time.
    assert_eq!(forgotten, 30);

    client.stop(&run).await;
    let ended = client.until_ended(&run).await;
    assert_eq!(
        (ended.state(), numbers(&ended).processed),
        (RunState::Stopped, numbers(&before).processed),
        "counted again"
    );
    assert_exact(&mesh, &run, numbers(&ended).enqueued).await;
    scheduler.stop().await;
}

async fn a_document_that_was_deleted_is_written_again(backend: Backend) {
    let mesh = Mesh::new(backend).await;
    let scheduler = mesh.scheduler(&[]).await;
    let worker = mesh.worker(WorkerOptions::default()).await;
    let mut client = Client::of(&scheduler).await;
    let run = client.start(60_000, Some(50)).await;
    client.until_ended(&run).await;
    let (id, at) = (RunId::parse(&run).expect("a run id"), mesh.backends().await);
    assert!(at.sink.writer.delete(&id, &format!("{run}-7")).await.expect("the sink answers"));

    let producer = mesh.node().publisher("repair", at.broker, at.ledger.clone());
    let now_ms = mesh.clock.wall_ms();
    let repaired =
        repair(&at.ledger, &*at.sink.reader, &producer, &id, DEFAULT_GROUP, now_ms).await.expect("it is repaired");
    assert_eq!((repaired.counted, repaired.forgotten, repaired.published, repaired.waiting), (0, 1, 1, 0));
    let again = repair(&at.ledger, &*at.sink.reader, &producer, &id, DEFAULT_GROUP, now_ms).await.expect("again");
    assert_eq!((again.counted, again.forgotten), (0, 0), "a repair takes nothing away that is right");
    // A run that has ended is not watched any more; each look is a call, so it needs no pause.
    let done = async { while numbers(&client.get(&run).await).processed < 50 {} };
    tokio::time::timeout(Duration::from_secs(60), done).await.expect("the worker does it again");
    assert_exact(&mesh, &run, 50).await;
    assert_eq!(documents(&mesh, &run).await.len(), 50);
    worker.stop().await;
    scheduler.stop().await;
}

/// Over the high-water mark nothing is reserved; the queue shrinks again, and the run ends with its exact total.
async fn a_long_queue_holds_the_pacer_back(backend: Backend) {
    const MARK: u64 = 100;
    const JOBS_PER_SECOND: u64 = 200;
    // The scheduler looks once a second, and a look shows the jobs that were confirmed by then; one second more is for a slow machine.
    const ENQUEUED_MAX: u64 = MARK + 2 * JOBS_PER_SECOND;
    let mut mesh = Mesh::new(backend).await;
    mesh.limits = OwnerLimits { high_water: MARK, ..OwnerLimits::default() };
    let scheduler = mesh.scheduler(&[]).await;
    let mut client = Client::of(&scheduler).await;
    let run = client.start(60 * JOBS_PER_SECOND, Some(1_500)).await;
    // An update in which nothing differs comes only after seconds without a change.
    let last = Mutex::new(None);
    let held = client
        .until(&run, "standstill", |run| {
            let now = (numbers(run).enqueued, numbers(run).published, numbers(run).achieved_per_second.to_bits());
            last.lock().expect("no test panics with it").replace(now) == Some(now)
        })
        .await;
    assert!((MARK..=ENQUEUED_MAX).contains(&numbers(&held).enqueued), "held back: {held:?}");

    let worker = mesh.worker(WorkerOptions::default()).await;
    let ended = client.until_ended(&run).await;
    assert_eq!(ended.state(), RunState::Completed);
    assert_exact(&mesh, &run, 1_500).await;
    worker.stop().await;
    scheduler.stop().await;
}

#[cfg(feature = "services")]
mod by_command {
    use paceline_core::run::RunState as State;
    use paceline_tests::process::run as paceline;
    use serde_json::Value;

    use super::*;

    fn environment(mesh: &Mesh) -> [(&'static str, String); 4] {
        let at = &mesh.connections;
        [
            ("PACELINE_BROKER_URL", at.broker_url.clone()),
            ("PACELINE_SINK_URL", at.sink_url.clone()),
            ("PACELINE_LEDGER_URL", at.ledger_url.clone()),
            ("PACELINE_NAMESPACE", at.namespace.clone()),
        ]
    }

    /// As an operator would lose it, but for this test's keys only.
    async fn lose_the_ledger(mesh: &Mesh) {
        let script = "for _, key in ipairs(redis.call('KEYS', ARGV[1])) do redis.call('DEL', key) end";
        let pattern = format!("{}:*", mesh.connections.namespace);
        let mut redis = tokio::process::Command::new("redis-cli");
        redis.args(["-u", &mesh.connections.ledger_url, "EVAL", script, "0", &pattern]);
        assert!(redis.status().await.expect("redis-cli is installed with redis").success());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_ledger_that_was_lost_is_rebuilt_from_the_sink() {
        let mesh = Mesh::new(Backend::Services).await;
        let (scheduler, worker) = (mesh.scheduler(&[]).await, mesh.worker(WorkerOptions::default()).await);
        let mut client = Client::of(&scheduler).await;
        let ended = client.start(60_000, Some(300)).await;
        client.until_ended(&ended).await;
        let going = client.start(6_000, None).await;
        client.until(&going, "progress", |run| numbers(run).processed >= 100).await;
        client.pause(&going).await;
        let all = client.until(&going, "all processed", |run| numbers(run).processed == numbers(run).enqueued).await;
        // The scheduler keeps the runs in the sink in the background; each look is a request, so it needs no pause.
        let (sink, enqueued) = (mesh.backends().await.sink, numbers(&all).enqueued);
        for (run, state, cursor) in [(&ended, State::Completed, 300), (&going, State::Paused, enqueued)] {
            let id = RunId::parse(run).expect("a run id");
            let is_kept = async {
                while !sink
                    .runs
                    .find(&id)
                    .await
                    .expect("the sink answers")
                    .is_some_and(|kept| (kept.state, kept.cursor) == (state, cursor))
                {}
            };
            tokio::time::timeout(Duration::from_secs(60), is_kept).await.expect("the run is kept");
        }
        worker.stop().await;
        scheduler.stop().await;
        lose_the_ledger(&mesh).await;

        let environment = environment(&mesh);
        let (code, out, err) = paceline(&["doctor", "--rebuild-counters", "--json"], &environment).await;
        assert_eq!(code, 0, "{err}");
        let rebuilt: Value = serde_json::from_str(&out).expect("JSON");
        let counted: Vec<_> = rebuilt.as_array().expect("a list").iter().map(|run| run["counted"].as_u64()).collect();
        assert_eq!(counted, [Some(300), Some(enqueued)], "{rebuilt}");
        let (code, again, _) = paceline(&["doctor", "--rebuild-counters", "--json"], &environment).await;
        assert_eq!(code, 0);
        assert!(!again.contains("\"restored\":true"), "nothing to do any more: {again}");

        let (scheduler, worker) = (mesh.scheduler(&[]).await, mesh.worker(WorkerOptions::default()).await);
        let mut client = Client::of(&scheduler).await;
        assert_eq!(client.until_ended(&ended).await.state(), RunState::Completed);
        client.stop(&going).await;
        assert_eq!(client.until_ended(&going).await.state(), RunState::Stopped);
        for (run, jobs) in [(ended, 300), (going, enqueued)] {
            assert_exact(&mesh, &run, jobs).await;
        }
        worker.stop().await;
        scheduler.stop().await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn verify_repairs_and_proves() {
        let mesh = Mesh::new(Backend::Services).await;
        let (scheduler, worker) = (mesh.scheduler(&[]).await, mesh.worker(WorkerOptions::default()).await);
        let mut client = Client::of(&scheduler).await;
        let run = client.start(60_000, Some(40)).await;
        client.until_ended(&run).await;
        let id = RunId::parse(&run).expect("a run id");
        assert!(mesh.backends().await.sink.writer.delete(&id, &format!("{run}-3")).await.expect("the sink answers"));
        let environment = environment(&mesh);
        let server = scheduler.url();
        for way in [&[][..], &["--server", &server]] {
            let ask = |more: &'static [&'static str]| [&["verify", &run, "--strict", "--json"], more, way].concat();
            let (code, out, _) = paceline(&ask(&[]), &environment).await;
            assert_eq!(code, 1, "not proved: {out}");
            let (code, out, err) = paceline(&ask(&["--repair"]), &environment).await;
            assert_eq!(code, 0, "{out}{err}");
            let proof: Value = serde_json::from_str(&out).expect("JSON");
            assert_eq!((proof["repaired"]["forgotten"].as_u64(), proof["ok"].as_bool()), (Some(1), Some(true)));
            // Once more for the other way.
            assert!(
                mesh.backends().await.sink.writer.delete(&id, &format!("{run}-3")).await.expect("the sink answers")
            );
        }
        worker.stop().await;
        scheduler.stop().await;
    }
}
