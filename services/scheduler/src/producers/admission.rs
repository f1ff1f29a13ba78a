//! The way of one call to a producer: leave by its breaker, a share of its window, and what both learn from the outcome.

use std::sync::Arc;

use paceline_core::error::codes;
use paceline_core::ports::RangePublisher;
use paceline_core::{Error, ErrorKind, Result};
use tokio::time::Instant;

use super::breaker::{Pass, Phase};
use super::pooled::PooledProducer;

/// A call to a producer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// A call that publishes so many bytes of messages. Only such a call shows whether ranges succeed at the producer.
    Range {
        bytes: u64,
    },
    /// A call that publishes to a queue that took nothing the last time. Such a call may hang for long, so it takes no part of a window,
    /// and its failure says nothing about a producer.
    Suspect,
    Question,
}

/// The reason for which a call was not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turned {
    /// The producer's breaker lets no call through now.
    LeftOut,
    /// The producer works, and has as much in flight as it should.
    Full,
}

/// True if every producer would say the same: of this run without asking its broker, of this queue after asking it.
pub fn is_of_run_or_queue(error: &Error) -> bool {
    matches!(error.kind, ErrorKind::Unpublishable | ErrorKind::ResourceExhausted)
}

/// Leave for one call to a member. Dropped without an outcome it makes room for another.
pub(super) struct Ticket<'a> {
    member: &'a PooledProducer,
    pass: Pass,
    is_settled: bool,
}

/// A part of the window, until it is dropped.
struct Share<'a> {
    member: &'a PooledProducer,
    bytes: u64,
    begun: Instant,
}

impl PooledProducer {
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
                // The producer's health decides when ranges go there again.
                let gone = Error::unavailable(format!("producer {} stopped answering", self.name))
                    .coded(codes::PRODUCER_SILENT);
                ticket.failed(Ask::Question, &gone.message);
                return Ok(Err(gone));
            }
            outcome = call(self.publisher.clone()) => outcome,
        };
        // The time that a queue took to refuse says nothing about the speed of the broker.
        if !outcome.as_ref().is_err_and(is_of_run_or_queue) {
            share.measured(outcome.is_ok());
        }
        drop(share);
        self.learn(what, ticket, &outcome);
        Ok(outcome)
    }

    fn learn<T>(&self, what: Ask, ticket: Ticket<'_>, outcome: &Result<T>) {
        match outcome {
            Err(error) if is_of_run_or_queue(error) => ticket.succeeded(Ask::Question),
            Err(error) => {
                if what != Ask::Suspect {
                    ticket.failed(what, &error.message);
                }
                self.doubt.notify_one();
            }
            Ok(_) => ticket.succeeded(what),
        }
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
        Ok((Ticket::new(self, pass), Share { member: self, bytes, begun: now }))
    }

    /// A suspect range is never the one that decides, since it may hang. Only where nobody asks for health a suspect range may show, by its
    /// success, that a producer is back: nothing else would, if all ranges are suspect.
    fn admit_suspect(&self, phase: Phase, now: Instant) -> Option<Pass> {
        match phase {
            Phase::Closed => Some(Pass::Normal),
            Phase::Open(until) if self.health.is_none() && now >= until => Some(Pass::Normal),
            Phase::Open(_) | Phase::HalfOpen => None,
        }
    }
}

impl<'a> Ticket<'a> {
    pub fn new(member: &'a PooledProducer, pass: Pass) -> Self {
        Self { member, pass, is_settled: false }
    }

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

    pub fn passed(mut self) {
        self.is_settled = true;
        self.member.note("", |breaker, _| breaker.succeeded(self.pass));
    }

    pub fn failed(mut self, what: Ask, why: &str) {
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
