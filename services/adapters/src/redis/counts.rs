//! The counts port: each job once per group, all numbers of a run at one moment, and what repair takes back.

use async_trait::async_trait;
use paceline_core::Result;
use paceline_core::ids::RunId;
use paceline_core::ports::Counts;
use paceline_core::ports::counts::{EndedJob, Recorded};
use paceline_core::ports::runs::unknown;
use paceline_core::run::Snapshot;
use paceline_core::seqset::SeqSet;
use redis::cmd;

use super::fields::number;
use super::keys::CHUNK_SEQS;
use super::ledger::RedisLedger;

/// Bitmap chunks that are read in one round trip: 4 MiB.
const CHUNKS_READ_MAX: usize = 32;

#[async_trait]
impl Counts for RedisLedger {
    async fn record(&self, group: &str, worker: &str, ended: &[EndedJob]) -> Result<Recorded> {
        self.record_ended(group, worker, ended).await
    }

    async fn snapshot(&self, run: &RunId, group: &str) -> Result<Option<Snapshot>> {
        self.read_snapshot(run, group).await
    }

    async fn counted(&self, run: &RunId, group: &str) -> Result<SeqSet> {
        self.read_bitmaps(run, |chunk| self.keys.done(run, group, chunk)).await
    }

    async fn dead(&self, run: &RunId, group: &str) -> Result<SeqSet> {
        self.read_bitmaps(run, |chunk| self.keys.dead(run, group, chunk)).await
    }

    async fn forget(&self, run: &RunId, group: &str, seqs: &[u64]) -> Result<u64> {
        self.forget_jobs(run, group, seqs).await
    }
}

impl RedisLedger {
    /// The bits of all chunks up to the cursor. Bits are only ever added, so this holds what was there when it began, and
    /// perhaps some of what came while it read.
    async fn read_bitmaps(&self, run: &RunId, key: impl Fn(u64) -> String) -> Result<SeqSet> {
        let fields = self.connection.command(cmd("HGETALL").arg(self.keys.run(run))).await?;
        let cursor = number(&fields, "cursor")?;
        if fields.is_empty() {
            return Err(unknown(run));
        }
        let chunks: Vec<u64> = (0..cursor.div_ceil(CHUNK_SEQS)).collect();
        let mut set = SeqSet::default();
        for part in chunks.chunks(CHUNKS_READ_MAX) {
            let keys: Vec<String> = part.iter().map(|chunk| key(*chunk)).collect();
            let bitmaps: Vec<Option<Vec<u8>>> = self.connection.command(cmd("MGET").arg(keys)).await?;
            for (chunk, bitmap) in part.iter().zip(bitmaps) {
                set.insert_msb_bytes(chunk * CHUNK_SEQS, &bitmap.unwrap_or_default());
            }
        }
        Ok(set)
    }
}
