//! The health of a producer at an address: asked for as long as the producer is one of the scheduler's.

use std::time::Duration;

use paceline_core::ErrorKind;
use tokio::time::Instant;

use super::admission::{Ask, Ticket};
use super::breaker::Phase;
use super::pooled::{PooledProducer, RETIRED_MAX};
use super::remote::HealthCheck;

/// The pause between two health checks of a producer that is well.
const PROBE_INTERVAL: Duration = Duration::from_secs(1);
/// After so long without a range nobody will show that ranges succeed again, so the producer's own word must do.
const UNTRIED_MAX: Duration = Duration::from_secs(5);

impl PooledProducer {
    /// Asks for the producer's health until its address is gone for so long that it is forgotten.
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

    /// Asks at each interval, after a failed call, and at the end of each cool-down. Never returns.
    async fn ask_for_health(&self) {
        let Some(health) = &self.health else { return std::future::pending().await };
        loop {
            let cool_until = self.cools_until().filter(|until| *until > Instant::now());
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

    async fn look(&self, health: &dyn HealthCheck) {
        // None: a range is in flight that decides, or must. If that range hangs, this look ends it.
        let ticket = self.health_ticket();
        let outcome = health.check().await;
        match (&outcome, ticket) {
            (Ok(()), Some(ticket)) => ticket.passed(),
            // Health says nothing about the ranges that fail there, so it does not make up for them.
            (Ok(()), None) => (),
            (Err(error), Some(ticket)) => ticket.failed(Ask::Question, &error.message),
            (Err(error), None) => self.note(&error.message, |breaker, now| breaker.trip(now, fastrand::f64())),
        }
        match outcome {
            Ok(()) => self.lock().is_known = true,
            // A producer that hangs loses its ranges to others. One that only says that it cannot go on, because the broker is slow or away, keeps
            // them: to publish them again elsewhere would give a slow broker the same work twice.
            Err(error) if error.kind == ErrorKind::Unavailable => self.lost.send_modify(|count| *count += 1),
            Err(_) => (),
        }
    }

    /// Leave to decide by the producer's health whether ranges go there again.
    fn health_ticket(&self) -> Option<Ticket<'_>> {
        let mut state = self.lock();
        let is_for_a_range = state.refusal.is_some() && state.tried_at.elapsed() < UNTRIED_MAX;
        if state.breaker.phase() == Phase::Closed || is_for_a_range {
            return None;
        }
        let pass = state.breaker.admit(Instant::now())?;
        Some(Ticket::new(self, pass))
    }
}
