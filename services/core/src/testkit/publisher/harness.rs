//! The services that one case publishes over, and the publishers on them.

use std::sync::Arc;

use async_trait::async_trait;

use crate::ports::{Backends, Broker, RangePublisher};

/// A broker and a ledger of a case's own, and publishers that stand on them.
#[async_trait]
pub trait PublisherHarness: Send + Sync {
    /// A case makes its runs in this ledger and takes the messages from this broker.
    fn backends(&self) -> &Backends;

    /// A publisher on the ledger of this case and on `broker`, which is the case's broker or a decorator of it. The producer's id
    /// is `id`.
    async fn publisher(&self, id: &str, broker: Arc<dyn Broker>) -> Arc<dyn RangePublisher>;

    /// Ends the publishers. Not called after a failed case.
    async fn close(self);
}
