//! The mesh port: whether the server can keep the promises, and the protocol of the mesh, one number noted by whoever comes first.

use async_trait::async_trait;
use paceline_core::Result;
use paceline_core::ports::Mesh;
use paceline_core::ports::mesh::PROTOCOL_FIRST;
use redis::{Script, ScriptInvocation};

use super::ledger::RedisLedger;

#[async_trait]
impl Mesh for RedisLedger {
    async fn check(&self) -> Result<String> {
        self.check_server().await
    }

    async fn protocol(&self) -> Result<Option<u32>> {
        let mut read = self.on_protocol(&self.scripts.read_protocol);
        self.connection.script("protocol", read.arg(PROTOCOL_FIRST)).await
    }

    async fn adopt_protocol(&self, found: Option<u32>, mine: u32) -> Result<u32> {
        let mut adopt = self.on_protocol(&self.scripts.adopt_protocol);
        let found = found.map_or_else(String::new, |found| found.to_string());
        self.connection.script("protocol", adopt.arg(found).arg(mine).arg(PROTOCOL_FIRST)).await
    }
}

impl RedisLedger {
    /// A call of `script` with the keys that say which protocol the mesh has: the note, and the runs and workers from before there was a
    /// note.
    fn on_protocol<'a>(&self, script: &'a Script) -> ScriptInvocation<'a> {
        let mut invocation = script.prepare_invoke();
        invocation.key(self.keys.protocol()).key(self.keys.runs()).key(self.keys.workers_alive());
        invocation
    }
}
