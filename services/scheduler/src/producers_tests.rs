//! Producers that fail, hang and come back, on paused time.

use std::sync::atomic::{AtomicU8, AtomicU64};

use async_trait::async_trait;

use super::*;
use crate::remote::Health;

const WELL: u8 = 0;
const FAILS: u8 = 1;
const HANGS: u8 = 2;

#[derive(Default)]
struct Stub {
    mode: AtomicU8,
    calls: AtomicU64,
}

#[async_trait]
impl RangePublisher for Stub {
    async fn publish(&self, _: &RunId, _: &Range) -> Result<String> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        match self.mode.load(Ordering::Relaxed) {
            WELL => Ok("stub".into()),
            FAILS => Err(Error::unavailable("away")),
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
    producers.publish(&run(), &Range { first: 0, count: 1, scheduled_at_ms: 0 }).await
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
    let (publisher, health) = remote(&address, None).unwrap();
    let hung = Member::new(&address, Arc::new(publisher), Some(Arc::new(health)), changed.clone());
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
    assert!(!producers.members[0].condition().0 && producers.members[1].condition().0);
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
        while !producers.members[0].condition().0 {
            publish(&producers).await.unwrap();
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        shutdown.trigger();
    };
    in_time(publishing, producers.probe(shutdown.clone())).await;
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
