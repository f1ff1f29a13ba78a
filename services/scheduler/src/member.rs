//! One producer as the scheduler sees it: who it is, its breaker, its window, and the calls that are on their way to it.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use paceline_core::error::codes;
use paceline_core::ports::RangePublisher;
use paceline_core::{Error, ErrorKind, Result};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use crate::breaker::{Breaker, Pass, Phase};
use crate::remote::Health;
use crate::window::Window;

/// How often a producer that is well is asked for its health.
const PROBE_INTERVAL: Duration = Duration::from_secs(1);
/// After so long without a range nobody will show that ranges succeed again, so the producer's own word must do.
const UNTRIED_MAX: Duration = Duration::from_secs(5);

/// A producer whose address is gone is known for so long: longer than any call may take, and its address may come back.
const RETIRED_MAX: Duration = Duration::from_secs(60);

/// A call to a producer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// To publish so many bytes of messages. Only this shows whether ranges succeed there.
    Range {
        bytes: u64,
    },
    /// The same, to a queue that took nothing the last time. It may hang for long, so it takes no part of a window, and its failure
    /// says nothing about a producer.
    Suspect,
    Question,
}

/// The reason for which a call was not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turned {
    /// Its breaker lets no call through now.
    LeftOut,
    /// It works, and has as much on its way as it should.
    Full,
}

/// True if every producer would say the same: of this run without asking its broker, of this queue after asking it.
pub fn is_of_run_or_queue(error: &Error) -> bool {
    matches!(error.kind, ErrorKind::Unpublishable | ErrorKind::ResourceExhausted)
}

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
    /// Its address is gone, or is back.
    moved: Notify,
    /// Tells every change of any breaker, and room in any window, to those who wait for one.
    changed: Arc<Notify>,
}

struct State {
    breaker: Breaker,
    window: Window,
    /// It has answered at least once; before that nobody knows.
    is_known: bool,
    /// The reason for which it is left out.
    why: String,
    /// The reason for which the last range failed there, in the words of the service that refused it; `None` since a range succeeded.
    /// While it stands the producer's own word closes no breaker: a producer may be well, and be refused by its broker or refuse us.
    refusal: Option<String>,
    /// When a range was last tried there.
    tried_at: Instant,
    /// Since then its address is gone, and it gets no more calls.
    retired_at: Option<Instant>,
}

/// Leave for one call to a member. Dropped without an outcome it makes room for another.
struct Ticket<'a> {
    member: &'a Member,
    pass: Pass,
    is_settled: bool,
}

/// A part of the window, until it is dropped.
struct Share<'a> {
    member: &'a Member,
    bytes: u64,
    begun: Instant,
}

impl Member {
    pub fn new(
        name: &str,
        publisher: Arc<dyn RangePublisher>,
        health: Option<Arc<dyn Health>>,
        changed: Arc<Notify>,
    ) -> Self {
        let state = State {
            breaker: Breaker::new(),
            window: Window::new(),
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

    /// Its address is gone, so it gets no more calls. Those on their way to it go on for as long as it is well, by [`Self::probe`]: a
    /// slow broker must not get their jobs a second time.
    pub fn retire(&self) {
        self.lock().retired_at = Some(Instant::now());
        self.moved.notify_one();
    }

    /// Its address is back: breaker and window go on as they are.
    pub fn take_back(&self) {
        self.lock().retired_at = None;
        self.moved.notify_one();
    }

    /// Its address is gone for so long that it is forgotten.
    pub fn is_over(&self) -> bool {
        self.lock().retired_at.is_some_and(|at| at.elapsed() >= RETIRED_MAX)
    }

    /// The outcome of `call`, or the reason for which breaker or window did not let it through. Both learn from the outcome.
    pub async fn call<T, F>(
        &self,
        what: Ask,
        call: impl FnOnce(Arc<dyn RangePublisher>) -> F,
    ) -> Result<Result<T>, Turned>
    where
        F: Future<Output = Result<T>>,
    {
        let (ticket, share) = self.admit(what)?;
        let mut lost = self.lost.subscribe();
        let outcome = tokio::select! {
            biased;
            _ = lost.changed() => {
                // Its health decides when ranges go there again.
                let gone =
                    Error::unavailable(format!("producer {} stopped answering", self.name)).coded(codes::PRODUCER_SILENT);
                ticket.failed(Ask::Question, &gone.message);
                return Ok(Err(gone));
            }
            outcome = call(self.publisher.clone()) => outcome,
        };
        // How long a queue took to refuse says nothing about what the broker can do.
        if !outcome.as_ref().is_err_and(is_of_run_or_queue) {
            share.measured(outcome.is_ok());
        }
        drop(share);
        match &outcome {
            Err(error) if is_of_run_or_queue(error) => ticket.succeeded(Ask::Question),
            Err(error) => {
                if what != Ask::Suspect {
                    ticket.failed(what, &error.message);
                }
                self.doubt.notify_one();
            }
            Ok(_) => ticket.succeeded(what),
        }
        Ok(outcome)
    }

    /// Leave by the breaker and, for a range, a share of the window.
    fn admit(&self, what: Ask) -> Result<(Ticket<'_>, Share<'_>), Turned> {
        let (mut state, now) = (self.lock(), Instant::now());
        if state.retired_at.is_some() {
            return Err(Turned::LeftOut);
        }
        let bytes = match what {
            Ask::Range { bytes } => bytes,
            Ask::Suspect | Ask::Question => 0,
        };
        let pass = if what == Ask::Suspect {
            self.admit_suspect(state.breaker.phase(), now).ok_or(Turned::LeftOut)?
        } else {
            state.breaker.admit(now).ok_or(Turned::LeftOut)?
        };
        // A probe needs no room: what fills the window then may hang.
        if bytes > 0 && pass == Pass::Normal && !state.window.has_room() {
            return Err(Turned::Full);
        }
        state.window.begin(bytes);
        drop(state);
        let ticket = Ticket { member: self, pass, is_settled: false };
        Ok((ticket, Share { member: self, bytes, begun: now }))
    }

    /// A suspect range is never the one that decides, since it may hang. Only where nobody asks for health it may show, by its success,
    /// that a producer is back: else nothing would, if all ranges are suspect.
    fn admit_suspect(&self, phase: Phase, now: Instant) -> Option<Pass> {
        match phase {
            Phase::Closed => Some(Pass::Normal),
            Phase::Open(until) if self.health.is_none() && now >= until => Some(Pass::Normal),
            Phase::Open(_) | Phase::HalfOpen => None,
        }
    }

    /// The end of its cool-down, while it is left out.
    pub fn cools_until(&self) -> Option<Instant> {
        match self.lock().breaker.phase() {
            Phase::Open(until) => Some(until),
            Phase::Closed | Phase::HalfOpen => None,
        }
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
        if state.is_known && state.breaker.phase() == Phase::Closed {
            return (true, String::new());
        }
        let why = match &state.refusal {
            Some(refusal) if state.why.is_empty() || state.why == *refusal => refusal.clone(),
            Some(refusal) => format!("{}; the last range there failed: {refusal}", state.why),
            None => state.why.clone(),
        };
        (false, why)
    }

    /// Asks for its health until its address is gone for so long that it is forgotten.
    pub async fn probe(&self) {
        tokio::select! {
            biased;
            () = self.over() => self.lost.send_modify(|count| *count += 1),
            () = self.ask_for_health() => (),
        }
    }

    async fn over(&self) {
        while !self.is_over() {
            let retired_at = self.lock().retired_at;
            let over = async {
                match retired_at {
                    Some(at) => tokio::time::sleep_until(at + RETIRED_MAX).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = self.moved.notified() => (),
                () = over => (),
            }
        }
    }

    /// For ever: at each interval, after a failed call, and at the end of each cool-down.
    async fn ask_for_health(&self) {
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
        // None: a range is on its way that decides, or must. If that hangs, this ends it.
        let ticket = self.health_ticket();
        let outcome = health.check().await;
        match (&outcome, ticket) {
            (Ok(()), Some(ticket)) => ticket.passed(),
            // Says nothing about the ranges that fail there, so it does not make up for them.
            (Ok(()), None) => (),
            (Err(error), Some(ticket)) => ticket.failed(Ask::Question, &error.message),
            (Err(error), None) => self.note(&error.message, |breaker, now| breaker.trip(now, fastrand::f64())),
        }
        match outcome {
            Ok(()) => self.lock().is_known = true,
            // Who hangs loses its ranges to others. Who only says that it cannot go on, because the broker is slow or away, keeps
            // them: to publish them again elsewhere would give a slow broker the same work twice.
            Err(error) if error.kind == ErrorKind::Unavailable => self.lost.send_modify(|count| *count += 1),
            Err(_) => (),
        }
    }

    /// Leave to decide by its health whether ranges go there again.
    fn health_ticket(&self) -> Option<Ticket<'_>> {
        let mut state = self.lock();
        let is_for_a_range = state.refusal.is_some() && state.tried_at.elapsed() < UNTRIED_MAX;
        if state.breaker.phase() == Phase::Closed || is_for_a_range {
            return None;
        }
        let pass = state.breaker.admit(Instant::now())?;
        Some(Ticket { member: self, pass, is_settled: false })
    }

    /// Changes the breaker and tells, in the log too when ranges begin or cease to go there.
    fn note(&self, why: &str, change: impl FnOnce(&mut Breaker, Instant)) {
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
        if is_retired {
            // It is left out anyway, and that was said.
            return;
        }
        match (before, after) {
            (_, Phase::Closed) => tracing::info!(producer = self.name, "producer is back"),
            // Whoever starts all roles at once sees no fault.
            (Phase::Closed, _) if !is_known => tracing::info!(producer = self.name, why, "producer is not there yet"),
            (Phase::Closed, _) => tracing::warn!(producer = self.name, why, "producer is left out"),
            _ => tracing::debug!(producer = self.name, why, "producer is still left out"),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no code panics while it holds a breaker")
    }
}

impl Ticket<'_> {
    fn succeeded(mut self, what: Ask) {
        if what == Ask::Suspect && self.member.health.is_none() {
            self.pass = Pass::Probe;
        }
        {
            let mut state = self.member.lock();
            state.is_known = true;
            if matches!(what, Ask::Range { .. } | Ask::Suspect) {
                (state.refusal, state.tried_at) = (None, Instant::now());
            } else if state.refusal.is_some() && self.pass == Pass::Probe {
                // It answers questions; whether it publishes only a range can show. The drop makes room for one.
                return;
            }
        }
        self.passed();
    }

    fn passed(mut self) {
        self.is_settled = true;
        self.member.note("", |breaker, _| breaker.succeeded(self.pass));
    }

    fn failed(mut self, what: Ask, why: &str) {
        self.is_settled = true;
        if matches!(what, Ask::Range { .. }) {
            let mut state = self.member.lock();
            (state.refusal, state.tried_at) = (Some(why.to_owned()), Instant::now());
        }
        self.member.note(why, |breaker, now| breaker.failed(self.pass, now, fastrand::f64()));
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        if !self.is_settled && self.pass == Pass::Probe {
            self.member.note("", |breaker, now| breaker.abandoned(now));
        }
    }
}

impl Share<'_> {
    /// A call that failed tells how long confirms take only by taking too long itself.
    fn measured(&self, is_confirmed: bool) {
        let now = Instant::now();
        if self.bytes > 0 {
            self.member.lock().window.measured(self.bytes, self.begun, now, is_confirmed);
        }
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        let mut state = self.member.lock();
        state.window.end(self.bytes);
        let has_room = state.window.has_room();
        drop(state);
        // Not only where it was full: the answer may have let the window grow before, and nobody else wakes those who wait for room.
        if has_room {
            self.member.changed.notify_waiters();
        }
    }
}
