//! L9: one owner a run. The books of who was granted which epoch, kept apart from the ledger's own.

use std::time::Duration;

use paceline_core::ports::leases::Fence;

use super::broken::Broken;

#[derive(Debug, Default, Clone)]
pub struct Ownership {
    epoch: u64,
    owner: String,
    until_ms: i64,
    is_released: bool,
    /// The process that wrote with this epoch.
    writer: Option<usize>,
}

impl Ownership {
    /// A lease was granted or renewed.
    pub fn leased(&mut self, fence: Fence, owner: &str, now_ms: i64, ttl: Duration) -> Result<(), Broken> {
        let is_free = self.is_released || self.epoch == 0 || now_ms >= self.until_ms;
        if fence.epoch < self.epoch {
            return Err(("L9", format!("epoch {} is granted after epoch {}", fence.epoch, self.epoch)));
        }
        if fence.epoch == self.epoch && (self.is_released || owner != self.owner) {
            return Err(("L9", format!("{owner} gets the epoch of {}", self.owner)));
        }
        if fence.epoch > self.epoch && !is_free && owner != self.owner {
            return Err(("L9", format!("{owner} gets the run within the lease of {}", self.owner)));
        }
        let writer = self.writer.filter(|_| fence.epoch == self.epoch);
        let until_ms = after(now_ms, ttl);
        *self = Self { epoch: fence.epoch, owner: owner.to_owned(), until_ms, is_released: false, writer };
        Ok(())
    }

    pub fn released(&mut self, fence: Fence) {
        if fence.epoch == self.epoch {
            self.is_released = true;
        }
    }

    pub fn renewed(&mut self, now_ms: i64, ttl: Duration) {
        self.until_ms = after(now_ms, ttl);
    }

    /// The process that has the run in its hands: it wrote as its owner, and nobody else was granted it since.
    pub fn at_work(&self) -> Option<usize> {
        self.writer.filter(|_| !self.is_released)
    }

    /// A write of `process` that carried `fence` changed the run.
    pub fn wrote(&mut self, fence: Fence, process: usize) -> Result<(), Broken> {
        if fence.epoch == self.epoch && !self.is_released {
            self.writer = Some(process);
            return Ok(());
        }
        let released = if self.is_released { ", which is released" } else { "" };
        Err(("L9", format!("a write with epoch {} changed the run at epoch {}{released}", fence.epoch, self.epoch)))
    }
}

fn after(now_ms: i64, ttl: Duration) -> i64 {
    now_ms.saturating_add(i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX))
}
