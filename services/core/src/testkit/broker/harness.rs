//! The place that an adapter of the broker port lends to one case.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::ports::broker::Broker;

/// The queue and groups that the cases declare, so that a harness can remove them afterwards.
pub const QUEUE: &str = "jobs";
pub const GROUP: &str = "main";
pub const GROUP_SECOND: &str = "second";
/// The longest that a case waits for one thing before it fails.
pub(super) const WAIT: Duration = Duration::from_secs(30);

/// Gives a case its own, empty store. One harness serves one case.
#[async_trait]
pub trait BrokerHarness: Send + Sync {
    /// A connection to the harness's store; the same one again where only one process may have it.
    async fn connect(&self) -> Arc<dyn Broker>;

    /// Ends `broker`, the only one left, and connects anew to what it kept.
    async fn reopen(&self, broker: Arc<dyn Broker>) -> Arc<dyn Broker>;

    /// Removes what the case left in the store.
    async fn clean_up(&self) {}
}
