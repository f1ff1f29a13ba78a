//! The mesh port: each call goes over the network to the model, and the oracle sees its effect.

use async_trait::async_trait;
use paceline_core::Result;
use paceline_core::ports::Mesh;

use super::SimLedger;
use crate::net::Call;

#[async_trait]
impl Mesh for SimLedger {
    async fn protocol(&self) -> Result<Option<u32>> {
        self.0.call(Call::idempotent("protocol", String::new()), |state, at| Ok(state.ledger.protocol(at.now_ms))).await
    }

    async fn adopt_protocol(&self, found: Option<u32>, mine: u32) -> Result<u32> {
        let call = Call::new("adopt_protocol", format!("{found:?} {mine}"));
        self.0.call(call, move |state, at| Ok(state.ledger.adopt_protocol(found, mine, at.now_ms))).await
    }

    async fn check(&self) -> Result<String> {
        self.0.call(Call::idempotent("check", String::new()), |_, _| Ok("simulated ledger 1".to_owned())).await
    }
}
