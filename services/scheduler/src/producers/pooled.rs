//! One producer as the scheduler sees it: its name, its breaker, its window, and the reason for which no range goes there.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use paceline_core::ports::RangePublisher;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::breaker::{Breaker, Phase};
use super::remote::{Ends, HealthCheck};
use super::window::RangeWindow;

/// A producer whose address is gone is known for so long: longer than any call may take, and its address may come back.
pub(super) const RETIRED_MAX: Duration = Duration::from_secs(60);

pub struct PooledProducer {
    pub name: String,
    pub(super) publisher: Arc<dyn RangePublisher>,
    /// `None` for a producer in this process.
    pub(super) health: Option<Arc<dyn HealthCheck>>,
    state: Mutex<PooledState>,
    /// Grows when the producer's health fails: calls in flight to the producer end then, so that their ranges move on.
    pub(super) lost: watch::Sender<u64>,
    /// A call failed: the producer's health is asked for now.
    pub(super) doubt: Notify,
    /// The producer's address is gone, or is back.
    pub(super) moved: Notify,
    /// Tells every change of any breaker, and room in any window, to those who wait for one.
    pub(super) changed: Arc<Notify>,
}

pub(super) struct PooledState {
    pub breaker: Breaker,
    pub window: RangeWindow,
    /// The producer has answered at least once; before that nobody knows how it is.
    pub is_known: bool,
    /// The reason for which the producer is left out.
    pub why: String,
    /// The reason for which the last range failed there, in the words of the service that refused it; `None` since a range succeeded.
    /// While it stands the producer's own word closes no breaker: a producer may be well, and be refused by its broker or refuse us.
    pub refusal: Option<String>,
    /// When a range was last tried there.
    pub tried_at: Instant,
    /// The producer's address is gone since then, and the producer gets no more calls.
    pub retired_at: Option<Instant>,
}

/// A producer's condition for ranges.
#[derive(Debug, PartialEq, Eq)]
pub struct ProducerCondition {
    /// Ranges go to the producer.
    pub is_usable: bool,
    /// The reason if they do not.
    pub why: String,
}

impl PooledProducer {
    /// A producer in this process, which nobody asks for its health.
    pub fn local(name: &str, publisher: Arc<dyn RangePublisher>, changed: Arc<Notify>) -> Self {
        Self::new(name, publisher, None, changed)
    }

    /// A producer at an address.
    pub fn remote(address: &str, ends: Ends, changed: Arc<Notify>) -> Self {
        Self::new(address, ends.publisher, Some(ends.health), changed)
    }

    fn new(
        name: &str,
        publisher: Arc<dyn RangePublisher>,
        health: Option<Arc<dyn HealthCheck>>,
        changed: Arc<Notify>,
    ) -> Self {
        let state = PooledState {
            breaker: Breaker::new(),
            window: RangeWindow::new(),
            is_known: health.is_none(),
            why: String::new(),
            refusal: None,
            tried_at: Instant::now(),
            retired_at: None,
        };
        Self {
            name: name.to_owned(),
            publisher,
            health,
            state: Mutex::new(state),
            lost: watch::Sender::new(0),
            doubt: Notify::new(),
            moved: Notify::new(),
            changed,
        }
    }

    /// The producer's address is gone, so it gets no more calls. Calls in flight to it go on for as long as it is well, by
    /// [`Self::probe`]: a slow broker must not get their jobs a second time.
    pub fn retire(&self) {
        self.lock().retired_at = Some(Instant::now());
        self.moved.notify_one();
    }

    /// The producer's address is back: breaker and window go on as they are.
    pub fn take_back(&self) {
        self.lock().retired_at = None;
        self.moved.notify_one();
    }

    /// The producer's address is gone for so long that the producer is forgotten.
    pub fn is_over(&self) -> bool {
        self.lock().retired_at.is_some_and(|at| at.elapsed() >= RETIRED_MAX)
    }

    /// The end of the cool-down, while the producer is left out.
    pub fn cools_until(&self) -> Option<Instant> {
        match self.lock().breaker.phase() {
            Phase::Open(until) => Some(until),
            Phase::Closed | Phase::HalfOpen => None,
        }
    }

    /// The moment from which on the next call may be let through; `None` while a call is in flight that decides.
    pub fn opens_at(&self) -> Option<Instant> {
        match self.lock().breaker.phase() {
            Phase::Closed => Some(Instant::now()),
            Phase::Open(until) => Some(until),
            Phase::HalfOpen => None,
        }
    }

    pub fn condition(&self) -> ProducerCondition {
        let state = self.lock();
        if state.is_known && state.breaker.phase() == Phase::Closed {
            return ProducerCondition { is_usable: true, why: String::new() };
        }
        let why = match &state.refusal {
            Some(refusal) if state.why.is_empty() || state.why == *refusal => refusal.clone(),
            Some(refusal) => format!("{}; the last range there failed: {refusal}", state.why),
            None => state.why.clone(),
        };
        ProducerCondition { is_usable: false, why }
    }

    /// Changes the breaker and tells those who wait; if the change begins or ends the time in which ranges go there, the log too.
    pub(super) fn note(&self, why: &str, change: impl FnOnce(&mut Breaker, Instant)) {
        let mut state = self.lock();
        let before = state.breaker.phase();
        change(&mut state.breaker, Instant::now());
        let after = state.breaker.phase();
        if after != Phase::Closed && !why.is_empty() {
            why.clone_into(&mut state.why);
        }
        if after == before {
            return;
        }
        let (is_known, is_retired) = (state.is_known, state.retired_at.is_some());
        drop(state);
        self.changed.notify_waiters();
        // A retired producer is left out anyway, and that was said.
        if !is_retired {
            self.tell(before, after, is_known, why);
        }
    }

    fn tell(&self, before: Phase, after: Phase, is_known: bool, why: &str) {
        match (before, after) {
            (_, Phase::Closed) => tracing::info!(producer = self.name, "producer is back"),
            // Whoever starts all roles at once sees no fault.
            (Phase::Closed, _) if !is_known => tracing::info!(producer = self.name, why, "producer is not there yet"),
            (Phase::Closed, _) => tracing::warn!(producer = self.name, why, "producer is left out"),
            _ => tracing::debug!(producer = self.name, why, "producer is still left out"),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, PooledState> {
        self.state.lock().expect("no code panics while it holds a breaker")
    }
}
