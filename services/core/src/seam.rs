//! Named places in the way of a job where a fault can be put, by name and seed: between two steps that are not atomic together.
//!
//! In production nobody listens: one virtual call a batch. A test's or the simulation's [`Faults`] decides, and a strike
//! means "the process died here": what was done stays done, nothing after it happens.

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
    /// Whether the process dies here, now.
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
