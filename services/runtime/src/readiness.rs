//! The readiness of a role: whether it can do its work now, and if not, why. It consists of named conditions, which the code sets where it
//! learns of them.
//!
//! A [`Readiness`] belongs to one role; [`crate::admin`] shows it as `/readyz`, [`crate::grpc::follow_health`] as gRPC health.
//! Setting a condition that is so already costs one atomic load, so it may stand on a hot path.
//!
//! Here: conditions and their sum. It may use core and the lifecycle; it asks no service by itself, but through a check that it is handed.

mod condition;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value};
use tokio::time::Instant;

use crate::lifecycle::Shutdown;
use condition::lock;
pub use condition::{Condition, LATE, ReadinessCheck};

/// The longest hiccup of a service that does not make a role red.
pub const HICCUP: Duration = Duration::from_secs(1);
/// The time between two looks of [`Readiness::follow`]: changes are told at most this late.
const FOLLOW_INTERVAL: Duration = Duration::from_millis(250);
/// The name of the condition that a stop makes red.
const RUNNING: &str = "running";

type Fact = Box<dyn Fn() -> Value + Send + Sync>;

/// The readiness of one role, or of several in one process. A clone is the same one.
#[derive(Clone)]
pub struct Readiness(Arc<Inner>);

/// A readiness that is not kept alive by this handle.
#[derive(Clone)]
pub struct WeakReadiness(Weak<Inner>);

impl WeakReadiness {
    pub fn upgrade(&self) -> Option<Readiness> {
        self.0.upgrade().map(Readiness)
    }
}

struct Inner {
    role: &'static str,
    id: String,
    conditions: Mutex<Vec<Condition>>,
    shown: Mutex<Vec<Condition>>,
    facts: Mutex<Vec<(&'static str, Fact)>>,
    parts: Mutex<Vec<Readiness>>,
}

/// The answer of `/readyz`.
#[derive(Debug, Serialize)]
pub struct ReadinessReport {
    pub ready: bool,
    pub role: &'static str,
    pub id: String,
    pub checks: Vec<ReadinessCheck>,
    /// Numbers and lists that explain the checks, such as `connections_rebuilt`.
    #[serde(flatten)]
    pub facts: Map<String, Value>,
    /// The roles of this process, where it has several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<ReadinessReport>,
}

impl Readiness {
    pub fn new(role: &'static str, id: &str) -> Self {
        let (conditions, shown, facts, parts) = Default::default();
        Self(Arc::new(Inner { role, id: id.to_owned(), conditions, shown, facts, parts }))
    }

    pub fn downgrade(&self) -> WeakReadiness {
        WeakReadiness(Arc::downgrade(&self.0))
    }

    /// A role in the same process; the whole is ready when each part is.
    pub fn part(&self, role: &'static str, id: &str) -> Self {
        let part = Self::new(role, id);
        lock(&self.0.parts).push(part.clone());
        part
    }

    /// The condition of this name, which turns the role red as soon as it fails.
    pub fn condition(&self, name: &str) -> Condition {
        self.tolerant(name, Duration::ZERO)
    }

    /// The condition of this name, which may fail for `tolerated` before the role is red. The first to name a condition decides that.
    pub fn tolerant(&self, name: &str, tolerated: Duration) -> Condition {
        self.named(&self.0.conditions, name, tolerated)
    }

    /// A condition for people: it turns `/readyz` red, and callers that [follow](Self::follow) do not hear of it, because only the work that
    /// they send shows that the condition is well again.
    pub fn shown(&self, name: &str) -> Condition {
        self.named(&self.0.shown, name, Duration::ZERO)
    }

    fn named(&self, all: &Mutex<Vec<Condition>>, name: &str, tolerated: Duration) -> Condition {
        let mut all = lock(all);
        if let Some(known) = all.iter().find(|condition| condition.name() == name) {
            return known.clone();
        }
        let condition = Condition::new(name, tolerated);
        all.push(condition.clone());
        condition
    }

    /// Adds a fact to the report; it is read when somebody asks.
    pub fn fact<T: Into<Value>>(&self, name: &'static str, read: impl Fn() -> T + Send + Sync + 'static) {
        lock(&self.0.facts).push((name, Box::new(move || read().into())));
    }

    pub fn is_ready(&self) -> bool {
        let now = Instant::now();
        self.is_serving()
            && lock(&self.0.shown).iter().all(|condition| !condition.is_red(now))
            && lock(&self.0.parts).iter().all(Self::is_ready)
    }

    /// True if all is well but for the conditions that are only shown.
    fn is_serving(&self) -> bool {
        let now = Instant::now();
        lock(&self.0.conditions).iter().all(|condition| !condition.is_red(now))
            && lock(&self.0.parts).iter().all(Self::is_serving)
    }

    pub fn report(&self) -> ReadinessReport {
        let now = Instant::now();
        ReadinessReport {
            ready: self.is_ready(),
            role: self.0.role,
            id: self.0.id.clone(),
            checks: [&self.0.conditions, &self.0.shown]
                .into_iter()
                .flat_map(|all| lock(all).iter().map(|condition| condition.check(now)).collect::<Vec<_>>())
                .collect(),
            facts: lock(&self.0.facts).iter().map(|(name, read)| ((*name).to_owned(), read())).collect(),
            roles: lock(&self.0.parts).iter().map(Self::report).collect(),
        }
    }

    /// Logs each change, tells each that is not only shown, and turns red at the stop. Never returns.
    pub async fn follow<F: Future<Output = ()>>(&self, shutdown: &Shutdown, tell: impl Fn(bool) -> F) {
        let running = self.condition(RUNNING);
        running.set_ok();
        let (mut was_ready, mut was_serving) = (None, None);
        loop {
            if shutdown.is_triggered() {
                running.set_failed("it is stopping: it takes nothing new and finishes what it holds");
            }
            let (is_ready, is_serving) = (self.is_ready(), self.is_serving());
            if was_ready.replace(is_ready) != Some(is_ready) {
                self.log(is_ready);
            }
            if was_serving.replace(is_serving) != Some(is_serving) {
                tell(is_serving).await;
            }
            tokio::select! {
                biased;
                () = shutdown.triggered(), if !shutdown.is_triggered() => (),
                () = tokio::time::sleep(FOLLOW_INTERVAL) => (),
            }
        }
    }

    fn log(&self, is_ready: bool) {
        let (role, id) = (self.0.role, &self.0.id);
        if is_ready {
            tracing::info!(role, id, "ready");
            return;
        }
        let red = self.report().checks.into_iter().filter(|check| !check.ok);
        let why: Vec<_> = red.map(|check| format!("{}: {}", check.name, check.why.unwrap_or_default())).collect();
        tracing::info!(role, id, why = why.join("; "), "not ready");
    }
}
