//! The mesh port, measured.

use async_trait::async_trait;
use paceline_core::Result;
use paceline_core::ports::Mesh;

use super::super::call::metered;

metered!(MeteredMesh, Mesh, "ledger": protocol, adopt_protocol, check);

#[async_trait]
impl Mesh for MeteredMesh {
    async fn protocol(&self) -> Result<Option<u32>> {
        self.calls.protocol.time(self.inner.protocol()).await
    }

    async fn adopt_protocol(&self, found: Option<u32>, mine: u32) -> Result<u32> {
        self.calls.adopt_protocol.time(self.inner.adopt_protocol(found, mine)).await
    }

    async fn check(&self) -> Result<String> {
        self.calls.check.time(self.inner.check()).await
    }
}
