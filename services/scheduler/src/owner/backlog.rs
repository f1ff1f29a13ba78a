//! Asks for the depth of a run's queue, so that the owner holds back while the queue is over the high-water mark (L7).
//!
//! The broker is asked in the background: an answer that is late or missing must not stop the owner from renewing its lease. Until
//! there is a newer answer the last one stands, because unknown is not empty (L8).

use std::time::Duration;

use paceline_core::Result;
use paceline_core::ids::RunId;
use paceline_core::ports::broker::Depth;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::context::Context;

const ASK_INTERVAL: Duration = Duration::from_secs(1);
/// Reserving begins again at nine tenths of the mark, so that it does not flicker.
const LOW_WATER_TENTHS: u64 = 9;

pub struct Backlog {
    is_over: bool,
    question: JoinSet<Result<Depth>>,
    ask_at: Instant,
    /// Without a new job there is nothing new to ask.
    asked_at_cursor: Option<u64>,
}

impl Backlog {
    pub fn new() -> Self {
        Self { is_over: false, question: JoinSet::new(), ask_at: Instant::now(), asked_at_cursor: None }
    }

    /// True if the queue is over the mark, as far as is known; asks again when it is time.
    pub fn is_over(&mut self, context: &Context, run: &RunId, cursor: u64) -> bool {
        while let Some(answer) = self.question.try_join_next() {
            match answer {
                Ok(Ok(depth)) => self.note(context, run, depth.ready),
                Ok(Err(error)) => tracing::debug!(%run, %error, "the depth of the queue is unknown"),
                Err(panic) => tracing::error!(%run, %panic, "asking for the depth of the queue ended badly"),
            }
        }
        let is_due = Instant::now() >= self.ask_at && self.question.is_empty();
        if is_due && (self.is_over || self.asked_at_cursor != Some(cursor)) {
            self.ask_at = Instant::now() + ASK_INTERVAL;
            self.asked_at_cursor = Some(cursor);
            let (producers, run) = (context.ports.producers.clone(), run.clone());
            self.question.spawn(async move { producers.depth(&run).await });
        }
        self.is_over
    }

    fn note(&mut self, context: &Context, run: &RunId, ready: u64) {
        let high = context.config.limits.high_water;
        let was_over = self.is_over;
        self.is_over = ready >= if was_over { high / 10 * LOW_WATER_TENTHS } else { high };
        match (was_over, self.is_over) {
            (false, true) => tracing::warn!(%run, ready, high_water = high, "holding back: its queue is too long"),
            (true, false) => tracing::info!(%run, ready, "its queue is short enough again"),
            _ => (),
        }
    }
}
