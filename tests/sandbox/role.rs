//! A running role of a mesh: its end, in order or not, and what its readiness says meanwhile.

use std::net::SocketAddr;
use std::time::Duration;

use paceline_core::Result;
use paceline_runtime::lifecycle::Shutdown;
use paceline_runtime::readiness::Readiness;
use tokio::task::JoinHandle;

/// The pause between two looks at a role, and the longest time that a test waits for it.
const POLL_INTERVAL: Duration = Duration::from_millis(20);
const WAIT_MAX: Duration = Duration::from_secs(120);
/// A running role.
pub struct Role {
    pub id: String,
    pub address: Option<SocketAddr>,
    readiness: Readiness,
    shutdown: Shutdown,
    task: JoinHandle<Result<()>>,
}

impl Role {
    /// Runs `role` as a task until `shutdown`.
    #[allow(clippy::disallowed_methods, reason = "the test holds the handle: it stops or kills the role")]
    pub(crate) fn started(
        id: String,
        address: Option<SocketAddr>,
        readiness: Readiness,
        shutdown: Shutdown,
        role: impl Future<Output = Result<()>> + Send + 'static,
    ) -> Self {
        Self { id, address, readiness, shutdown, task: tokio::spawn(role) }
    }

    /// As SIGTERM would: waits until the role has ended in order.
    pub async fn stop(self) {
        self.shutdown.trigger();
        self.ended().await.expect("a role stops without an error");
    }

    /// As SIGKILL would: the role's tasks end where they stand.
    pub async fn kill(self) {
        self.task.abort();
        assert!(self.task.await.is_err_and(|end| end.is_cancelled()), "the role was still running");
    }

    /// Waits until the role ends by itself.
    pub async fn ended(self) -> Result<()> {
        tokio::time::timeout(WAIT_MAX, self.task).await.expect("the role ends").expect("a role does not panic")
    }

    /// Waits until all consumers of a worker are open: it is ready with the first, and from then on shares the work.
    pub async fn until_consuming(&self, consumers: usize) {
        let has_all = async {
            while self.consumers_open() != Some(consumers as u64) {
                tokio::time::sleep(POLL_INTERVAL).await;
            }
        };
        tokio::time::timeout(WAIT_MAX, has_all).await.expect("the worker opens its consumers");
    }

    /// `None` while it does not even know its queues.
    fn consumers_open(&self) -> Option<u64> {
        self.readiness.report().facts.get("consumers_open")?.as_u64()
    }

    /// Waits until its readiness, whose colour `fits` judges, has these words somewhere in its report.
    pub async fn until_says(&self, words: &str, fits: impl Fn(bool) -> bool) {
        let what = format!("a report that says {words:?}");
        self.until_report(&what, |is_ready, text| fits(is_ready) && text.contains(words)).await;
    }

    /// Waits until its report has these words no more.
    pub async fn until_silent_about(&self, words: &str) {
        self.until_report(&format!("a report without {words:?}"), |_, text| !text.contains(words)).await;
    }

    async fn until_report(&self, what: &str, enough: impl Fn(bool, &str) -> bool) {
        let text = || serde_json::to_string(&self.readiness.report()).expect("a report is JSON").replace("\\\"", "\"");
        let saying = async {
            while !enough(self.readiness.is_ready(), &text()) {
                tokio::time::sleep(POLL_INTERVAL).await;
            }
        };
        if tokio::time::timeout(WAIT_MAX, saying).await.is_err() {
            panic!("no {what}: {}", text());
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address.expect("the role listens"))
    }
}
