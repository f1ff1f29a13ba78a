//! The lists of runs, beside the runs' own keys: all of them, and those that have not ended. Each step may be repeated.

use paceline_core::Result;
use paceline_core::ids::RunId;
use paceline_core::run::RunState;
use redis::cmd;

use super::fields::{Fields, unreadable};
use super::ledger::RedisLedger;

impl RedisLedger {
    /// Idempotent: among all runs, and among those that have not ended if it is one of them.
    pub(super) async fn enlist(&self, run: &RunId, state: RunState) -> Result<()> {
        self.connection.command::<()>(cmd("ZADD").arg(self.keys.runs()).arg(0).arg(run.as_str())).await?;
        if state.is_terminal() {
            return Ok(());
        }
        self.list_active(run).await
    }

    pub(super) async fn list_active(&self, run: &RunId) -> Result<()> {
        self.connection.command(cmd("SADD").arg(self.keys.active()).arg(run.as_str())).await
    }

    /// Empty for an unknown run.
    pub(super) async fn read_fields(&self, run: &RunId) -> Result<Fields> {
        self.connection.command(cmd("HGETALL").arg(self.keys.run(run))).await
    }

    /// State and revision; `None` for an unknown run.
    pub(super) async fn read_state(&self, run: &RunId) -> Result<Option<(RunState, u64)>> {
        let mut read = cmd("HMGET");
        read.arg(self.keys.run(run)).arg("state").arg("revision");
        let (state, revision): (Option<String>, Option<u64>) = self.connection.command(&read).await?;
        let parse = |name: String| RunState::parse(&name).ok_or_else(|| unreadable("state", &name));
        Ok(state.map(parse).transpose()?.zip(revision))
    }
}
