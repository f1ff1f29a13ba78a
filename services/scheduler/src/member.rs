//! One producer as the scheduler sees it: who it is, its breaker, and the calls that are on their way to it.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use paceline_core::ports::RangePublisher;
use paceline_core::{Error, ErrorKind, Result};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use crate::breaker::{Breaker, Pass, Phase};
use crate::remote::Health;

/// How often a producer that is well is asked for its health.
const PROBE_INTERVAL: Duration = Duration::from_secs(1);

pub struct Member {
    pub name: String,
    publisher: Arc<dyn RangePublisher>,
    /// `None` for a producer in this process.
    health: Option<Arc<dyn Health>>,
    state: Mutex<State>,
    /// Grows when its health fails: calls that are on their way to it end then, so that their ranges move on.
    lost: watch::Sender<u64>,
    /// A call failed: look at its health now.
    doubt: Notify,
    /// Grows with every change of any breaker, for those who wait for one.
    changed: Arc<Notify>,
}

struct State {
    breaker: Breaker,
    /// It has answered at least once; before that nobody knows.
    is_known: bool,
    why: String,
}

/// Leave for one call to a member. Dropped without an outcome it makes room for another.
struct Ticket<'a> {
    member: &'a Member,
    pass: Pass,
    is_settled: bool,
}

impl Member {
    pub fn new(
        name: &str,
        publisher: Arc<dyn RangePublisher>,
        health: Option<Arc<dyn Health>>,
        changed: Arc<Notify>,
    ) -> Self {
        let state = State { breaker: Breaker::new(), is_known: health.is_none(), why: String::new() };
        Self {
            name: name.to_owned(),
            publisher,
            health,
            state: Mutex::new(state),
            lost: watch::Sender::new(0),
            doubt: Notify::new(),
            changed,
        }
    }

    /// The outcome of `ask`, or `None` when the breaker lets no call through now. What the breaker makes of it is noted.
    pub async fn call<T, F>(&self, ask: impl FnOnce(Arc<dyn RangePublisher>) -> F) -> Option<Result<T>>
    where
        F: Future<Output = Result<T>>,
    {
        let ticket = self.ticket()?;
        let mut lost = self.lost.subscribe();
        let outcome = tokio::select! {
            biased;
            _ = lost.changed() => Err(Error::unavailable(format!("producer {} stopped answering", self.name))),
            outcome = ask(self.publisher.clone()) => outcome,
        };
        match &outcome {
            Err(error) if error.is_retryable() => {
                ticket.failed(&error.message);
                self.doubt.notify_one();
            }
            // It answers; another producer would say the same.
            _ => ticket.succeeded(),
        }
        Some(outcome)
    }

    /// When the next call may be let through; `None` while one is on its way that decides.
    pub fn opens_at(&self) -> Option<Instant> {
        match self.lock().breaker.phase() {
            Phase::Closed => Some(Instant::now()),
            Phase::Open(until) => Some(until),
            Phase::HalfOpen => None,
        }
    }

    /// (whether ranges go there, why not).
    pub fn condition(&self) -> (bool, String) {
        let state = self.lock();
        let is_usable = state.is_known && state.breaker.phase() == Phase::Closed;
        (is_usable, if is_usable { String::new() } else { state.why.clone() })
    }

    /// For ever: asks for its health, at each interval, after a failed call, and at the end of each cool-down.
    pub async fn probe(&self) {
        let Some(health) = &self.health else { return std::future::pending().await };
        loop {
            let cool_until = match self.lock().breaker.phase() {
                Phase::Open(until) => Some(until).filter(|until| *until > Instant::now()),
                Phase::Closed | Phase::HalfOpen => None,
            };
            if cool_until.is_none() {
                self.look(&**health).await;
            }
            let next = cool_until.unwrap_or_else(|| Instant::now() + PROBE_INTERVAL);
            let until = self.opens_at().filter(|at| *at > Instant::now()).unwrap_or(next);
            tokio::select! {
                biased;
                () = self.doubt.notified() => (),
                () = tokio::time::sleep_until(until) => (),
            }
        }
    }

    async fn look(&self, health: &dyn Health) {
        // None: a range is on its way that decides. If that hangs, this ends it.
        let ticket = self.ticket();
        let outcome = health.check().await;
        match (&outcome, ticket) {
            (Ok(()), Some(ticket)) if ticket.pass == Pass::Probe => ticket.succeeded(),
            // Says nothing about the ranges that fail there, so it does not make up for them.
            (Ok(()), _) => (),
            (Err(error), Some(ticket)) if ticket.pass == Pass::Probe => ticket.failed(&error.message),
            (Err(error), _) => self.note(&error.message, |breaker, now| breaker.trip(now, fastrand::f64())),
        }
        match outcome {
            Ok(()) => self.lock().is_known = true,
            // Who hangs loses its ranges to others. Who only says that it cannot go on, because the broker is slow or away, keeps
            // them: to publish them again elsewhere would give a slow broker the same work twice.
            Err(error) if error.kind == ErrorKind::Unavailable => self.lost.send_modify(|count| *count += 1),
            Err(_) => (),
        }
    }

    fn ticket(&self) -> Option<Ticket<'_>> {
        let pass = self.lock().breaker.admit(Instant::now())?;
        Some(Ticket { member: self, pass, is_settled: false })
    }

    /// Changes the breaker and tells, in the log too when ranges begin or cease to go there.
    fn note(&self, why: &str, change: impl FnOnce(&mut Breaker, Instant)) {
        let mut state = self.lock();
        let before = state.breaker.phase();
        change(&mut state.breaker, Instant::now());
        let after = state.breaker.phase();
        if after == before {
            return;
        }
        why.clone_into(&mut state.why);
        drop(state);
        self.changed.notify_waiters();
        match (before, after) {
            (_, Phase::Closed) => tracing::info!(producer = self.name, "producer is back"),
            (Phase::Closed, _) => tracing::warn!(producer = self.name, why, "producer is left out"),
            _ => tracing::debug!(producer = self.name, why, "producer is still left out"),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no code panics while it holds a breaker")
    }
}

impl Ticket<'_> {
    fn succeeded(mut self) {
        self.is_settled = true;
        self.member.lock().is_known = true;
        self.member.note("", |breaker, _| breaker.succeeded(self.pass));
    }

    fn failed(mut self, why: &str) {
        self.is_settled = true;
        self.member.note(why, |breaker, now| breaker.failed(self.pass, now, fastrand::f64()));
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        if !self.is_settled && self.pass == Pass::Probe {
            self.member.note("the call was given up", |breaker, now| breaker.abandoned(now));
        }
    }
}
