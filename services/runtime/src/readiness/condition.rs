//! One named condition of a role: well or not, since when, why, and how often it failed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use paceline_core::Result;
use serde::Serialize;
use tokio::time::Instant;

use super::lock;

/// How long a call to a service may take before it counts as failing, although it may still succeed.
pub const LATE: Duration = Duration::from_millis(1_500);
const RECHECK_DELAY: Duration = Duration::from_millis(500);

/// One thing that must be so. Red from the beginning until somebody says that it is well.
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
    /// Why it is not so; `None`: it is well.
    why: Option<String>,
    was_ever_ok: bool,
    failures: u64,
}

#[derive(Debug, Serialize)]
pub struct Check {
    pub name: String,
    pub ok: bool,
    /// What is wrong; also while that is still tolerated as a hiccup.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// For how long it has been well, or not.
    pub since_ms: u64,
    /// How often it was well and then failed.
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

    /// Sets what `outcome` says.
    pub fn set<T>(&self, outcome: &Result<T>) {
        match outcome {
            Ok(_) => self.set_ok(),
            Err(error) => self.set_failed(error.message.clone()),
        }
    }

    /// Awaits a call to a service and sets what it says; also that it is [`LATE`], meanwhile.
    pub async fn observe<T>(&self, call: impl Future<Output = Result<T>>) -> Result<T> {
        let outcome = self.unless_late(call).await;
        self.set(&outcome);
        outcome
    }

    /// The same for a call whose outcome the caller judges: says only that it is late.
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

    /// For ever: observes `check`, every `interval`, more often while it fails.
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

    pub(super) fn check(&self, now: Instant) -> Check {
        let state = lock(&self.0.state);
        Check {
            name: self.0.name.clone(),
            ok: !state.is_red(now, self.0.tolerated),
            why: state.why.clone(),
            since_ms: u64::try_from(now.saturating_duration_since(state.since).as_millis()).unwrap_or(u64::MAX),
            failures: state.failures,
        }
    }
}

impl State {
    /// What was never well gets no tolerance.
    fn is_red(&self, now: Instant, tolerated: Duration) -> bool {
        self.why.is_some() && (!self.was_ever_ok || now.saturating_duration_since(self.since) >= tolerated)
    }
}
