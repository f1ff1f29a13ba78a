//! Producers that fail, hang and come back, on paused time.

use std::sync::atomic::{AtomicU8, AtomicU64};

use async_trait::async_trait;
use futures::future::join_all;
use paceline_core::ErrorKind;
use paceline_core::trace::Sampling;
use paceline_proto::PROTOCOL;
use paceline_runtime::lifecycle::Shutdown;

use super::*;
use crate::remote::Health;

const WELL: u8 = 0;
const FAILS: u8 = 1;
const HANGS: u8 = 2;
/// It is there and is not let in by its broker, or does not let us in: what ranges are told, in that order.
const IS_REFUSED: u8 = 3;
const REFUSES: u8 = 4;
const KNOWS_NO_RUN: u8 = 5;
const QUEUE_IS_FULL: u8 = 6;

#[derive(Default)]
struct Stub {
    mode: AtomicU8,
    calls: AtomicU64,
}

#[async_trait]
impl RangePublisher for Stub {
    async fn publish(&self, _: &RunId, _: &Range, _: Sampling) -> Result<String> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        match self.mode.load(Ordering::Relaxed) {
            WELL => Ok("stub".into()),
            FAILS => Err(Error::unavailable("away")),
            IS_REFUSED => Err(Error::failed_precondition("RabbitMQ refuses user \"paul\"")),
            REFUSES => Err(Error::internal("the token is not the one that this server expects")),
            QUEUE_IS_FULL => Err(Error::resource_exhausted("queue default refused a job: it is full")),
            KNOWS_NO_RUN => Err(Error::not_found("run some-run is not in the ledger")),
            _ => std::future::pending().await,
        }
    }

    async fn depth(&self, _: &RunId) -> Result<Depth> {
        Ok(Depth::default())
    }
}

/// A stopped process says nothing; what asks it gives up after a while.
#[async_trait]
impl Health for Stub {
    async fn check(&self) -> Result<()> {
        if self.mode.load(Ordering::Relaxed) == HANGS {
            tokio::time::sleep(Duration::from_millis(800)).await;
            return Err(Error::unavailable("no answer to a health check"));
        }
        Ok(())
    }
}

fn stubs<const COUNT: usize>() -> (Producers, [Arc<Stub>; COUNT]) {
    let stubs: [Arc<Stub>; COUNT] = std::array::from_fn(|_| Arc::new(Stub::default()));
    let member = |stub: &Arc<Stub>| ("stub".to_owned(), stub.clone() as Arc<dyn RangePublisher>);
    (Producers::in_process(stubs.iter().map(member).collect()), stubs)
}

fn run() -> RunId {
    RunId::parse("some-run").unwrap()
}

async fn publish(producers: &Producers) -> Result<String> {
    producers
        .publish(&run(), &Range { first: 0, count: 1, scheduled_at_ms: 0 }, Ask::Range { bytes: 300 }, Sampling::NONE)
        .await
}

#[tokio::test(start_paused = true)]
async fn a_failed_range_goes_to_another_at_once_and_the_failing_one_is_left_out() {
    let (producers, [first, second]) = stubs();
    first.mode.store(FAILS, Ordering::Relaxed);
    let begun = Instant::now();
    for _ in 0..100 {
        publish(&producers).await.unwrap();
    }
    assert_eq!(begun.elapsed(), Duration::ZERO, "nobody waited");
    assert_eq!((first.calls.load(Ordering::Relaxed), second.calls.load(Ordering::Relaxed)), (3, 100));
    producers.check().unwrap();
}

#[tokio::test(start_paused = true)]
async fn while_all_are_away_one_call_at_a_time_tries_and_all_go_on_when_it_succeeds() {
    let (producers, [only]) = stubs();
    only.mode.store(FAILS, Ordering::Relaxed);
    let begun = Instant::now();
    let outcomes = join_all((0..50).map(|_| publish(&producers))).await;
    assert!(outcomes.iter().all(Result::is_err) && begun.elapsed() <= WAIT_MAX);
    assert!(producers.check().unwrap_err().message.contains("away"));
    // Three to open it, then one at the end of each cool-down of 0.1, 0.2, 0.4 … s, each of which jitter may halve; a call
    // that was a probe and failed ends its publish.
    let calls = only.calls.load(Ordering::Relaxed);
    assert!(calls <= 3 + 7, "{calls} calls in {:?}", begun.elapsed());

    let back = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        only.mode.store(WELL, Ordering::Relaxed);
    };
    let (outcomes, ()) = tokio::join!(join_all((0..50).map(|_| publish(&producers))), back);
    let late = outcomes.iter().filter(|outcome| outcome.is_err()).count();
    assert!(late <= 4, "only those whose call was the probe: {late}");
    producers.check().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_is_given_up_does_not_close_the_door_for_ever() {
    let (producers, [only]) = stubs();
    only.mode.store(FAILS, Ordering::Relaxed);
    for _ in 0..3 {
        publish(&producers).await.unwrap_err();
    }
    only.mode.store(HANGS, Ordering::Relaxed);
    tokio::time::timeout(WAIT_MAX * 2, publish(&producers)).await.expect_err("it hangs, and its caller gives up");
    only.mode.store(WELL, Ordering::Relaxed);
    publish(&producers).await.unwrap();
}

/// A server that takes connections and says nothing, as a stopped process does.
#[tokio::test]
async fn a_producer_that_hangs_loses_its_ranges_to_another() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", silent.local_addr().unwrap());
    let changed = Arc::new(Notify::new());
    let place = Place { address: address.clone(), origin: None };
    let (publisher, health) = Caller::new(PROTOCOL, None).unwrap().connect(&place).unwrap();
    let hung = Member::new(&address, publisher, Some(health), changed.clone());
    let well = Member::new("well", Arc::new(Stub::default()), None, changed.clone());
    let producers = Producers::new(vec![hung, well], changed);
    let shutdown = Shutdown::new();
    let publishing = async {
        let published = publish(&producers).await;
        shutdown.trigger();
        published
    };
    let (published, ()) = tokio::join!(publishing, producers.probe(shutdown.clone()));
    assert_eq!(published.unwrap(), "stub");
    let members = producers.members();
    assert!(!members[0].condition().0 && members[1].condition().0);
}

/// Two producers that are asked for their health.
fn checked() -> (Producers, Arc<Stub>, Shutdown) {
    let (changed, hung, well) = (Arc::new(Notify::new()), Arc::new(Stub::default()), Arc::new(Stub::default()));
    let members = vec![
        Member::new("hung", hung.clone(), Some(hung.clone()), changed.clone()),
        Member::new("well", well.clone(), Some(well), changed.clone()),
    ];
    (Producers::new(members, changed), hung, Shutdown::new())
}

/// On paused time a range that hangs for ever would otherwise be a test that does.
async fn in_time(story: impl Future<Output = ()>, probing: impl Future<Output = ()>) {
    let both = async { tokio::join!(story, probing) };
    tokio::time::timeout(Duration::from_secs(60), both).await.expect("no range hangs for ever");
}

#[tokio::test(start_paused = true)]
async fn a_range_that_is_the_probe_is_not_held_either() {
    let (producers, hung, shutdown) = checked();
    hung.mode.store(FAILS, Ordering::Relaxed);
    while hung.calls.load(Ordering::Relaxed) < 3 {
        publish(&producers).await.unwrap();
    }
    hung.mode.store(HANGS, Ordering::Relaxed);
    tokio::time::sleep(WAIT_MAX).await;
    let publishing = async {
        // One of the two goes to the one that hangs, whoever's turn it is.
        tokio::join!(publish(&producers), publish(&producers))
    };
    let both = async {
        let (one, other) = publishing.await;
        shutdown.trigger();
        one.and(other).unwrap();
    };
    let begun = Instant::now();
    in_time(both, producers.probe(shutdown.clone())).await;
    assert_eq!(hung.calls.load(Ordering::Relaxed), 4);
    assert!(begun.elapsed() <= Duration::from_secs(2), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn no_range_is_held_for_longer_than_two_seconds_by_one_that_hangs() {
    let (producers, hung, shutdown) = checked();
    let publishing = async {
        hung.mode.store(HANGS, Ordering::Relaxed);
        for _ in 0..1_000 {
            let begun = Instant::now();
            publish(&producers).await.unwrap();
            assert!(begun.elapsed() <= Duration::from_secs(2), "{:?}", begun.elapsed());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        hung.mode.store(WELL, Ordering::Relaxed);
        while !producers.members()[0].condition().0 {
            publish(&producers).await.unwrap();
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        shutdown.trigger();
    };
    in_time(publishing, producers.probe(shutdown.clone())).await;
}

/// The broker that refuses one producer may take another's; a wrong token or a wrong ledger is one producer's too.
#[tokio::test(start_paused = true)]
async fn whatever_a_producer_is_refused_another_is_tried_and_the_words_are_kept() {
    let cases = [(IS_REFUSED, "RabbitMQ refuses user"), (REFUSES, "token"), (KNOWS_NO_RUN, "not in the ledger")];
    for (mode, words) in cases {
        let (producers, [refused, well]) = stubs();
        refused.mode.store(mode, Ordering::Relaxed);
        for _ in 0..100 {
            publish(&producers).await.unwrap();
        }
        assert_eq!((refused.calls.load(Ordering::Relaxed), well.calls.load(Ordering::Relaxed)), (3, 100));
        well.mode.store(mode, Ordering::Relaxed);
        for _ in 0..3 {
            publish(&producers).await.unwrap_err();
        }
        let why = producers.check().unwrap_err();
        assert!(why.kind == ErrorKind::Unavailable && why.message.matches(words).count() == 2, "{why}");
        refused.mode.store(WELL, Ordering::Relaxed);
        tokio::time::sleep(WAIT_MAX).await;
        publish(&producers).await.expect("the one that is let in again");
        producers.check().unwrap();
    }
}

/// Its health knows nothing of the refusal: only a range closes the breaker, so nothing flickers.
#[tokio::test(start_paused = true)]
async fn one_that_is_well_and_refuses_ranges_stays_left_out_until_a_range_succeeds() {
    let (changed, only) = (Arc::new(Notify::new()), Arc::new(Stub::default()));
    let members = vec![Member::new("only", only.clone(), Some(only.clone()), changed.clone())];
    let (producers, shutdown) = (Producers::new(members, changed), Shutdown::new());
    only.mode.store(REFUSES, Ordering::Relaxed);
    let story = async {
        for _ in 0..3 {
            publish(&producers).await.unwrap_err();
        }
        // Each waits for a cool-down of up to 1.5 s, which all must fit into the time of the test.
        for _ in 0..20 {
            publish(&producers).await.unwrap_err();
            assert!(producers.check().unwrap_err().message.contains("token"));
        }
        only.mode.store(WELL, Ordering::Relaxed);
        publish(&producers).await.unwrap();
        producers.check().unwrap();

        // Nobody has a range any more: after a while its own word must do.
        only.mode.store(REFUSES, Ordering::Relaxed);
        for _ in 0..3 {
            publish(&producers).await.unwrap_err();
        }
        only.mode.store(WELL, Ordering::Relaxed);
        let begun = Instant::now();
        while producers.check().is_err() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert!((5_000..7_000).contains(&begun.elapsed().as_millis()), "{:?}", begun.elapsed());
        shutdown.trigger();
    };
    in_time(story, producers.probe(shutdown.clone())).await;
}

/// What is wrong with the run is no producer's fault.
#[tokio::test(start_paused = true)]
async fn a_range_that_nobody_can_publish_is_tried_once_and_leaves_nobody_out() {
    struct Unable(AtomicU64);

    #[async_trait]
    impl RangePublisher for Unable {
        async fn publish(&self, _: &RunId, _: &Range, _: Sampling) -> Result<String> {
            self.0.fetch_add(1, Ordering::Relaxed);
            Err(Error::unpublishable("too large"))
        }

        async fn depth(&self, _: &RunId) -> Result<Depth> {
            Ok(Depth::default())
        }
    }

    let unable: [Arc<Unable>; 2] = std::array::from_fn(|_| Arc::new(Unable(AtomicU64::new(0))));
    let member = |unable: &Arc<Unable>| ("unable".to_owned(), unable.clone() as Arc<dyn RangePublisher>);
    let producers = Producers::in_process(unable.iter().map(member).collect());
    for _ in 0..10 {
        assert_eq!(publish(&producers).await.unwrap_err().kind, ErrorKind::Unpublishable);
    }
    assert_eq!(unable.map(|unable| unable.0.load(Ordering::Relaxed)), [5, 5]);
    producers.check().unwrap();
}

/// A queue that is full says nothing about the producer that found that out.
#[tokio::test(start_paused = true)]
async fn a_queue_that_takes_nothing_leaves_no_producer_out() {
    let (producers, [first, second]) = stubs();
    for stub in [&first, &second] {
        stub.mode.store(QUEUE_IS_FULL, Ordering::Relaxed);
    }
    for _ in 0..10 {
        assert_eq!(publish(&producers).await.unwrap_err().kind, ErrorKind::ResourceExhausted);
    }
    assert_eq!(first.calls.load(Ordering::Relaxed) + second.calls.load(Ordering::Relaxed), 10, "one producer is asked");
    producers.check().unwrap();
}

/// A queue that may hang for long must not be what decides about a producer.
#[tokio::test(start_paused = true)]
async fn a_suspect_range_is_no_probe_and_waits_for_none() {
    let (changed, only) = (Arc::new(Notify::new()), Arc::new(Stub::default()));
    let members = vec![Member::new("only", only.clone(), Some(only.clone()), changed.clone())];
    let producers = Producers::new(members, changed);
    let suspect = || async {
        let range = Range { first: 0, count: 1, scheduled_at_ms: 0 };
        producers.publish(&run(), &range, Ask::Suspect, Sampling::NONE).await
    };
    suspect().await.unwrap();
    only.mode.store(FAILS, Ordering::Relaxed);
    for _ in 0..3 {
        publish(&producers).await.unwrap_err();
    }
    only.mode.store(WELL, Ordering::Relaxed);
    tokio::time::sleep(WAIT_MAX).await;
    let begun = Instant::now();
    assert!(suspect().await.unwrap_err().message.contains("away"));
    assert_eq!(begun.elapsed(), Duration::ZERO);
    publish(&producers).await.unwrap();
    suspect().await.unwrap();
}

/// One run's queue hangs, and a range for it is larger than the window: the runs of other queues go on as if it were not there.
#[tokio::test(start_paused = true)]
async fn a_suspect_range_that_hangs_keeps_no_room_from_others_and_its_failure_is_its_own() {
    let (producers, [only]) = stubs();
    let (run, range) = (run(), Range { first: 0, count: 2_000, scheduled_at_ms: 0 });
    let suspects = (0..20).map(|_| producers.publish(&run, &range, Ask::Suspect, Sampling::NONE));
    only.mode.store(FAILS, Ordering::Relaxed);
    assert!(join_all(suspects).await.iter().all(Result::is_err));
    producers.check().expect("what became of them says nothing about the producer");
    only.mode.store(HANGS, Ordering::Relaxed);
    let hanging = join_all((0..20).map(|_| producers.publish(&run, &range, Ask::Suspect, Sampling::NONE)));
    let others = async {
        for _ in 0..1_000 {
            tokio::task::yield_now().await;
        }
        assert_eq!(only.calls.load(Ordering::Relaxed), 40, "all of them were let through");
        only.mode.store(WELL, Ordering::Relaxed);
        publish(&producers).await.unwrap();
    };
    let begun = Instant::now();
    tokio::select! { biased; _ = hanging => unreachable!("it hangs"), () = others => () }
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

/// Nobody asks these for their health. A suspect range that hangs must not be the one that decides about them, but may show that one is back.
#[tokio::test(start_paused = true)]
async fn without_health_a_suspect_range_decides_by_its_success_alone() {
    let (producers, [only]) = stubs();
    let (run, range) = (run(), Range { first: 0, count: 1, scheduled_at_ms: 0 });
    let suspect = || producers.publish(&run, &range, Ask::Suspect, Sampling::NONE);
    let leave_out = async || {
        only.mode.store(FAILS, Ordering::Relaxed);
        for _ in 0..3 {
            publish(&producers).await.unwrap_err();
        }
        suspect().await.unwrap_err();
        tokio::time::sleep(WAIT_MAX).await;
    };
    leave_out().await;
    only.mode.store(WELL, Ordering::Relaxed);
    suspect().await.unwrap();
    producers.check().unwrap();

    leave_out().await;
    only.mode.store(HANGS, Ordering::Relaxed);
    let begun = Instant::now();
    let others = async {
        tokio::task::yield_now().await;
        only.mode.store(WELL, Ordering::Relaxed);
        publish(&producers).await.unwrap();
    };
    tokio::select! { biased; _ = suspect() => unreachable!("it hangs"), () = others => () }
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

/// Confirms after a while, and knows how many waited at once.
struct Slow {
    takes: Duration,
    waiting: AtomicU64,
    waited_at_once: AtomicU64,
}

#[async_trait]
impl RangePublisher for Slow {
    async fn publish(&self, _: &RunId, _: &Range, _: Sampling) -> Result<String> {
        let waiting = self.waiting.fetch_add(1, Ordering::Relaxed) + 1;
        self.waited_at_once.fetch_max(waiting, Ordering::Relaxed);
        tokio::time::sleep(self.takes).await;
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        Ok("slow".into())
    }

    async fn depth(&self, _: &RunId) -> Result<Depth> {
        Ok(Depth::default())
    }
}

/// So many ranges of so many bytes, all asked for at once; how many waited for their confirm at once.
async fn waited_at_once(takes: Duration, ranges: usize, bytes: u64) -> u64 {
    let slow = Arc::new(Slow { takes, waiting: AtomicU64::new(0), waited_at_once: AtomicU64::new(0) });
    let producers = Producers::local(slow.clone());
    let (run, range) = (run(), Range { first: 0, count: 2_000, scheduled_at_ms: 0 });
    let all = join_all((0..ranges).map(|_| producers.publish(&run, &range, Ask::Range { bytes }, Sampling::NONE)));
    let all = tokio::time::timeout(Duration::from_secs(3600), all).await.expect("no range waits for ever");
    assert!(all.iter().all(Result::is_ok));
    producers.check().unwrap();
    slow.waited_at_once.load(Ordering::Relaxed)
}

/// Ranges wait for room, however long that takes, and a full window is no failure.
#[tokio::test(start_paused = true)]
async fn what_has_no_room_waits_and_is_not_refused() {
    let at_once = waited_at_once(Duration::from_secs(4), 64, 1024 * 1024).await;
    assert_eq!(at_once, 4, "as much as fits at first, and then less");
}

/// The window may have grown beyond what is on its way before an answer gives its room back: those who wait hear of it all the same.
#[tokio::test(start_paused = true)]
async fn what_waits_for_room_is_woken_also_when_the_window_grows() {
    for bytes in [500_000, 600_000, 800_000] {
        let at_once = waited_at_once(Duration::from_millis(10), 64, bytes).await;
        assert!(at_once > 4 * 1024 * 1024 / bytes, "it grows: {at_once}");
    }
}

/// Each look asks every producer, so who waits looks when it is their turn and not with every answer.
#[tokio::test(start_paused = true)]
async fn what_waits_for_room_does_not_look_with_every_answer() {
    const RANGES: u64 = 2_000;
    let slow = Slow { takes: Duration::from_secs(2), waiting: AtomicU64::new(0), waited_at_once: AtomicU64::new(0) };
    let producers = Producers::local(Arc::new(slow));
    let (run, range) = (run(), Range { first: 0, count: 2_000, scheduled_at_ms: 0 });
    let polls = AtomicU64::new(0);
    let all = (0..RANGES).map(|_| {
        let mut publishing =
            Box::pin(producers.publish(&run, &range, Ask::Range { bytes: 1024 * 1024 }, Sampling::NONE));
        let polls = &polls;
        std::future::poll_fn(move |context| {
            polls.fetch_add(1, Ordering::Relaxed);
            publishing.as_mut().poll(context)
        })
    });
    let all =
        tokio::time::timeout(Duration::from_secs(24 * 3600), join_all(all)).await.expect("no range waits for ever");
    assert!(all.iter().all(Result::is_ok));
    let polls = polls.load(Ordering::Relaxed);
    assert!(polls <= 8 * RANGES, "{polls} looks of {RANGES} ranges");
}

/// What `/readyz` shows of them.
#[tokio::test(start_paused = true)]
async fn states_name_each_with_its_reason() {
    let (producers, [first, _second]) = stubs();
    first.mode.store(FAILS, Ordering::Relaxed);
    for _ in 0..6 {
        publish(&producers).await.unwrap();
    }
    let states = producers.states();
    assert_eq!((&states[0]["ok"], &states[0]["why"]), (&false.into(), &"away".into()));
    assert_eq!(states[1]["ok"], true);
}
