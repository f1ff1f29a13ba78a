//! A service that refuses holds a run and does not end it; a run that FAILED for its own sake can be taken out of it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use paceline_core::ids::{DEFAULT_GROUP, RunId};
use paceline_core::job::Range;
use paceline_core::pacing::CatchUp;
use paceline_core::ports::broker::Depth;
use paceline_core::ports::counts::EndedJob;
use paceline_core::ports::{Ledger, RangePublisher};
use paceline_core::run::RunChange;
use paceline_core::run::{RunRecord, RunState, Snapshot};
use paceline_core::seqset::SeqSet;
use paceline_core::trace::Sampling;
use paceline_core::{Error, Result};
use paceline_runtime::telemetry::metrics::Metrics;
use paceline_scheduler::{Producers, StartRun};
use paceline_sim::storm::{Service, Trouble};
use tokio::sync::watch;

use crate::stage::{Stage, only, play, until};

const REFUSAL: &str = "RabbitMQ refuses user \"guest\" the vhost \"/\": allow it with `rabbitmqctl set_permissions`";

/// Publishes, and has a worker that is done at once; or answers what it was told to.
struct Stub {
    ledger: Ledger,
    answer: watch::Sender<Option<Error>>,
    published: std::sync::Mutex<SeqSet>,
}

impl Stub {
    fn new(stage: &Stage) -> Arc<Self> {
        let (ledger, answer) = (stage.ledger(), watch::Sender::new(None));
        Arc::new(Self { ledger, answer, published: Default::default() })
    }

    fn answers(&self, error: Option<Error>) {
        self.answer.send_replace(error);
    }
}

#[async_trait]
impl RangePublisher for Stub {
    async fn publish(&self, run: &RunId, range: &Range, _: Sampling) -> Result<String> {
        if let Some(error) = self.answer.borrow().clone() {
            return Err(error);
        }
        range.seqs().for_each(|seq| {
            self.published.lock().unwrap().insert(seq);
        });
        let settled: Vec<_> = range.seqs().map(|seq| EndedJob { run: run.clone(), seq, dead: false }).collect();
        self.ledger.counts.record(DEFAULT_GROUP, "worker", &settled).await?;
        Ok("stub".into())
    }

    async fn depth(&self, _: &RunId) -> Result<Depth> {
        match self.answer.borrow().clone() {
            Some(error) => Err(error),
            None => Ok(Depth { unacked: Some(0), ..Depth::default() }),
        }
    }
}

/// `jobs` a second.
fn ask(jobs: u64, total: Option<u64>, catch_up: CatchUp) -> StartRun {
    StartRun { jobs, per_minutes: 1.0 / 60.0, total, catch_up, ..StartRun::default() }
}

fn assert_whole(ended: &Snapshot, stub: &Stub, total: u64) {
    assert_eq!((ended.record.state, ended.enqueued, ended.processed), (RunState::Completed, total, total));
    assert_eq!(stub.published.lock().unwrap().len(), total, "every job that was reserved was published");
}

/// Refuses for so long, from the moment that 100 jobs are enqueued. Answers what was enqueued at the end of it.
async fn refuse(
    producers: &Producers,
    stub: &Stub,
    seconds: u64,
    run: &RunId,
    all: &paceline_scheduler::SchedulerHandle,
) -> u64 {
    until(all, run, |snapshot| snapshot.enqueued >= 100).await;
    stub.answers(Some(Error::failed_precondition(REFUSAL)));
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    let why = producers.check().expect_err("no producer works");
    assert!(why.message.contains(REFUSAL), "the service's own words: {why}");
    let meanwhile = all.get(run).await.expect("the ledger answers");
    assert_eq!(meanwhile.record.state, RunState::Running, "{:?}", meanwhile.record.failure);
    stub.answers(None);
    meanwhile.enqueued
}

#[tokio::test(start_paused = true)]
async fn a_refusal_of_the_broker_holds_the_pace_and_the_catch_up_policy_follows() {
    for (catch_up, total) in [(CatchUp::All, 30_000), (CatchUp::Skip, 30_000)] {
        let stage = Stage::new();
        let stub = Stub::new(&stage);
        let producers = only(stub.clone());
        let scheduler = stage.scheduler(producers.clone());
        let story = async {
            let run = scheduler.start(ask(1_000, Some(total), catch_up)).await.unwrap().record.spec.run_id;
            let held_at = refuse(&producers, &stub, 10, &run, &scheduler).await;
            // 32 ranges of 10 ms of work each, and the pacer holds.
            assert!(held_at <= 1_000, "{held_at}");
            let ended = until(&scheduler, &run, |snapshot| snapshot.record.state.is_terminal()).await;
            producers.check().expect("it is back");
            assert_whole(&ended, &stub, total);
            ended.record.ended_at_ms.unwrap() - ended.record.spec.created_at_ms
        };
        let took_ms = play(&scheduler, story).await;
        let expected_ms = match catch_up {
            CatchUp::All => 30_000,
            CatchUp::Skip => 40_000,
        };
        assert!((took_ms - expected_ms).abs() < 2_000, "{catch_up:?}: {took_ms} ms");
    }
}

#[tokio::test(start_paused = true)]
async fn another_producer_goes_on_while_one_is_refused() {
    let stage = Stage::new();
    let (refused, well) = (Stub::new(&stage), Stub::new(&stage));
    let both = vec![("refused".into(), refused.clone() as Arc<dyn RangePublisher>), ("well".into(), well.clone() as _)];
    let producers = Arc::new(Producers::in_process(both));
    let scheduler = stage.scheduler(producers.clone());
    refused.answers(Some(Error::failed_precondition(REFUSAL)));
    let story = async {
        let run = scheduler.start(ask(1_000, Some(2_000), CatchUp::All)).await.unwrap().record.spec.run_id;
        let ended = until(&scheduler, &run, |snapshot| snapshot.record.state.is_terminal()).await;
        assert_whole(&ended, &well, 2_000);
        producers.check().expect("one works");
        let left_out = &producers.states()[0];
        assert_eq!((left_out["ok"].as_bool(), left_out["why"].as_str()), (Some(false), Some(REFUSAL)));
    };
    play(&scheduler, story).await;
}

#[tokio::test(start_paused = true)]
async fn a_ledger_that_lets_nobody_in_ends_no_run() {
    let stage = Stage::new();
    let stub = Stub::new(&stage);
    let scheduler = stage.scheduler(only(stub.clone()));
    let story = async {
        let run = scheduler.start(ask(100, Some(1_000), CatchUp::All)).await.unwrap().record.spec.run_id;
        until(&scheduler, &run, |snapshot| snapshot.enqueued >= 100).await;
        stage.world.state().storm.begin(1, Trouble::Unwelcome { service: Service::Ledger });
        tokio::time::sleep(Duration::from_secs(5)).await;
        scheduler.get(&run).await.expect_err("nobody is let in");
        stage.world.state().storm.end(1);
        let ended = until(&scheduler, &run, |snapshot| snapshot.record.state.is_terminal()).await;
        assert_whole(&ended, &stub, 1_000);
    };
    play(&scheduler, story).await;
}

/// Starts a run that fails in its first second; its jobs are reserved and not published.
async fn failed(scheduler: &paceline_scheduler::SchedulerHandle, stub: &Stub, total: Option<u64>) -> Snapshot {
    let run = scheduler.start(ask(100, total, CatchUp::All)).await.unwrap().record.spec.run_id;
    until(scheduler, &run, |snapshot| snapshot.processed >= 50).await;
    stub.answers(Some(Error::unpublishable("its handler has no name")));
    let failed = until(scheduler, &run, |snapshot| snapshot.record.state == RunState::Failed).await;
    assert_eq!(failed.record.failure.as_deref(), Some("its handler has no name"));
    assert!(failed.published < failed.enqueued && failed.ranges_outstanding > 0, "{failed:?}");
    // Nothing goes on by itself.
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(scheduler.get(&run).await.unwrap().enqueued, failed.enqueued);
    failed
}

#[tokio::test(start_paused = true)]
async fn a_run_that_failed_is_resumed_and_publishes_what_it_had_reserved() {
    let stage = Stage::new();
    let stub = Stub::new(&stage);
    let scheduler = stage.scheduler(only(stub.clone()));
    let story = async {
        let run = failed(&scheduler, &stub, Some(1_000)).await.record.spec.run_id;
        let again = scheduler.resume(&run).await.unwrap();
        assert_eq!(
            (again.record.state, again.record.failure, again.record.ended_at_ms),
            (RunState::Running, None, None)
        );
        let refused = until(&scheduler, &run, |snapshot| snapshot.record.state == RunState::Failed).await;
        assert!(refused.record.failure.is_some(), "what is wrong still fails it again");
        stub.answers(None);
        scheduler.resume(&run).await.unwrap();
        assert_eq!(scheduler.resume(&run).await.unwrap().record.failure, None, "twice is a success");
        let ended = until(&scheduler, &run, |snapshot| snapshot.record.state.is_terminal()).await;
        assert_whole(&ended, &stub, 1_000);
    };
    play(&scheduler, story).await;
}

#[tokio::test(start_paused = true)]
async fn a_run_that_failed_shows_in_the_metrics_until_it_is_resumed() {
    let mut stage = Stage::new();
    stage.metrics = Metrics::new("scheduler", stage.clock());
    let stub = Stub::new(&stage);
    let scheduler = stage.scheduler(only(stub.clone()));
    let story = async {
        let run = failed(&scheduler, &stub, None).await.record.spec.run_id;
        let shows = |name: &str, number: u8| {
            let text = stage.metrics.text();
            let is_it = |line: &str| line.starts_with(name) && line.ends_with(&format!("}} {number}"));
            assert!(text.lines().any(is_it), "no {name} {number} in {text}");
        };
        let of_run = format!("paceline_run_failed{{role=\"scheduler\",run=\"{run}\"}}");
        shows(&of_run, 1);
        shows("paceline_runs_active{", 0);
        stub.answers(None);
        scheduler.resume(&run).await.unwrap();
        tokio::time::sleep(Duration::from_secs(5)).await;
        shows(&of_run, 0);
        shows("paceline_runs_active{", 1);
        shows("paceline_runs_owned{", 1);
    };
    play(&scheduler, story).await;
}

#[tokio::test(start_paused = true)]
async fn a_run_that_failed_with_its_total_reserved_drains_and_one_that_is_stopped_ends_with_what_it_had() {
    let stage = Stage::new();
    let stub = Stub::new(&stage);
    let scheduler = stage.scheduler(only(stub.clone()));
    let story = async {
        let whole = scheduler.start(ask(100, Some(60), CatchUp::All)).await.unwrap().record.spec.run_id;
        until(&scheduler, &whole, |snapshot| snapshot.processed >= 50).await;
        stub.answers(Some(Error::failed_precondition(REFUSAL)));
        until(&scheduler, &whole, |snapshot| snapshot.record.state == RunState::Draining).await;
        stub.answers(Some(Error::unpublishable("its handler has no name")));
        until(&scheduler, &whole, |snapshot| snapshot.record.state == RunState::Failed).await;
        stub.answers(None);
        scheduler.resume(&whole).await.unwrap();
        let ended = until(&scheduler, &whole, |snapshot| snapshot.record.state.is_terminal()).await;
        assert_whole(&ended, &stub, 60);

        let failed = failed(&scheduler, &stub, None).await;
        stub.answers(None);
        let run = failed.record.spec.run_id;
        assert_eq!(scheduler.stop(&run).await.unwrap().record.state, RunState::Stopping);
        let ended = until(&scheduler, &run, |snapshot| snapshot.record.state.is_terminal()).await;
        let numbers = (ended.record.state, ended.enqueued, ended.processed);
        assert_eq!(numbers, (RunState::Stopped, failed.enqueued, failed.enqueued));
    };
    Box::pin(play(&scheduler, story)).await;
}

/// Whoever made it FAILED wrote nothing else, as one who died at once.
#[tokio::test(start_paused = true)]
async fn the_time_in_failed_is_no_outage_to_make_good() {
    let stage = Stage::new();
    let stub = Stub::new(&stage);
    let scheduler = stage.scheduler(only(stub.clone()));
    let story = async {
        let run = scheduler.start(ask(100, None, CatchUp::All)).await.unwrap().record.spec.run_id;
        let going = until(&scheduler, &run, |snapshot| snapshot.enqueued >= 100).await;
        let RunRecord { spec, revision, .. } = going.record;
        let failing = RunChange { expected_revision: revision, spec, state: RunState::Failed };
        stage.ledger().runs.change(&run, &failing).await.unwrap();
        tokio::time::sleep(Duration::from_secs(60)).await;
        let before = scheduler.resume(&run).await.unwrap().enqueued;
        tokio::time::sleep(Duration::from_secs(10)).await;
        // A hundred a second and no more; its next owner may take a moment to find it.
        let enqueued = scheduler.get(&run).await.unwrap().enqueued - before;
        assert!((700..=1_050).contains(&enqueued), "{enqueued}");
    };
    play(&scheduler, story).await;
}
