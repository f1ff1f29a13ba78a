//! Whether a role can do its work now, and if not, why: named conditions that the code sets where it learns of them.
//!
//! A [`Readiness`] belongs to one role; [`crate::admin`] shows it as `/readyz`, [`crate::grpc::follow_health`] as gRPC health.
//! Setting a condition that is so already costs one atomic load, so it may stand on a hot path.

mod condition;

use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value};
use tokio::time::Instant;

use crate::lifecycle::Shutdown;
pub use condition::{Check, Condition, LATE};

/// How long a hiccup of a service may last before it makes a role red.
pub const HICCUP: Duration = Duration::from_secs(1);
/// How often [`Readiness::follow`] looks: changes are told at most this late.
const FOLLOW_INTERVAL: Duration = Duration::from_millis(250);
/// The name of the condition that a stop makes red.
const RUNNING: &str = "running";

type Fact = Box<dyn Fn() -> Value + Send + Sync>;

/// The readiness of one role, or of several in one process. A clone is the same one.
#[derive(Clone)]
pub struct Readiness(Arc<Inner>);

/// The same, of which it does not depend whether it is kept.
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

/// What `/readyz` answers.
#[derive(Debug, Serialize)]
pub struct Report {
    pub ready: bool,
    pub role: &'static str,
    pub id: String,
    pub checks: Vec<Check>,
    /// Numbers and lists that explain the checks, such as `connections_rebuilt`.
    #[serde(flatten)]
    pub facts: Map<String, Value>,
    /// The roles of this process, where it has several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<Report>,
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

    /// The same for one that may fail for `tolerated` before the role is red. The first to name a condition decides that.
    pub fn tolerant(&self, name: &str, tolerated: Duration) -> Condition {
        self.named(&self.0.conditions, name, tolerated)
    }

    /// A condition for people: it turns `/readyz` red, and those who [follow](Self::follow) do not hear of it, because the work that
    /// they send is what shows that it is over.
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

    /// Adds something to show; read when somebody asks.
    pub fn fact<T: Into<Value>>(&self, name: &'static str, read: impl Fn() -> T + Send + Sync + 'static) {
        lock(&self.0.facts).push((name, Box::new(move || read().into())));
    }

    pub fn is_ready(&self) -> bool {
        let now = Instant::now();
        self.is_serving()
            && lock(&self.0.shown).iter().all(|condition| !condition.is_red(now))
            && lock(&self.0.parts).iter().all(Self::is_ready)
    }

    /// Everything but what is only shown.
    fn is_serving(&self) -> bool {
        let now = Instant::now();
        lock(&self.0.conditions).iter().all(|condition| !condition.is_red(now))
            && lock(&self.0.parts).iter().all(Self::is_serving)
    }

    pub fn report(&self) -> Report {
        let now = Instant::now();
        Report {
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

    /// For ever: logs each change, tells each that is not only shown, and turns red at the stop.
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

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no code panics while it holds a part of the readiness")
}

#[cfg(test)]
mod tests {
    use super::*;
    use paceline_core::Error;

    fn why(readiness: &Readiness, name: &str) -> Option<String> {
        readiness.report().checks.into_iter().find(|check| check.name == name).and_then(|check| check.why)
    }

    #[tokio::test(start_paused = true)]
    async fn red_until_every_condition_is_well_and_again_with_the_reason() {
        let readiness = Readiness::new("worker", "w");
        let (broker, sink) = (readiness.condition("broker"), readiness.condition("sink"));
        broker.set_ok();
        assert!(!readiness.is_ready(), "the sink was not looked at yet");
        sink.set_ok();
        assert!(readiness.is_ready());
        broker.set_failed("connection refused");
        tokio::time::advance(Duration::from_millis(70)).await;
        broker.set_failed("still refused");
        let report = readiness.report();
        let check = &report.checks[0];
        assert_eq!((report.ready, check.ok, check.since_ms, check.failures), (false, false, 70, 1));
        assert_eq!(why(&readiness, "broker").as_deref(), Some("still refused"));
        readiness.condition("broker").set_ok();
        assert!(readiness.is_ready(), "the same name is the same condition");
    }

    #[tokio::test(start_paused = true)]
    async fn a_hiccup_is_tolerated_but_not_a_first_failure() {
        let readiness = Readiness::new("worker", "w");
        let sink = readiness.tolerant("sink", HICCUP);
        sink.set_failed("away");
        assert!(!readiness.is_ready());
        sink.set_ok();
        sink.set_failed("away");
        assert!(readiness.is_ready() && why(&readiness, "sink").is_some());
        tokio::time::advance(HICCUP).await;
        assert!(!readiness.is_ready());
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_hangs_is_red_before_it_ends() {
        let readiness = Readiness::new("worker", "w");
        let ledger = readiness.tolerant("ledger", HICCUP);
        ledger.set_ok();
        let hanging = async {
            tokio::time::sleep(LATE * 2).await;
            Err::<(), _>(Error::unavailable("no answer within 3 s"))
        };
        let (calling, look) = (ledger.observe(hanging), async {
            tokio::time::sleep(LATE + Duration::from_millis(1)).await;
            assert!(!readiness.is_ready(), "late for longer than a hiccup");
        });
        tokio::join!(calling, look).0.unwrap_err();
        assert_eq!(why(&readiness, "ledger").as_deref(), Some("no answer within 3 s"));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_only_shown_is_red_and_not_told() {
        let (readiness, shutdown) = (Readiness::new("producer", "p"), Shutdown::new());
        let publishes = readiness.shown("publishes");
        let told = Mutex::new(Vec::new());
        let following = readiness.follow(&shutdown, async |is_serving| told.lock().unwrap().push(is_serving));
        let story = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            publishes.set_ok();
            assert!(readiness.is_ready());
            publishes.set_failed("not allowed");
            assert!(!readiness.is_ready());
            tokio::time::sleep(Duration::from_secs(1)).await;
        };
        tokio::select! { biased; () = following => (), () = story => () }
        assert_eq!(why(&readiness, "publishes").as_deref(), Some("not allowed"));
        assert_eq!(*told.lock().unwrap(), [true]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_is_red_and_told_and_so_is_a_part() {
        let (whole, shutdown) = (Readiness::new("dev", "d"), Shutdown::new());
        let part = whole.part("worker", "w");
        part.condition("sink").set_failed("away");
        assert!(!whole.is_ready());
        part.condition("sink").set_ok();
        let told = Mutex::new(Vec::new());
        let following = part.follow(&shutdown, async |is_ready| told.lock().unwrap().push(is_ready));
        let stopping = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            assert!(whole.is_ready());
            shutdown.trigger();
            tokio::time::sleep(Duration::from_millis(1)).await;
        };
        tokio::select! { biased; () = following => (), () = stopping => () }
        assert_eq!(*told.lock().unwrap(), [true, false]);
        assert!(why(&part, RUNNING).unwrap().contains("stopping"));
    }
}
