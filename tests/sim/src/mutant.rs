//! The list of mutants, known ways to break a law, and the switch that makes one active to show that the laws can fail.
//!
//! The rules are broken in the [`models`](crate::models) and in the decorators of [`mutants`](crate::mutants), which ask [`is_active`]. No
//! role asks for a mutant. Without the feature `mutants` [`is_active`] is a constant `false`. With the feature one mutant at a time may be
//! active, on the thread that asked for it.

/// One way to break a law.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mutant {
    /// The worker acknowledges before it stores (L4).
    AckBeforeSink,
    /// The ledger counts by a bare increment, without asking whether the job is counted already (L1, L2).
    BareIncrement,
    /// The ledger does not look at the fence (L9).
    NoFencing,
    /// The owner reserves anew after a reservation whose outcome is unknown, instead of reading the run again (L6).
    CursorNotIdempotent,
    /// The dispatcher confirms a range in the ledger before the broker has it (L5).
    ConfirmBeforeBroker,
    /// The end of a run is noted as kept before the sink has it.
    NoteBeforeKept,
}

impl Mutant {
    pub const ALL: [Self; 6] = [
        Self::AckBeforeSink,
        Self::BareIncrement,
        Self::NoFencing,
        Self::CursorNotIdempotent,
        Self::ConfirmBeforeBroker,
        Self::NoteBeforeKept,
    ];

    /// As it is written on a command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::AckBeforeSink => "ack-before-sink",
            Self::BareIncrement => "bare-increment",
            Self::NoFencing => "no-fencing",
            Self::CursorNotIdempotent => "cursor-not-idempotent",
            Self::ConfirmBeforeBroker => "confirm-before-broker",
            Self::NoteBeforeKept => "note-before-kept",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mutant| mutant.name() == name)
    }
}

/// True while `mutant` is active on this thread.
#[cfg(not(feature = "mutants"))]
pub const fn is_active(_: Mutant) -> bool {
    false
}

#[cfg(feature = "mutants")]
pub use switch::{activate, is_active};

#[cfg(feature = "mutants")]
mod switch {
    use std::cell::Cell;

    use super::Mutant;

    thread_local! {
        static ACTIVE: Cell<Option<Mutant>> = const { Cell::new(None) };
    }

    /// True while `mutant` is active on this thread.
    pub fn is_active(mutant: Mutant) -> bool {
        ACTIVE.get() == Some(mutant)
    }

    /// Makes `mutant` the active one of this thread; `None` ends it.
    pub fn activate(mutant: Option<Mutant>) {
        ACTIVE.set(mutant);
    }
}
