//! Brings spans from the queue to their keeper, in batches: a receiver of OTLP, or the folder of `paceline dev`.
//!
//! A receiver that is away, slow or full costs spans, which are counted, and never a job or memory.

use std::sync::Arc;
use std::time::Duration;

use paceline_core::Error;
use paceline_core::error::codes;
use paceline_core::ports::SpanKeeper;
use paceline_core::trace::span::Span;
use tokio::sync::mpsc;

use super::traces::{Choice, SpanTally, Traces};
use crate::lifecycle::Shutdown;

/// The most spans of a request.
const BATCH_SPANS_MAX: usize = 512;
/// The longest that spans wait for others.
const GATHER: Duration = Duration::from_secs(1);
/// The longest that a receiver may take for a request; meanwhile the queue fills.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest that a stop waits for what is left.
const STOP_TIMEOUT: Duration = Duration::from_secs(2);

/// Runs `role` with a place for its spans, and brings them to `keeper` until the role has ended. Without a keeper nothing is recorded.
pub async fn beside<T>(
    keeper: Option<Arc<dyn SpanKeeper>>,
    choice: Choice,
    role: impl AsyncFnOnce(Traces) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let Some(keeper) = keeper else { return role(Traces::off()).await };
    let (traces, spans, tally) = Traces::new(choice);
    let ended = Shutdown::new();
    let exporting = run(keeper, spans, tally, ended.clone());
    let working = async {
        let outcome = role(traces).await;
        ended.trigger();
        outcome
    };
    // In boxes: together they would make the future of the whole process large.
    tokio::join!(Box::pin(working), Box::pin(exporting)).0
}

/// Brings spans until `shutdown`, and then those that are left. A receiver that fails is told once, and once more when it is back.
async fn run(keeper: Arc<dyn SpanKeeper>, mut spans: mpsc::Receiver<Span>, tally: Arc<SpanTally>, shutdown: Shutdown) {
    let mut is_away = false;
    let overdue = async {
        shutdown.triggered().await;
        tokio::time::sleep(STOP_TIMEOUT).await;
    };
    tokio::pin!(overdue);
    while let Some(Some(first)) = shutdown.or(spans.recv()).await {
        let mut batch = vec![first];
        _ = shutdown.or(tokio::time::timeout(GATHER, gather(&mut spans, &mut batch))).await;
        let count = batch.len();
        tokio::select! {
            biased;
            () = keep(&*keeper, batch, &tally, &mut is_away) => (),
            () = &mut overdue => return SpanTally::add(&tally.failed, count),
        }
    }
    spans.close();
    let mut rest = Vec::new();
    while spans.try_recv().map(|span| rest.push(span)).is_ok() {}
    let mut left = rest.len();
    let keeping = async {
        for batch in rest.chunks(BATCH_SPANS_MAX) {
            keep(&*keeper, batch.to_vec(), &tally, &mut is_away).await;
            left -= batch.len();
        }
    };
    tokio::select! {
        biased;
        () = keeping => (),
        () = overdue => (),
    }
    SpanTally::add(&tally.failed, left);
}

/// Fills the batch; returns when it is full or no more spans can come.
async fn gather(spans: &mut mpsc::Receiver<Span>, batch: &mut Vec<Span>) {
    loop {
        let room = BATCH_SPANS_MAX - batch.len();
        if room == 0 || spans.recv_many(batch, room).await == 0 {
            return;
        }
    }
}

async fn keep(keeper: &dyn SpanKeeper, batch: Vec<Span>, tally: &SpanTally, is_away: &mut bool) {
    let count = batch.len();
    let kept = tokio::time::timeout(EXPORT_TIMEOUT, keeper.keep(batch)).await;
    let kept = kept.unwrap_or_else(|_| {
        Err(Error::unavailable(format!("no answer within {EXPORT_TIMEOUT:?}")).coded(codes::TELEMETRY_NOT_TAKEN))
    });
    match kept {
        Ok(()) => {
            SpanTally::add(&tally.exported, count);
            if std::mem::take(is_away) {
                tracing::info!("traces are taken again");
            }
        }
        Err(error) => {
            SpanTally::add(&tally.failed, count);
            if !std::mem::replace(is_away, true) {
                tracing::warn!(%error, spans = count, "traces are lost until they are taken again; jobs go on");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicBool, Ordering};

    use async_trait::async_trait;
    use paceline_core::Result;
    use paceline_core::trace::TraceId;

    use super::*;

    #[derive(Default)]
    struct Noting {
        batches: Mutex<Vec<usize>>,
        is_away: AtomicBool,
        hangs: AtomicBool,
    }

    #[async_trait]
    impl SpanKeeper for Noting {
        async fn keep(&self, spans: Vec<Span>) -> Result<()> {
            if self.hangs.load(Ordering::Relaxed) {
                std::future::pending::<()>().await;
            }
            if self.is_away.load(Ordering::Relaxed) {
                return Err(Error::unavailable("connection refused"));
            }
            self.batches.lock().unwrap().push(spans.len());
            Ok(())
        }
    }

    fn write(traces: &Traces, count: usize) {
        (0..count).for_each(|_| traces.write(Span::new(TraceId(1), None, "job", (0, 1))));
    }

    #[tokio::test(start_paused = true)]
    async fn spans_are_kept_in_batches_and_the_last_at_the_stop() {
        let (traces, spans, tally) = Traces::new(Choice::default());
        let (keeper, shutdown) = (Arc::new(Noting::default()), Shutdown::new());
        let story = async {
            write(&traces, BATCH_SPANS_MAX + 88);
            tokio::time::sleep(GATHER * 3).await;
            assert_eq!(*keeper.batches.lock().unwrap(), [BATCH_SPANS_MAX, 88]);
            write(&traces, 3);
            shutdown.trigger();
        };
        tokio::join!(run(keeper.clone(), spans, tally.clone(), shutdown.clone()), story);
        assert_eq!(keeper.batches.lock().unwrap().iter().sum::<usize>(), BATCH_SPANS_MAX + 91);
        assert_eq!(SpanTally::get(&tally.exported), BATCH_SPANS_MAX as u64 + 91);
    }

    #[tokio::test(start_paused = true)]
    async fn a_receiver_that_refuses_or_hangs_costs_counted_spans_and_a_stop_is_bounded() {
        let (traces, spans, tally) = Traces::new(Choice::default());
        let (keeper, shutdown) = (Arc::new(Noting::default()), Shutdown::new());
        keeper.is_away.store(true, Ordering::Relaxed);
        let story = async {
            write(&traces, 5);
            tokio::time::sleep(GATHER * 2).await;
            assert_eq!(SpanTally::get(&tally.failed), 5);
            keeper.is_away.store(false, Ordering::Relaxed);
            write(&traces, 4);
            tokio::time::sleep(GATHER * 2).await;
            assert_eq!(SpanTally::get(&tally.exported), 4);
            keeper.hangs.store(true, Ordering::Relaxed);
            write(&traces, 3);
            tokio::time::sleep(GATHER + EXPORT_TIMEOUT * 2).await;
            assert_eq!(SpanTally::get(&tally.failed), 8);
            write(&traces, 2);
            shutdown.trigger();
            tokio::time::Instant::now()
        };
        let ((), stopped_at) = tokio::join!(run(keeper.clone(), spans, tally.clone(), shutdown.clone()), story);
        assert!(stopped_at.elapsed() <= STOP_TIMEOUT, "{:?}", stopped_at.elapsed());
        assert_eq!(SpanTally::get(&tally.failed), 10);
    }
}
