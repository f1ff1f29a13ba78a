//! Ranges that wait for room in the windows, on paused time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures::future::join_all;
use paceline_core::Result;
use paceline_core::ids::RunId;
use paceline_core::job::Range;
use paceline_core::ports::RangePublisher;
use paceline_core::ports::broker::Depth;
use paceline_core::trace::Sampling;

use super::stub::run;
use crate::producers::admission::Ask;
use crate::producers::pool::Producers;

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
