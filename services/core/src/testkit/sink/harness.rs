//! The place that an adapter of the sink port lends to one case.

use async_trait::async_trait;

use crate::ports::Sink;

/// A sink in a place of its own, which no other test sees.
#[async_trait]
pub trait SinkHarness: Send {
    fn sink(&self) -> Sink;

    /// Lets go of the sink and opens the same place again, as after a restart.
    async fn reopen(&mut self);

    /// Removes the place. Not called after a failed case, so that one can look.
    async fn close(self);
}
