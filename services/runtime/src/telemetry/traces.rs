//! The hand-over of spans: a bounded queue from roles to [`export`](super::export). No role ever waits; a span without room is counted and
//! dropped.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use paceline_core::trace::span::Span;
use paceline_core::trace::{Sampling, TRACES_PER_SECOND_DEFAULT};
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Spans that wait for the exporter, some 2 MB of them.
const QUEUE_SPANS_MAX: usize = 4_096;
/// Spans of a job that has ended, about.
const TREE_SPANS: usize = 8;
/// A job is slow if it takes longer than this from being due to its end, unless the settings say otherwise.
pub const SLOW_DEFAULT: Duration = Duration::from_secs(10);

/// The traces that are recorded.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Choice {
    /// Traces that all runs together record from their beginning.
    pub per_second: f64,
    /// A job that takes at least so long is traced, chosen or not.
    pub slow: Duration,
}

impl Default for Choice {
    fn default() -> Self {
        Self { per_second: TRACES_PER_SECOND_DEFAULT, slow: SLOW_DEFAULT }
    }
}

/// The numbers of spans that were exported, dropped or lost.
#[derive(Debug, Default)]
pub struct SpanTally {
    pub exported: AtomicU64,
    /// The queue was full.
    pub dropped: AtomicU64,
    /// The receiver did not take them.
    pub failed: AtomicU64,
}

impl SpanTally {
    pub fn add(counter: &AtomicU64, spans: usize) {
        counter.fetch_add(spans as u64, Ordering::Relaxed);
    }

    pub fn get(counter: &AtomicU64) -> u64 {
        counter.load(Ordering::Relaxed)
    }
}

/// A cheap handle. Off, it records nothing, and costs a comparison.
#[derive(Debug, Clone, Default)]
pub struct Traces(Option<Arc<Inner>>);

#[derive(Debug)]
struct Inner {
    queue: mpsc::Sender<Span>,
    choice: Choice,
    tally: Arc<SpanTally>,
    calls: Mutex<Bucket>,
}

/// A token bucket: lets through at a rate, and up to a second's worth at once.
#[derive(Debug)]
struct Bucket {
    tokens: f64,
    filled_at: Instant,
}

impl Bucket {
    fn take(&mut self, per_second: f64, now: Instant) -> bool {
        let earned = now.saturating_duration_since(self.filled_at).as_secs_f64() * per_second;
        (self.tokens, self.filled_at) = ((self.tokens + earned).min(per_second.max(1.0)), now);
        let is_full_enough = per_second > 0.0 && self.tokens >= 1.0;
        self.tokens -= if is_full_enough { 1.0 } else { 0.0 };
        is_full_enough
    }
}

impl Traces {
    pub fn off() -> Self {
        Self(None)
    }

    /// The handle, and the other end of its queue.
    pub fn new(choice: Choice) -> (Self, mpsc::Receiver<Span>, Arc<SpanTally>) {
        let (queue, spans) = mpsc::channel(QUEUE_SPANS_MAX);
        let tally = Arc::new(SpanTally::default());
        let calls = Mutex::new(Bucket { tokens: choice.per_second.max(1.0), filled_at: Instant::now() });
        (Self(Some(Arc::new(Inner { queue, choice, tally: tally.clone(), calls }))), spans, tally)
    }

    /// The counts of exported, dropped and failed spans; `None` while off.
    pub fn tally(&self) -> Option<Arc<SpanTally>> {
        self.0.as_ref().map(|inner| inner.tally.clone())
    }

    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// `None` while off.
    pub fn slow(&self) -> Option<Duration> {
        self.0.as_ref().map(|inner| inner.choice.slow)
    }

    /// The sampling by which a run of so many jobs a second records from their beginning, one of `runs` that go on.
    pub fn sampling(&self, jobs_per_second: f64, runs: usize) -> Sampling {
        let share = |inner: &Arc<Inner>| Sampling::bounded(inner.choice.per_second, jobs_per_second, runs);
        self.0.as_ref().map_or(Sampling::NONE, share)
    }

    /// True if a call of the API may be recorded: of all that ask, as many a second as there are traces.
    pub fn may_begin_call(&self) -> bool {
        self.0.as_ref().is_some_and(|inner| {
            let mut calls = inner.calls.lock().expect("no code panics while it holds the bucket");
            calls.take(inner.choice.per_second, Instant::now())
        })
    }

    /// Gives a recording back that turned out to be none: another call may be recorded in its place.
    pub fn unbegin_call(&self) {
        if let Some(inner) = &self.0 {
            inner.calls.lock().expect("no code panics while it holds the bucket").tokens += 1.0;
        }
    }

    /// True if there is room for the tree of a job. A caller with many spans to make asks before, and says if it made none.
    pub fn has_room(&self) -> bool {
        self.0.as_ref().is_some_and(|inner| inner.queue.capacity() >= TREE_SPANS)
    }

    /// Counts a tree for which there was no room.
    pub fn skipped(&self) {
        if let Some(inner) = &self.0 {
            SpanTally::add(&inner.tally.dropped, TREE_SPANS);
        }
    }

    pub fn write(&self, span: Span) {
        if let Some(inner) = &self.0
            && inner.queue.try_send(span).is_err()
        {
            SpanTally::add(&inner.tally.dropped, 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use paceline_core::trace::TraceId;

    use super::*;

    #[test]
    fn a_full_queue_costs_spans_that_are_counted_and_nobody_waits() {
        let (traces, mut spans, tally) = Traces::new(Choice::default());
        for _ in 0..QUEUE_SPANS_MAX + 7 {
            traces.write(Span::new(TraceId(1), None, "job", (0, 1)));
        }
        assert_eq!((SpanTally::get(&tally.dropped), traces.has_room()), (7, false));
        assert!(spans.try_recv().is_ok() && !traces.has_room(), "a tree needs more");
        (0..TREE_SPANS).for_each(|_| assert!(spans.try_recv().is_ok()));
        assert!(traces.has_room());
        drop(spans);
        traces.write(Span::new(TraceId(1), None, "job", (0, 1)));
        traces.skipped();
        assert_eq!(SpanTally::get(&tally.dropped), 8 + TREE_SPANS as u64, "without an exporter too");
    }

    #[tokio::test(start_paused = true)]
    async fn callers_cannot_have_more_recorded_than_the_settings_say() {
        let begun = |traces: &Traces| (0..1_000).filter(|_| traces.may_begin_call()).count();
        let (traces, _spans, _) = Traces::new(Choice { per_second: 10.0, ..Choice::default() });
        assert_eq!(begun(&traces), 10);
        tokio::time::advance(Duration::from_millis(300)).await;
        assert_eq!(begun(&traces), 3);
        traces.unbegin_call();
        assert_eq!(begun(&traces), 1);
        tokio::time::advance(Duration::from_secs(3_600)).await;
        assert_eq!(begun(&traces), 10);
        let (none, _spans, _) = Traces::new(Choice { per_second: 0.0, ..Choice::default() });
        assert_eq!((begun(&none), begun(&Traces::off())), (0, 0));
    }

    #[test]
    fn off_records_nothing() {
        let traces = Traces::off();
        traces.write(Span::new(TraceId(1), None, "job", (0, 1)));
        assert_eq!((traces.sampling(1.0, 1), traces.has_room(), traces.slow()), (Sampling::NONE, false, None));
    }
}
