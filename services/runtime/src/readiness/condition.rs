//! One named condition of a role: well or not, since when, why, and how often it failed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use paceline_core::Result;
use serde::Serialize;
use tokio::time::Instant;

/// The longest call to a service that does not count as failing; a later one may still succeed.
pub const LATE: Duration = Duration::from_millis(1_500);
const RECHECK_DELAY: Duration = Duration::from_millis(500);

/// One thing that must be so: red from the beginning until it is set well. A clone is the same one.
#[derive(Clone)]
pub struct Condition(Arc<Named>);

struct Named {
    name: String,
    tolerated: Duration,
    is_ok: AtomicBool,
    state: Mutex<State>,
}

struct State {
    since: Instant,
    /// The reason for which the condition does not hold; `None`: it holds.
    why: Option<String>,
    was_ever_ok: bool,
    failures: u64,
}

#[derive(Debug, Serialize)]
pub struct ReadinessCheck {
    pub name: String,
    pub ok: bool,
    /// The failure, also while it is still tolerated as a hiccup.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Milliseconds since it became well, or failed.
    pub since_ms: u64,
    /// The number of times that it was well and then failed.
    pub failures: u64,
}

impl Condition {
    pub(super) fn new(name: &str, tolerated: Duration) -> Self {
        let why = Some("not looked at yet".to_owned());
        let state = State { since: Instant::now(), why, was_ever_ok: false, failures: 0 };
        Self(Arc::new(Named {
            name: name.to_owned(),
            tolerated,
            is_ok: AtomicBool::new(false),
            state: Mutex::new(state),
        }))
    }

    pub fn set_ok(&self) {
        if self.0.is_ok.load(Ordering::Acquire) {
            return;
        }
        let mut state = lock(&self.0.state);
        *state = State { since: Instant::now(), why: None, was_ever_ok: true, failures: state.failures };
        self.0.is_ok.store(true, Ordering::Release);
    }

    pub fn set_failed(&self, why: impl Into<String>) {
        self.set_failed_since(Instant::now(), why.into());
    }

    /// The latest reason is shown, with the time of the first.
    fn set_failed_since(&self, since: Instant, why: String) {
        let mut state = lock(&self.0.state);
        if state.why.replace(why).is_none() {
            state.since = since;
            state.failures += 1;
        }
        self.0.is_ok.store(false, Ordering::Release);
    }

    /// Sets the condition by `outcome`: an error is its reason.
    pub fn set<T>(&self, outcome: &Result<T>) {
        match outcome {
            Ok(_) => self.set_ok(),
            Err(error) => self.set_failed(error.message.clone()),
        }
    }

    /// Awaits a call to a service and sets the condition by its outcome; meanwhile, that it is [`LATE`].
    pub async fn observe<T>(&self, call: impl Future<Output = Result<T>>) -> Result<T> {
        let outcome = self.unless_late(call).await;
        self.set(&outcome);
        outcome
    }

    /// Awaits a call whose outcome the caller judges, and sets only that it is [`LATE`].
    pub async fn unless_late<T>(&self, call: impl Future<Output = T>) -> T {
        let begun = Instant::now();
        let mut call = std::pin::pin!(call);
        tokio::select! {
            biased;
            outcome = &mut call => return outcome,
            () = tokio::time::sleep(LATE) => (),
        }
        self.set_failed_since(begun, format!("no answer for {} ms", LATE.as_millis()));
        call.await
    }

    /// Observes `check` every `interval`, and more often while it fails. Never returns.
    pub async fn keep_checking<T, F: Future<Output = Result<T>>>(&self, interval: Duration, check: impl Fn() -> F) {
        loop {
            let is_well = self.observe(check()).await.is_ok();
            tokio::time::sleep(if is_well { interval } else { RECHECK_DELAY.min(interval) }).await;
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.0.name
    }

    pub fn is_ok(&self) -> bool {
        self.0.is_ok.load(Ordering::Acquire)
    }

    pub(super) fn is_red(&self, now: Instant) -> bool {
        !self.is_ok() && lock(&self.0.state).is_red(now, self.0.tolerated)
    }

    pub(super) fn check(&self, now: Instant) -> ReadinessCheck {
        let state = lock(&self.0.state);
        ReadinessCheck {
            name: self.0.name.clone(),
            ok: !state.is_red(now, self.0.tolerated),
            why: state.why.clone(),
            since_ms: u64::try_from(now.saturating_duration_since(state.since).as_millis()).unwrap_or(u64::MAX),
            failures: state.failures,
        }
    }
}

impl State {
    /// A condition that was never well gets no tolerance.
    fn is_red(&self, now: Instant, tolerated: Duration) -> bool {
        self.why.is_some() && (!self.was_ever_ok || now.saturating_duration_since(self.since) >= tolerated)
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no code panics while it holds a part of the readiness")
}
