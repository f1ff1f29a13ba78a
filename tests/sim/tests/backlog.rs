//! L7: a run whose queue is over the high-water mark reserves nothing more until the queue is below nine tenths of the mark.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use paceline_core::Result;
use paceline_core::ids::RunId;
use paceline_core::job::Range;
use paceline_core::ports::RangePublisher;
use paceline_core::ports::broker::Depth;
use paceline_core::trace::Sampling;
use paceline_scheduler::StartRun;

use crate::stage::{Stage, only, play, until};

const MARK: u64 = 100;
const JOBS_PER_SECOND: u64 = 100;
/// The scheduler asks for the depth once a second. A tenth more is for the answer, and for jobs that are reserved and not in the queue yet.
const BLIND_TENTHS_S: u64 = 11;
const ENQUEUED_MAX: u64 = MARK + JOBS_PER_SECOND * BLIND_TENTHS_S / 10;

/// A queue that nobody consumes: its depth is what was published, until a test sets it.
#[derive(Default)]
struct Queue(AtomicU64);

#[async_trait]
impl RangePublisher for Queue {
    async fn publish(&self, _: &RunId, range: &Range, _: Sampling) -> Result<String> {
        self.0.fetch_add(range.count, Ordering::Relaxed);
        Ok("only".into())
    }

    async fn depth(&self, _: &RunId) -> Result<Depth> {
        Ok(Depth { ready: self.0.load(Ordering::Relaxed), ..Depth::default() })
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_is_held_back_within_a_second_of_the_mark_and_goes_on_below_nine_tenths() {
    let (stage, queue) = (Stage::with_high_water(MARK), Arc::new(Queue::default()));
    let scheduler = stage.scheduler(only(queue.clone()));
    let story = async {
        let ask = StartRun { jobs: JOBS_PER_SECOND, per_minutes: 1.0 / 60.0, ..StartRun::default() };
        let run = scheduler.start(ask).await.unwrap().record.spec.run_id;
        let after = async |seconds| {
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            scheduler.get(&run).await.unwrap().enqueued
        };
        let held = after(10).await;
        assert!((MARK..=ENQUEUED_MAX).contains(&held), "{held} jobs exist at a mark of {MARK}");
        assert_eq!(after(60).await, held, "nothing is reserved above the mark");

        queue.0.store(MARK / 10 * 9, Ordering::Relaxed);
        assert_eq!(after(5).await, held, "nothing is reserved at nine tenths of the mark");
        queue.0.store(MARK / 10 * 9 - 1, Ordering::Relaxed);
        until(&scheduler, &run, |snapshot| snapshot.enqueued > held).await;
    };
    play(&scheduler, story).await;
}
