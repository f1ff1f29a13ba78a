//! Notices when a run's numbers do not close although its queue is empty, and heals that (see [`paceline_core::repair`]).
//!
//! A job that the broker has confirmed is somewhere: counted, in the queue, or held by a worker. The healer remembers a bound below which
//! every job was confirmed, and waits until the queue has been seen empty since, and the workers' hands too. A job that is not counted then
//! is lost, or stored and not counted. The healer works in the background; the owner sends what the healer finds. Each group of a run has a
//! healer of its own; jobs that one group lost reach all groups again, and a group that has a job already counts it as a duplicate.

use std::time::Duration;

use paceline_core::Result;
use paceline_core::job::Range;
use paceline_core::repair;
use paceline_core::run::{RunRecord, Snapshot};
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;

use crate::context::Context;

/// The time in which nothing has moved in a draining run, and the age of a bound, before anything is asked: longer than a
/// worker's heartbeat interval, so that what workers say about their hands is newer than the bound.
const QUIET: Duration = Duration::from_secs(2);
const ASK_INTERVAL: Duration = Duration::from_secs(1);
/// The pause between two looks at a run that is not draining; doubles while nothing is found.
const LOOK_INTERVAL_MIN: Duration = Duration::from_secs(5);
const LOOK_INTERVAL_MAX: Duration = Duration::from_secs(600);
/// The most ranges that are sent again at once; what remains is found the next time.
const RANGES_MAX: usize = 1_000;

pub struct Healer {
    group: String,
    bound: Option<Bound>,
    search: JoinSet<Result<Found>>,
    search_at: Instant,
    look_interval: Duration,
}

/// Every job below `end` was confirmed when this was made.
struct Bound {
    end: u64,
    /// Processed and dead ones then.
    counted: u64,
    /// When the queue was first seen empty: all jobs below `end` have been handed out by then.
    emptied_at: Option<Instant>,
}

enum Found {
    /// Jobs are queued or wait for a retry.
    Queued,
    /// The queue is empty, and workers hold jobs of it.
    InHands,
    Healed {
        counted: u64,
        lost: u64,
        ranges: Vec<Range>,
    },
}

impl Healer {
    pub fn new(group: &str) -> Self {
        let group = group.to_owned();
        let (search, search_at) = (JoinSet::new(), Instant::now());
        Self { group, bound: None, search, search_at, look_interval: LOOK_INTERVAL_MIN }
    }

    /// True if a run that is not draining should be looked at now.
    pub fn is_due(&self) -> bool {
        Instant::now() >= self.search_at
    }

    /// Takes a look at the numbers of this group; every job below `end` is confirmed. Answers ranges to be sent again, mostly none.
    pub fn look(&mut self, context: &Context, snapshot: &Snapshot, end: u64) -> Vec<Range> {
        let again = self.search.try_join_next().map(|ended| self.note(&snapshot.record, ended)).unwrap_or_default();
        let (now, counted) = (Instant::now(), snapshot.processed + snapshot.dead);
        let is_draining = snapshot.record.state.is_draining();
        if snapshot.in_flight() == 0 {
            self.bound = None;
            self.search_at = if is_draining { now } else { now + self.look_interval };
            return again;
        }
        let is_moving = |bound: &Bound| is_draining && bound.counted != counted;
        let Some(bound) = self.bound.as_ref().filter(|bound| !is_moving(bound)) else {
            self.bound = Some(Bound { end, counted, emptied_at: None });
            self.search_at = now + QUIET;
            return again;
        };
        if now >= self.search_at && self.search.is_empty() {
            self.search_at = now + ASK_INTERVAL;
            let is_patient = bound.emptied_at.is_some_and(|at| at.elapsed() >= context.config.limits.hands_max);
            let group = self.group.clone();
            self.search.spawn(search(context.clone(), snapshot.clone(), group, bound.end, is_patient));
        }
        again
    }

    fn note(&mut self, record: &RunRecord, ended: std::result::Result<Result<Found>, JoinError>) -> Vec<Range> {
        let run = &record.spec.run_id;
        match ended {
            Ok(Ok(Found::Queued)) => self.wait_longer(record),
            Ok(Ok(Found::InHands)) => {
                if let Some(bound) = &mut self.bound {
                    bound.emptied_at.get_or_insert_with(Instant::now);
                }
            }
            Ok(Ok(Found::Healed { counted: 0, lost: 0, .. })) => {
                self.bound = None;
                self.wait_longer(record);
            }
            Ok(Ok(Found::Healed { counted, lost, ranges })) => {
                tracing::warn!(%run, counted, lost, "the numbers did not close: counted what is stored, sending again what is lost");
                self.bound = None;
                self.look_interval = LOOK_INTERVAL_MIN;
                return ranges;
            }
            Ok(Err(error)) => tracing::debug!(%run, %error, "cannot look for lost jobs now"),
            Err(panic) => tracing::error!(%run, %panic, "looking for lost jobs ended badly"),
        }
        Vec::new()
    }

    /// A run that goes on is looked at less and less often while nothing is wrong; a draining one cannot end without.
    fn wait_longer(&mut self, record: &RunRecord) {
        if !record.state.is_draining() {
            self.search_at = Instant::now() + self.look_interval;
            self.look_interval = (self.look_interval * 2).min(LOOK_INTERVAL_MAX);
        }
    }
}

async fn search(context: Context, snapshot: Snapshot, group: String, end: u64, is_patient: bool) -> Result<Found> {
    let spec = &snapshot.record.spec;
    let depth = context.ports.producers.depth(&spec.run_id).await?;
    if depth.ready > 0 || depth.delayed > 0 {
        return Ok(Found::Queued);
    }
    let held = repair::held(&*context.ports.ledger.workers, depth.unacked, &spec.queue, &group).await?;
    if held > 0 && !is_patient {
        return Ok(Found::InHands);
    }
    let healed =
        repair::heal(&*context.ports.ledger.counts, &*context.ports.sink.reader, &spec.run_id, &group, end).await?;
    let ranges = repair::ranges(&healed.lost, spec, context.ports.clock.wall_ms(), RANGES_MAX);
    Ok(Found::Healed { counted: healed.counted, lost: healed.lost.len(), ranges })
}
