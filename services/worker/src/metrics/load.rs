//! The jobs that a worker holds, queue by queue, and the load of its threads: for its heartbeat, by which the scheduler says how many
//! workers a queue needs.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use paceline_core::ports::workers::QueueLoad;
use tokio::runtime::Handle;
use tokio::time::Instant;

/// A measurement is of about so long.
const WINDOW: Duration = Duration::from_secs(10);
/// Samples are taken once a second; more than these are never kept.
const SAMPLES_MAX: usize = 32;

/// The jobs of one queue that the worker holds, as they come and go.
#[derive(Debug, Default)]
pub struct Hands {
    held: AtomicU64,
    ended: AtomicU64,
    hold_us: AtomicU64,
}

impl Hands {
    pub fn took(&self) {
        self.held.fetch_add(1, Ordering::Relaxed);
    }

    /// A job was settled, or lost with its consumer, so long after it was taken.
    pub fn gave(&self, hold: Duration) {
        self.held.fetch_sub(1, Ordering::Relaxed);
        self.ended.fetch_add(1, Ordering::Relaxed);
        self.hold_us.fetch_add(u64::try_from(hold.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

/// Counts since the worker started, as of one moment.
struct Sample {
    at: Instant,
    /// CPU time of all threads together; `None` where the runtime does not say.
    computed: Option<Duration>,
    queues: BTreeMap<String, HandCounts>,
}

#[derive(Debug, Clone, Copy, Default)]
struct HandCounts {
    ended: u64,
    hold_us: u64,
}

/// Takes a sample once a second, and measures the last seconds by them.
#[derive(Default)]
pub struct Meter {
    samples: VecDeque<Sample>,
    /// The load of each queue, by the queue's name, over the last window in which a job ended.
    last: BTreeMap<String, QueueLoad>,
    slots: u64,
}

impl Meter {
    /// The meter of a worker that may hold `slots` jobs of each of its queues.
    pub fn new(slots: u64) -> Self {
        Self { slots, ..Self::default() }
    }

    /// Takes a sample, and answers the load of each queue as of it.
    pub fn look<'a>(
        &mut self,
        hands: impl Iterator<Item = (&'a String, &'a Hands)>,
        now_ms: i64,
    ) -> BTreeMap<String, QueueLoad> {
        let mut sample = Sample { at: Instant::now(), computed: computed(), queues: BTreeMap::new() };
        let mut held = BTreeMap::new();
        for (queue, hands) in hands {
            let counts = HandCounts {
                ended: hands.ended.load(Ordering::Relaxed),
                hold_us: hands.hold_us.load(Ordering::Relaxed),
            };
            sample.queues.insert(queue.clone(), counts);
            held.insert(queue.clone(), hands.held.load(Ordering::Relaxed));
        }
        self.keep(sample);
        held.into_iter()
            .map(|(queue, held)| {
                let load = self.load(&queue, held, now_ms);
                (queue, load)
            })
            .collect()
    }

    /// The share of the window in which the threads computed.
    pub fn busy(&self) -> Option<f64> {
        let (first, last) = (self.samples.front()?, self.samples.back()?);
        let computed = last.computed?.saturating_sub(first.computed?);
        let time = last.at.duration_since(first.at) * threads()?;
        (!time.is_zero()).then(|| (computed.as_secs_f64() / time.as_secs_f64()).min(1.0))
    }

    fn keep(&mut self, sample: Sample) {
        let now = sample.at;
        self.samples.push_back(sample);
        // One that is older than the window stays, so that what is left spans it.
        while self.samples.len() > SAMPLES_MAX || self.samples.get(1).is_some_and(|second| now - second.at >= WINDOW) {
            self.samples.pop_front();
        }
    }

    fn load(&mut self, queue: &str, held: u64, now_ms: i64) -> QueueLoad {
        let counts =
            |sample: Option<&Sample>| sample.and_then(|sample| sample.queues.get(queue)).copied().unwrap_or_default();
        let (before, now) = (counts(self.samples.front()), counts(self.samples.back()));
        let (ended, hold_us) = (now.ended - before.ended, now.hold_us.saturating_sub(before.hold_us));
        let known = self.last.entry(queue.to_owned()).or_default();
        (known.slots, known.held) = (self.slots, held);
        if ended > 0 {
            let window =
                self.samples.back().zip(self.samples.front()).map_or(WINDOW, |(last, first)| last.at - first.at);
            known.per_second = ended as f64 / window.as_secs_f64().max(f64::EPSILON);
            known.hold_ms = Some(hold_us as f64 / 1e3 / ended as f64);
            known.measured_at_ms = Some(now_ms);
        }
        known.clone()
    }
}

/// The time that the threads of this runtime have computed, all together.
fn computed() -> Option<Duration> {
    let metrics = Handle::try_current().ok()?.metrics();
    Some((0..metrics.num_workers()).map(|thread| metrics.worker_total_busy_duration(thread)).sum())
}

fn threads() -> Option<u32> {
    u32::try_from(Handle::try_current().ok()?.metrics().num_workers()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(meter: &mut Meter, hands: &Hands, now_ms: i64) -> QueueLoad {
        meter.look([(&"mail".to_owned(), hands)].into_iter(), now_ms).remove("mail").expect("it is looked at")
    }

    #[tokio::test(start_paused = true)]
    async fn what_ended_in_the_window_is_measured_and_the_last_measurement_stays() {
        let (mut meter, hands) = (Meter::new(20), Hands::default());
        let first = look(&mut meter, &hands, 0);
        assert_eq!((first.slots, first.held, first.hold_ms, first.measured_at_ms), (20, 0, None, None));
        for second in 1..=10_i64 {
            tokio::time::advance(Duration::from_secs(1)).await;
            hands.took();
            hands.took();
            hands.gave(Duration::from_millis(250));
            let load = look(&mut meter, &hands, second * 1_000);
            assert_eq!(
                (load.held, load.hold_ms, load.measured_at_ms),
                (second as u64, Some(250.0), Some(second * 1_000))
            );
            assert!((load.per_second - 1.0).abs() < 1e-9, "{load:?}");
        }
        for second in 11..=60_i64 {
            tokio::time::advance(Duration::from_secs(1)).await;
            let load = look(&mut meter, &hands, second * 1_000);
            assert_eq!((load.held, load.hold_ms), (10, Some(250.0)));
            assert_eq!(
                load.measured_at_ms,
                Some(second.min(19) * 1_000),
                "the last job is in the window of ten seconds until then"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn busy_is_a_share_once_there_is_a_window() {
        let (mut meter, hands) = (Meter::new(1), Hands::default());
        look(&mut meter, &hands, 0);
        assert_eq!(meter.busy(), None);
        tokio::time::advance(Duration::from_secs(1)).await;
        look(&mut meter, &hands, 1_000);
        assert!(meter.busy().is_some_and(|busy| (0.0..=1.0).contains(&busy)), "{:?}", meter.busy());
    }
}
