//! The protocol of the mesh: one number, noted by whoever comes first.

use paceline_core::Result;
use paceline_core::ports::ledger::PROTOCOL_FIRST;
use redis::cmd;

use super::ledger::RedisLedger;

impl RedisLedger {
    pub(super) async fn read_protocol(&self) -> Result<Option<u32>> {
        let noted: Option<u32> = self.connection.command(cmd("GET").arg(self.keys.protocol())).await?;
        if noted.is_some() {
            return Ok(noted);
        }
        let runs: u64 = self.connection.command(cmd("ZCARD").arg(self.keys.runs())).await?;
        Ok((runs > 0).then_some(PROTOCOL_FIRST))
    }

    pub(super) async fn replace_protocol(&self, found: Option<u32>, mine: u32) -> Result<u32> {
        let mut adopt = self.scripts.adopt_protocol.prepare_invoke();
        let found = found.map_or_else(String::new, |found| found.to_string());
        adopt.key(self.keys.protocol()).arg(found).arg(mine);
        self.connection.script("protocol", &adopt).await
    }
}
