//! The mesh port: the ledger as a whole: whether it can keep its promises, and the protocol that the roles on it have in common.

use async_trait::async_trait;

use crate::error::Result;

/// The protocol of a mesh from before protocols were noted.
pub const PROTOCOL_FIRST: u32 = 1;

/// The conformance suite `mesh` checks these promises.
#[async_trait]
pub trait Mesh: Send + Sync + 'static {
    /// Reaches the service, checks that it can keep its promises (durable, does not evict) and says what it is.
    async fn check(&self) -> Result<String>;

    /// The protocol that the roles of this mesh have in common. If none is noted: [`PROTOCOL_FIRST`] where there are runs or live workers
    /// already, otherwise `None`. A caller with another protocol must leave the ledger alone.
    async fn protocol(&self) -> Result<Option<u32>>;

    /// Notes `mine` if the mesh's protocol is still `found`. Answers the protocol that the mesh then has. A caller that changes the
    /// protocol has made sure that no role with the old one runs.
    async fn adopt_protocol(&self, found: Option<u32>, mine: u32) -> Result<u32>;
}
