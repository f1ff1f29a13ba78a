//! The store that an adapter of the ledger lends to one case.

use async_trait::async_trait;

use crate::ports::Ledger;

/// The store that an adapter lends to a case.
#[async_trait]
pub trait LedgerHarness: Send + Sync {
    /// One more handle to the store of this case. Once all handles are dropped, it opens the store anew.
    async fn open(&self) -> Ledger;
}
