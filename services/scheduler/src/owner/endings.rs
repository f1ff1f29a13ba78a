//! Keeps the ends of runs in the sink, until the sink has confirmed each of them, whoever owned the run.
//!
//! The ledger lists an end from the step on that made it, so nothing hangs on the process that took the step. Every scheduler looks
//! at the list in the background, and at once when an owner of its own has ended. Two schedulers that keep the same end do no harm:
//! the sink never lets an older record overwrite a newer one.

use std::time::Duration;

use paceline_core::Result;
use paceline_core::backoff::Backoff;
use paceline_core::error::Error;
use paceline_core::error::codes;
use paceline_core::ids::RunId;
use paceline_runtime::lifecycle::Shutdown;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::context::{Context, Ports};

/// Ends that one look takes from the list.
const PAGE_RUNS: usize = 64;
/// The pause between two looks for ends that no owner of this process has reached.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);
const RETRY_DELAY_MIN: Duration = Duration::from_millis(500);
const RETRY_DELAY_MAX: Duration = Duration::from_secs(10);
/// The longest time that one end may take; a later look tries it again.
const KEEP_TIMEOUT: Duration = Duration::from_secs(10);
/// So many ends in a row that cannot be kept say that the sink is away. The next look begins behind them, so that an end which the
/// sink never takes holds up no other.
const FAILURES_MAX: usize = 3;
/// So long ends may be unkept before that is worth a warning: a sink that is still making its indices is late, and no fault.
const WARN_AFTER: Duration = Duration::from_secs(10);
/// The longest time that a stop waits for ends that are not kept by then; whoever starts next keeps the rest.
const STOP_TIMEOUT: Duration = Duration::from_secs(2);

pub struct RunEndings {
    context: Context,
    /// Where the next look begins; `None` is the beginning of the list, and so of a pass through it.
    after: Option<RunId>,
    /// An end of this pass is not kept.
    has_failed: bool,
    /// Set until a whole pass has kept every end: a look that finds nothing behind the failed ends is no success.
    trouble: Option<Trouble>,
    backoff: Backoff,
}

/// Ends that cannot be kept.
struct Trouble {
    since: Instant,
    has_warned: bool,
}

impl RunEndings {
    pub fn new(context: Context) -> Self {
        let backoff = Backoff::new(RETRY_DELAY_MIN, RETRY_DELAY_MAX);
        Self { context, after: None, has_failed: false, trouble: None, backoff }
    }

    /// Keeps the ends of runs until `shutdown`. A signal of `ended` says that an owner in this process has ended. Cancelling is harmless:
    /// an end that is not noted is kept again.
    pub async fn keep_all(&mut self, ended: &Notify, shutdown: &Shutdown) {
        while shutdown.or(self.look_and_rest(ended)).await.is_some() {}
    }

    /// One more look at a stop.
    pub async fn keep_last(&mut self) {
        self.after = None;
        if !matches!(tokio::time::timeout(STOP_TIMEOUT, self.look()).await, Ok(Ok(_))) {
            tracing::info!("ends of runs may not be kept in the sink yet; the next scheduler keeps them");
        }
    }

    async fn look_and_rest(&mut self, ended: &Notify) {
        let begun = Instant::now();
        let looked = self.look().await;
        self.note(begun, &looked);
        let pause = async {
            match looked {
                Ok(true) => (),
                Ok(false) => tokio::time::sleep(LOOK_INTERVAL).await,
                Err(_) => self.backoff.wait().await,
            }
        };
        // In this order, so that the simulation replays.
        tokio::select! {
            biased;
            () = ended.notified() => (),
            () = pause => (),
        }
    }

    fn note(&mut self, begun: Instant, looked: &Result<bool>) {
        match looked {
            Err(error) => self.tell(begun, error),
            Ok(true) => (),
            Ok(false) => {
                self.backoff.reset();
                if self.trouble.take().is_some() {
                    tracing::info!("ends of runs are kept in the sink again");
                }
            }
        }
    }

    /// Says once that ends are not kept, and once more when that is a fault.
    fn tell(&mut self, begun: Instant, error: &Error) {
        let is_new = self.trouble.is_none();
        let trouble = self.trouble.get_or_insert(Trouble { since: begun, has_warned: false });
        if !trouble.has_warned && trouble.since.elapsed() >= WARN_AFTER {
            trouble.has_warned = true;
            tracing::warn!(%error, "ends of runs are still not kept in the sink; trying until they are");
        } else if is_new {
            tracing::info!(%error, "ends of runs are not kept in the sink yet; trying until they are");
        }
    }

    /// Keeps a page of ends. `Ok`: whether to look again at once; if not, a pass through the list has kept every end. `Err`: some are
    /// not kept.
    async fn look(&mut self) -> Result<bool> {
        let began_at = self.after.take();
        self.has_failed &= began_at.is_some();
        let page = self.context.ports.ledger.runs.unkept(began_at.as_ref(), PAGE_RUNS).await?;
        let (tried, kept) = self.keep_page(&page).await;
        let is_at_end = tried == page.len() && page.len() < PAGE_RUNS;
        self.after = page[..tried].last().filter(|_| !is_at_end).cloned();
        self.has_failed |= kept.is_err();
        kept.map(|()| !is_at_end || self.has_failed)
    }

    /// The number of ends that were tried, and the last reason for which one of them is not kept.
    async fn keep_page(&self, page: &[RunId]) -> (usize, Result<()>) {
        let (mut failures, mut kept) = (0, Ok(()));
        for (index, run) in page.iter().enumerate() {
            match self.keep_in_time(run).await {
                Ok(()) => failures = 0,
                Err(error) => {
                    tracing::debug!(%run, %error, "the run's end is not kept in the sink yet");
                    failures += 1;
                    kept = Err(error);
                }
            }
            if failures == FAILURES_MAX {
                return (index + 1, kept);
            }
        }
        (page.len(), kept)
    }

    async fn keep_in_time(&self, run: &RunId) -> Result<()> {
        let late = |_| {
            Error::unavailable(format!("no answer within {} s", KEEP_TIMEOUT.as_secs())).coded(codes::SINK_UNREACHABLE)
        };
        tokio::time::timeout(KEEP_TIMEOUT, self.keep(run)).await.map_err(late)?
    }

    async fn keep(&self, run: &RunId) -> Result<()> {
        let Ports { ledger, sink, .. } = &self.context.ports;
        let Some(record) = ledger.runs.find(run).await?.filter(|record| record.state.is_terminal()) else {
            return Ok(());
        };
        if let Some(kept) = sink.runs.find(run).await?.filter(|kept| kept.is_ahead_of(&record)) {
            tracing::warn!(%run, cursor = kept.cursor, revision = kept.revision, "the ledger went back in time; restoring the run");
            if ledger.runs.restore(&kept.reopened()).await? != record {
                // It goes on, and ends anew.
                return Ok(());
            }
        }
        sink.runs.keep(&record).await?;
        ledger.runs.note_kept(run, record.revision).await
    }
}
