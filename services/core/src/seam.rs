//! Seams: named places on the way of a job, between two steps that are not atomic together, where a test can let a worker die.
//!
//! A test or the simulation passes [`Faults`] that decide. A strike means that the process died here: steps before it have happened, and
//! steps after it do not happen. In production [`NoFaults`] costs one virtual call a batch.

/// Where a worker may die.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Seam {
    /// Jobs are handled, nothing is stored.
    BeforeSink,
    /// Documents are stored, not counted.
    SinkToLedger,
    /// Jobs are counted, not acknowledged.
    LedgerToAck,
}

impl Seam {
    pub const ALL: [Self; 3] = [Self::BeforeSink, Self::SinkToLedger, Self::LedgerToAck];
}

/// Decides where faults strike.
pub trait Faults: Send + Sync + 'static {
    /// True if the process dies at `seam`, now.
    fn strikes(&self, seam: Seam) -> bool;
}

/// Production: no faults.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoFaults;

impl Faults for NoFaults {
    fn strikes(&self, _: Seam) -> bool {
        false
    }
}
