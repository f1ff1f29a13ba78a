//! The flusher against a sink that refuses, in part or whole, and against consumers that are lost meanwhile. On paused time.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use paceline_core::Error;
use paceline_core::document::{Document, Status};
use paceline_core::ids::RunId;
use paceline_core::ports::broker::{Delivery, Message};
use paceline_core::ports::documents::Verdict;
use paceline_runtime::lifecycle::Shutdown;
use paceline_runtime::readiness::{HICCUP, Readiness};
use serde_json::Map;
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

use super::flusher::{Flusher, RETRY_DELAY_MIN};
use crate::execution::Execution;
use crate::health::WorkerHealth;
use crate::intake::{HeldJob, Hold, OpenConsumer};
use crate::metrics::Stats;
use crate::spans::{Received, Way};
use crate::stubs::{self, Answer, CountingLedger, NotingSettle, ScriptedSink, Settlements};

struct Bench {
    sink: Arc<ScriptedSink>,
    ledger: Arc<CountingLedger>,
    stats: Arc<Stats>,
    readiness: Readiness,
    settlements: Arc<Settlements>,
    flusher: Flusher,
}

fn bench(batch_max: usize, script: Vec<Answer>) -> Bench {
    let (sink, ledger) = (Arc::new(ScriptedSink::default()), Arc::new(CountingLedger::default()));
    sink.script.lock().unwrap().extend(script);
    let context = Arc::new(stubs::context(sink.clone(), ledger.clone(), batch_max));
    let (stats, readiness) = (Arc::new(stubs::stats(&context)), Readiness::new("worker", "w"));
    let health = WorkerHealth::new(readiness.clone(), &context, &stats);
    let flusher = Flusher::new(context, stats.clone(), health, Shutdown::new());
    Bench { sink, ledger, stats, readiness, settlements: Arc::default(), flusher }
}

impl Bench {
    fn held(&self, seq: u64) -> HeldJob {
        let message = Message {
            id: format!("r-{seq}"),
            handler: "record".into(),
            run: "r".into(),
            seq: Some(seq),
            attempt: 1,
            timestamp_ms: 0,
            traceparent: None,
            body: Bytes::new(),
        };
        let settle = Box::new(NotingSettle(self.settlements.clone()));
        let received = Received { attempt: 1, redeliveries: 0, enqueued_at_ms: 0, started_us: 0 };
        let way = Way::new(&message, &message.id, received);
        let delivery = Delivery { message, redeliveries: 0, given_up: None, settle };
        let execution = Execution { document: Some(document(seq)), delivery, dead: None, way };
        let open = OpenConsumer::new(self.stats.clone(), "default");
        HeldJob { execution, hold: Hold::new(TaskTracker::new().token(), &open) }
    }

    /// Hands the jobs 0 .. `count` over at once and waits until the flusher is done.
    async fn flush(&self, count: u64) {
        let (sender, receiver) = mpsc::channel(count as usize);
        for seq in 0..count {
            assert!(sender.send(self.held(seq)).await.is_ok());
        }
        drop(sender);
        self.flusher.clone().run(receiver).await;
    }

    fn requests(&self) -> Vec<Vec<u64>> {
        self.sink.requests.lock().unwrap().clone()
    }

    fn sink_check(&self) -> paceline_runtime::readiness::ReadinessCheck {
        self.readiness.report().checks.into_iter().find(|check| check.name == "sink").expect("it is a condition")
    }
}

fn document(seq: u64) -> Document {
    Document {
        job_id: format!("r-{seq}"),
        run_id: RunId::parse("r").unwrap(),
        queue: "default".into(),
        group: "main".into(),
        seq,
        status: Status::Completed,
        attempts: 1,
        scheduled_at: 0,
        enqueued_at: 0,
        started_at: 0,
        completed_at: 0,
        wait_ms: 0,
        run_ms: 0,
        worker_id: "w".into(),
        trace_id: None,
        error: None,
        payload: Map::from_iter([("n".to_owned(), seq.into())]),
    }
}

/// A verdict for each document, by its seq.
fn by_seq(verdict: impl Fn(u64) -> Verdict + Send + 'static) -> Answer {
    Box::new(move |documents| Ok(documents.iter().map(|document| verdict(document.seq)).collect()))
}

fn overloaded() -> Verdict {
    Verdict::Retry { after: Duration::from_millis(200), reason: "429".into() }
}

fn away() -> Answer {
    Box::new(|_| Err(Error::unavailable("connection refused")))
}

#[tokio::test(start_paused = true)]
async fn what_the_sink_cannot_take_now_is_sent_again_alone() {
    let odd_later = by_seq(|seq| if seq % 2 == 1 { overloaded() } else { Verdict::Stored });
    let bench = bench(100, vec![odd_later]);
    bench.flush(6).await;
    assert_eq!(bench.requests(), [vec![0, 1, 2, 3, 4, 5], vec![1, 3, 5]]);
    assert_eq!(bench.ledger.0.lock().unwrap().len(), 6, "each counted once");
    assert_eq!(bench.settlements.acked.load(Ordering::Relaxed), 6);
    assert_eq!(bench.stats.held.load(Ordering::Relaxed), 0);
}

#[tokio::test(start_paused = true)]
async fn what_the_sink_will_never_take_makes_only_that_job_dead_with_its_reason() {
    let mapping = "mapper_parsing_exception: failed to parse field [payload.n]";
    let conflict = by_seq(move |seq| match seq {
        2 => Verdict::Reject { reason: mapping.into() },
        _ => Verdict::Stored,
    });
    let bench = bench(100, vec![conflict]);
    bench.flush(5).await;
    assert_eq!(bench.requests(), [vec![0, 1, 2, 3, 4], vec![2]], "its record as dead");
    let stored = bench.sink.stored.lock().unwrap();
    let dead: Vec<_> = stored.iter().filter(|document| document.status == Status::Dead).collect();
    assert_eq!((stored.len(), dead.len(), dead[0].seq), (5, 1, 2));
    assert!(dead[0].error.as_ref().unwrap().contains(mapping) && dead[0].payload.is_empty());
    let letters = bench.settlements.dead.lock().unwrap();
    assert!(letters.len() == 1 && letters[0].contains(mapping));
    assert_eq!(bench.settlements.acked.load(Ordering::Relaxed), 4);
    assert_eq!(bench.ledger.0.lock().unwrap().iter().filter(|settled| settled.dead).count(), 1);
}

/// 429 for some of a batch, then for all of the next: the batches after are smaller, and grow again.
#[tokio::test(start_paused = true)]
async fn overload_makes_the_batches_smaller() {
    let some = by_seq(|seq| if seq == 0 { overloaded() } else { Verdict::Stored });
    let bench = bench(200, vec![some, by_seq(|_| overloaded())]);
    bench.flush(1_000).await;
    let sizes: Vec<_> = bench.requests().iter().map(Vec::len).collect();
    assert_eq!(sizes[0], 200);
    let smallest_full = sizes.iter().copied().filter(|size| *size > 1).min();
    assert!(smallest_full.is_some_and(|size| size <= 100), "{sizes:?}");
    assert_eq!(bench.ledger.0.lock().unwrap().len(), 1_000);
    let (batch, in_flight) = bench.flusher.limits();
    assert!(batch > smallest_full.unwrap() && in_flight >= 1, "grown again: {batch}");
}

/// The pauses are short enough that a sink that is back is used within a second, however long it was away.
#[tokio::test(start_paused = true)]
async fn a_sink_that_was_away_for_long_is_used_within_a_second_of_its_return() {
    let tries_in_a_minute = 80;
    let bench = bench(100, (0..tries_in_a_minute).map(|_| away()).collect());
    bench.readiness.condition("sink").set_ok();
    let begun = tokio::time::Instant::now();
    bench.flush(10).await;
    let pause = begun.elapsed() / tries_in_a_minute;
    assert!(pause <= Duration::from_secs(1), "{pause:?} between tries");
    // So many refusals leave a window of one document; what that one opens takes the rest.
    let sizes: Vec<_> = bench.requests().iter().skip(tries_in_a_minute as usize).map(Vec::len).collect();
    assert_eq!(sizes, [1, 9]);
    assert!(bench.sink_check().ok, "well again");
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_takes_nothing_turns_the_worker_red_after_a_hiccup_and_says_why() {
    let bench = bench(100, (0..10).map(|_| by_seq(|_| overloaded())).collect());
    bench.readiness.tolerant("sink", HICCUP).set_ok();
    let looking = async {
        tokio::time::sleep(HICCUP + Duration::from_millis(50)).await;
        bench.sink_check()
    };
    let ((), seen) = tokio::join!(bench.flush(3), looking);
    assert!(!seen.ok && seen.why.as_ref().unwrap().contains("429"), "{seen:?}");
    assert!(bench.sink_check().ok);
}

/// After a stop by SIGSTOP, a delivery of a connection that is gone is somebody else's.
#[tokio::test(start_paused = true)]
async fn what_a_lost_consumer_held_is_not_stored_late() {
    let bench = bench(100, vec![away(), away()]);
    let settlements = bench.settlements.clone();
    let losing = async {
        tokio::time::sleep(RETRY_DELAY_MIN / 4).await;
        settlements.is_lost.store(true, Ordering::Relaxed);
    };
    tokio::join!(bench.flush(5), losing);
    assert_eq!(bench.requests().len(), 1, "the one before it was lost");
    assert!(bench.sink.stored.lock().unwrap().is_empty() && bench.ledger.0.lock().unwrap().is_empty());
    assert_eq!(settlements.acked.load(Ordering::Relaxed), 0);
    assert_eq!(bench.stats.held.load(Ordering::Relaxed), 0, "nothing is kept of it");
}

/// A broker that blocks publishers, or a dead queue without a leader.
#[tokio::test(start_paused = true)]
async fn a_dead_queue_that_takes_nothing_holds_back_no_other_batch() {
    // Four documents are refused; that they are dead is stored.
    let verdict = |document: &Document| match document.status {
        Status::Completed if document.seq < 4 => Verdict::Reject { reason: "mapping".into() },
        _ => Verdict::Stored,
    };
    let answer = || -> Answer { Box::new(move |documents| Ok(documents.iter().map(verdict).collect())) };
    let bench = bench(1, (0..16).map(|_| answer()).collect());
    bench.settlements.is_dead_queue_stuck.store(true, Ordering::Relaxed);
    let stored_others = async {
        while bench.sink.stored.lock().unwrap().len() < 12 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        tokio::time::Instant::now()
    };
    let begun = tokio::time::Instant::now();
    let ((), stored_at) = tokio::join!(bench.flush(12), stored_others);
    assert!(stored_at - begun < Duration::from_secs(1), "{:?}", stored_at - begun);
    assert_eq!(bench.stats.held.load(Ordering::Relaxed), 0, "it waits for what is on its way to the dead queue");
    let publishes = bench.readiness.report().checks.into_iter().find(|check| check.name == "publishes").unwrap();
    assert!(publishes.why.unwrap().contains("not confirmed"), "red after a hiccup");
}
