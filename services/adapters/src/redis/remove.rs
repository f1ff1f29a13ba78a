//! Removal, by name and never by a search: a run's keys follow from its id, its groups and its cursor.

use paceline_core::Result;
use paceline_core::ids::RunId;
use paceline_core::ports::Runs as _;
use redis::cmd;

use super::fields::{Fields, number};
use super::ledger::RedisLedger;

/// Keys in one command: the server frees their memory elsewhere, but looks each of them up.
const KEYS_AT_ONCE: usize = 500;
/// Runs that are listed at once.
const RUNS_PAGE: usize = 100;

impl RedisLedger {
    /// Removes all that is kept of a run for these groups, and answers how many keys that were. For runs that nobody works
    /// on: what is recorded meanwhile may stay. What tells the other keys' names goes last, so that a repeat completes a
    /// removal that stopped half way; a run that is not there is no error. The key of a run's request id, if it had one,
    /// does not follow from the run and stays.
    pub async fn remove_run(&self, run: &RunId, groups: &[String]) -> Result<u64> {
        let fields: Fields = self.connection.command(cmd("HGETALL").arg(self.keys.run(run))).await?;
        let mut removed = 0;
        for keys in self.keys.beside_run(run, groups, number(&fields, "cursor")?).chunks(KEYS_AT_ONCE) {
            removed += self.unlink(keys).await?;
        }
        self.connection.command::<u64>(cmd("SREM").arg(self.keys.active()).arg(run.as_str())).await?;
        removed += self.unlink(&[self.keys.run(run)]).await?;
        self.connection.command::<u64>(cmd("ZREM").arg(self.keys.runs()).arg(run.as_str())).await?;
        Ok(removed)
    }

    /// Removes every run of the namespace, the lists of runs and the workers; answers how many keys that were.
    pub async fn remove_namespace(&self, groups: &[String]) -> Result<u64> {
        let mut removed = 0;
        loop {
            // Each that is removed leaves the list, so the next page is the first again.
            let page = self.list(None, RUNS_PAGE).await?;
            if page.is_empty() {
                break;
            }
            for run in &page {
                removed += self.remove_run(run, groups).await?;
            }
        }
        let keys = &self.keys;
        for key in
            [keys.runs(), keys.active(), keys.unkept(), keys.unkept_is_whole(), keys.workers_alive(), keys.protocol()]
        {
            // On a cluster they may be on different nodes.
            removed += self.unlink(&[key]).await?;
        }
        Ok(removed)
    }

    async fn unlink(&self, keys: &[String]) -> Result<u64> {
        self.connection.command(cmd("UNLINK").arg(keys)).await
    }
}
