//! The mesh port: the ledger as a whole: whether it can keep its promises, and the protocol that the roles on it have in common.

use async_trait::async_trait;

use crate::error::Result;

/// The protocol of a mesh from before protocols were noted.
pub const PROTOCOL_FIRST: u32 = 1;

/// The conformance suite `protocol` checks what is said here.
#[async_trait]
pub trait Mesh: Send + Sync + 'static {
    /// Reaches the service, checks that it can keep its promises (durable, does not evict) and says what it is.
    async fn check(&self) -> Result<String>;

    /// The protocol that the roles of this mesh have in common; [`PROTOCOL_FIRST`] where none is noted and there are runs already, or
    /// workers that are alive, `None` where there are none. A caller whose own is another must leave the ledger alone.
    async fn protocol(&self) -> Result<Option<u32>>;

    /// Makes `mine` the mesh's protocol, unless [`Mesh::protocol`] would say another than `found`; answers the one that the mesh has
    /// then. Noted is `mine` from then on, if that is it. Whoever takes over from another has seen to it that no role with that one runs.
    async fn adopt_protocol(&self, found: Option<u32>, mine: u32) -> Result<u32>;
}
