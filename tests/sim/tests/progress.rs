//! A producer is well while its broker confirms, however slowly, and no longer than two seconds beyond the last confirm.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use paceline_core::ids::RunId;
use paceline_core::job::Range;
use paceline_core::ports::broker::{Confirm, Consumer, DeadLetter, Depth, Message};
use paceline_core::ports::{Broker, RangePublisher};
use paceline_core::trace::Sampling;
use paceline_core::{Error, Result};
use paceline_producer::Producer;
use paceline_scheduler::StartRun;
use tokio::sync::Mutex;

use crate::stage::{Stage, Warnings, in_time, only, play, until};

/// Confirms so many messages a second, one publish after the other; or nothing.
struct SlowBroker {
    per_second: f64,
    line: Mutex<()>,
    is_stuck: AtomicBool,
    held_bytes: AtomicUsize,
    held_bytes_most: AtomicUsize,
}

impl SlowBroker {
    fn new(per_second: f64) -> Arc<Self> {
        let (line, is_stuck) = (Mutex::default(), AtomicBool::new(false));
        Arc::new(Self {
            per_second,
            line,
            is_stuck,
            held_bytes: Default::default(),
            held_bytes_most: Default::default(),
        })
    }
}

fn not_asked<T>() -> Result<T> {
    Err(Error::internal("no story asks for this"))
}

#[async_trait]
impl Broker for SlowBroker {
    async fn declare(&self, _: &str, _: &str) -> Result<()> {
        Ok(())
    }

    async fn publish(&self, _: &str, batch: Vec<Message>) -> Result<Vec<Confirm>> {
        let bytes: usize = batch.iter().map(|message| message.body.len()).sum();
        let held = self.held_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        self.held_bytes_most.fetch_max(held, Ordering::Relaxed);
        let _turn = self.line.lock().await;
        if self.is_stuck.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(Duration::from_secs_f64(batch.len() as f64 / self.per_second)).await;
        self.held_bytes.fetch_sub(bytes, Ordering::Relaxed);
        Ok(vec![Confirm::Confirmed; batch.len()])
    }

    async fn consume(&self, _: &str, _: &str, _: u16) -> Result<Consumer> {
        not_asked()
    }

    async fn depth(&self, _: &str, _: &str) -> Result<Depth> {
        Ok(Depth { ready: 1, ..Depth::default() })
    }

    async fn purge(&self, _: &str, _: &str) -> Result<u64> {
        not_asked()
    }

    async fn dead_letters(&self, _: &str, _: &str, _: usize) -> Result<Vec<DeadLetter>> {
        not_asked()
    }

    async fn check(&self) -> Result<String> {
        Ok("slow".into())
    }
}

fn producer(stage: &Stage, broker: &Arc<SlowBroker>) -> Producer {
    stage.node().publisher("producer", broker.clone(), stage.ledger())
}

/// Looks as often as the producer itself does; for ever, and fails at the first look that is red.
async fn always_serving(producer: &Producer) {
    loop {
        producer.check_confirms().expect("it confirms steadily");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A run that wants more than the broker can confirm: 32 ranges of 2,000 wait at once at first.
#[tokio::test(start_paused = true)]
async fn a_broker_that_confirms_steadily_and_slowly_is_no_broken_one() {
    let (warnings, _guard) = Warnings::heard();
    let stage = Stage::new();
    let broker = SlowBroker::new(10_000.0);
    let producer = producer(&stage, &broker);
    let producers = only(Arc::new(producer.clone()));
    let scheduler = stage.scheduler(producers.clone());
    let story = async {
        let ask = StartRun { jobs: 100_000, per_minutes: 1.0 / 60.0, ..StartRun::default() };
        let run = scheduler.start(ask).await.unwrap().record.spec.run_id;
        until(&scheduler, &run, |snapshot| snapshot.published >= 300_000).await;
        scheduler.stop(&run).await.unwrap();
    };
    let told = async {
        tokio::select! {
            biased;
            () = always_serving(&producer) => (),
            () = play(&scheduler, story) => (),
        }
    };
    in_time(Box::pin(told)).await;
    producers.check().unwrap();
    assert_eq!(warnings.count(), 0);
}

/// One range alone takes four seconds.
#[tokio::test(start_paused = true)]
async fn one_range_that_takes_long_shows_progress_on_its_way() {
    let stage = Stage::new();
    let broker = SlowBroker::new(500.0);
    let producer = producer(&stage, &broker);
    let run = paused_run(&stage).await;
    let begun = tokio::time::Instant::now();
    let publishing = producer.publish(&run, &Range { first: 0, count: 2_000, scheduled_at_ms: 0 }, Sampling::NONE);
    let told = async {
        tokio::select! {
            biased;
            () = always_serving(&producer) => (),
            published = publishing => { published.unwrap(); }
        }
    };
    in_time(told).await;
    assert!(begun.elapsed() >= Duration::from_secs(4));
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_confirms_nothing_is_noticed_after_two_seconds_and_again_well_with_its_first_confirm() {
    let stage = Stage::new();
    let broker = SlowBroker::new(10_000.0);
    let producer = producer(&stage, &broker);
    let run = paused_run(&stage).await;
    let range = Range { first: 0, count: 100, scheduled_at_ms: 0 };
    in_time(producer.publish(&run, &range, Sampling::NONE)).await.unwrap();
    broker.is_stuck.store(true, Ordering::Relaxed);
    let looking = async {
        let begun = tokio::time::Instant::now();
        while producer.check_confirms().is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        begun.elapsed()
    };
    let told = async {
        tokio::select! {
            biased;
            red_after = looking => red_after,
            _ = producer.publish(&run, &range, Sampling::NONE) => panic!("nothing is confirmed"),
        }
    };
    let red_after = in_time(told).await;
    assert!((2_000..=2_100).contains(&red_after.as_millis()), "{red_after:?}");
    broker.is_stuck.store(false, Ordering::Relaxed);
    in_time(producer.publish(&run, &range, Sampling::NONE)).await.unwrap();
    producer.check_confirms().unwrap();
}

/// Two schedulers send ranges of the largest payload at once.
#[tokio::test(start_paused = true)]
async fn large_payloads_are_not_in_memory_all_at_once() {
    const BYTES_MAX: usize = 64 * 1024 * 1024;
    let stage = Stage::new();
    let broker = SlowBroker::new(10_000.0);
    let producer = producer(&stage, &broker);
    let payload = serde_json::json!({"text": "x".repeat(256 * 1024 - 11)}).as_object().cloned().unwrap();
    let ask = StartRun { jobs: 1, per_minutes: 1.0, payload, ..StartRun::default() };
    let run = stage.scheduler(only(Arc::new(producer.clone()))).start(ask).await.unwrap().record.spec.run_id;
    let ranges = (0..16).map(|nth| Range { first: nth * 100, count: 100, scheduled_at_ms: 0 });
    let publishing = ranges.map(|range| {
        let (producer, run) = (producer.clone(), run.clone());
        async move { producer.publish(&run, &range, Sampling::NONE).await }
    });
    in_time(futures::future::try_join_all(publishing)).await.unwrap();
    let most = broker.held_bytes_most.load(Ordering::Relaxed);
    assert!((1..=BYTES_MAX).contains(&most), "{most} of {} bytes", 1_600 * 256 * 1024);
}

/// A run that nobody owns.
async fn paused_run(stage: &Stage) -> RunId {
    let broker = SlowBroker::new(1.0);
    let scheduler = stage.scheduler(only(Arc::new(producer(stage, &broker))));
    let ask = StartRun { jobs: 1, per_minutes: 1.0, ..StartRun::default() };
    scheduler.start(ask).await.unwrap().record.spec.run_id
}
