//! The flusher: takes the jobs that have ended, as many as are there, and brings them through sink → ledger → ack, in that order (L4).

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use paceline_core::backoff::Backoff;
use paceline_core::seam::Seam;
use paceline_runtime::lifecycle::Shutdown;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::batch::DocumentBatch;
use super::gauges;
use super::window::SinkWindow;
use crate::context::Context;
use crate::health::WorkerHealth;
use crate::intake::HeldJob;
use crate::metrics::Stats;
use crate::spans::{Scribe, Steps};

pub(super) const RETRY_DELAY_MIN: Duration = Duration::from_millis(100);
pub(super) const RETRY_DELAY_MAX: Duration = Duration::from_secs(1);
/// The longest that a request waits to grow. Its predecessor may hang, on an index that refuses for instance.
const GATHER_MAX: Duration = Duration::from_millis(50);

/// A cheap handle; every batch in flight has one.
#[derive(Clone)]
pub struct Flusher {
    pub(super) context: Arc<Context>,
    pub(super) stats: Arc<Stats>,
    pub(super) health: Arc<WorkerHealth>,
    window: Arc<Mutex<SinkWindow>>,
    /// Messages in flight to the dead queue: no more than the deliveries that are held.
    dead_letters: Arc<Mutex<JoinSet<()>>>,
    crashed: Shutdown,
}

impl Flusher {
    pub fn new(context: Arc<Context>, stats: Arc<Stats>, health: Arc<WorkerHealth>, crashed: Shutdown) -> Self {
        let window = Arc::new(Mutex::new(SinkWindow::new(context.config.batch_max)));
        gauges::show(&context.config.instruments.metrics, &stats, &health, &window);
        Self { context, stats, health, window, dead_letters: Arc::default(), crashed }
    }

    /// Flushes until every sender is gone and everything is settled, or until a fault strikes.
    pub async fn run(self, mut queue: mpsc::Receiver<HeldJob>) {
        let mut flights: JoinSet<()> = JoinSet::new();
        let crashed = self.crashed.clone();
        // Documents of the request before.
        let mut before = 0;
        let working = async {
            loop {
                let (batch_max, in_flight_max) = self.limits();
                if flights.len() >= in_flight_max {
                    flights.join_next().await;
                    continue;
                }
                let mut held = Vec::new();
                if queue.recv_many(&mut held, batch_max).await == 0 {
                    break;
                }
                while flights.try_join_next().is_some() {}
                self.gather(&mut held, before.min(batch_max), &mut queue, &mut flights).await;
                before = held.len();
                flights.spawn(self.clone().flush(held));
            }
            while flights.join_next().await.is_some() {}
            let mut dead_letters = std::mem::take(&mut *self.dead_letters());
            while dead_letters.join_next().await.is_some() {}
        };
        crashed.or(working).await;
    }

    /// Lets a request that has a predecessor in flight grow to the size of that: much of the sink's work for a request is the same
    /// whatever is in it. A job that comes alone follows one that came alone, and waits for nothing.
    async fn gather(
        &self,
        held: &mut Vec<HeldJob>,
        enough: usize,
        queue: &mut mpsc::Receiver<HeldJob>,
        flights: &mut JoinSet<()>,
    ) {
        let waited = tokio::time::sleep(GATHER_MAX);
        tokio::pin!(waited);
        while !flights.is_empty() && held.len() < enough {
            let room = enough - held.len();
            tokio::select! {
                biased;
                Some(_) = flights.join_next() => (),
                count = queue.recv_many(held, room) => if count == 0 { return },
                () = &mut waited => return,
            }
        }
    }

    async fn flush(self, held: Vec<HeldJob>) {
        if self.dies(Seam::BeforeSink) {
            return;
        }
        let mut pending = DocumentBatch::new(held);
        let mut backoff = Backoff::new(RETRY_DELAY_MIN, RETRY_DELAY_MAX);
        let _storing = self.health.storing();
        loop {
            pending.drop_lost();
            if pending.documents.is_empty() {
                return;
            }
            let sent_us = self.context.ports.clock.wall_us();
            let (stored, pause) = self.store(&mut pending).await;
            if !stored.documents.is_empty() && !self.finish(stored, sent_us).await {
                return;
            }
            if let Some(asked) = pause {
                self.back_off(&mut backoff, asked).await;
            }
        }
    }

    /// The steps after the sink, for the jobs that are stored; false if a fault struck.
    async fn finish(&self, mut stored: DocumentBatch, sent_us: i64) -> bool {
        let mut steps = Steps { sent_us, stored_us: self.context.ports.clock.wall_us(), ..Steps::default() };
        Scribe::of(&self.context).stored(stored.jobs(), steps);
        if self.dies(Seam::SinkToLedger) {
            return false;
        }
        self.count(&stored).await;
        steps.counted_us = self.context.ports.clock.wall_us();
        if self.dies(Seam::LedgerToAck) {
            return false;
        }
        self.settle(stored, steps);
        true
    }

    /// Overload: smaller batches, and a pause with jitter.
    async fn back_off(&self, backoff: &mut Backoff, asked: Duration) {
        self.window().refused();
        backoff.wait_at_least(asked).await;
    }

    pub(super) fn dead_letters(&self) -> MutexGuard<'_, JoinSet<()>> {
        self.dead_letters.lock().expect("no code panics while it holds the dead letters")
    }

    fn dies(&self, seam: Seam) -> bool {
        let dies = self.context.config.faults.strikes(seam) || self.crashed.is_triggered();
        if dies {
            self.crashed.trigger();
        }
        dies
    }

    /// (documents in a request, requests in flight) as of now.
    pub(super) fn limits(&self) -> (usize, usize) {
        let window = self.window();
        (window.batch(), window.in_flight())
    }

    pub(super) fn window(&self) -> MutexGuard<'_, SinkWindow> {
        self.window.lock().expect("no code panics while it holds the window")
    }
}
