//! The mesh port: the protocol that the roles have in common.

use paceline_core::ports::mesh::PROTOCOL_FIRST;

use super::store::LedgerModel;

impl LedgerModel {
    pub fn protocol(&self, now_ms: i64) -> Option<u32> {
        let is_in_use = !self.runs.is_empty() || !self.workers(now_ms).is_empty();
        self.protocol.or(is_in_use.then_some(PROTOCOL_FIRST))
    }

    pub fn adopt_protocol(&mut self, found: Option<u32>, mine: u32, now_ms: i64) -> u32 {
        if let Some(has) = self.protocol(now_ms).filter(|has| Some(*has) != found && *has != mine) {
            return has;
        }
        self.protocol = Some(mine);
        mine
    }
}
