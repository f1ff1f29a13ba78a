//! A plan as data: the processes, what the callers ask, and the faults with their times.

mod draw;

use paceline_core::pacing::CatchUp;
use paceline_core::seam::Seam;

use crate::process::Place;
use crate::storm::Trouble;

pub const SCHEDULERS: usize = 2;
pub const PRODUCERS: usize = 2;

/// One run of the simulation, as data.
#[derive(Debug, Clone)]
pub struct Plan {
    pub workers: usize,
    pub runs: Vec<RunPlan>,
    /// In the order of their times.
    pub faults: Vec<(u64, Fault)>,
    /// From here on nothing fails any more.
    pub calm_from_ms: u64,
    pub latency_max_us: u64,
    pub rejected_of_97: u64,
    pub has_late_effects: bool,
    /// A process comes back under its old name, as a container does, or under a new one.
    pub keeps_names: bool,
    pub prefetch: u16,
    pub consumers: usize,
    pub batch_max: usize,
    pub high_water: u64,
    pub tells_unacked: bool,
}

/// The callers and their changes of one run.
#[derive(Debug, Clone)]
pub struct RunPlan {
    pub start_ms: u64,
    pub jobs: u64,
    pub per_minutes: f64,
    /// Without one the run is stopped when all faults are over.
    pub total: Option<u64>,
    pub catch_up: CatchUp,
    pub asks: Vec<(u64, Ask)>,
}

/// A caller's change.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Ask {
    Rate { jobs: u64, per_minutes: f64 },
    Total(Option<u64>),
    Pause,
    Resume,
    Stop,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Fault {
    Crash(Place),
    /// At the call after so many others: after its effect, or before.
    CrashAtCall {
        place: Place,
        calls: u32,
        is_after_effect: bool,
    },
    CrashAtSeam {
        place: Place,
        seam: Seam,
        passes: u32,
    },
    /// A stop in order, and a start again.
    Restart(Place),
    Stall {
        place: Place,
        ms: u64,
    },
    ClockStep {
        place: Place,
        by_ms: i64,
    },
    /// The broker ends the consumers of a process, or of all.
    ConsumersLost(Option<Place>),
    /// The broker comes back without any message, and without its queues unless they are made again at once.
    QueueLost {
        are_made_again: bool,
    },
    /// The ledger is again what it was some time ago.
    LedgerRewound {
        by_ms: u64,
    },
    Trouble {
        trouble: Trouble,
        ms: u64,
    },
}

impl Plan {
    pub fn is_calm(&self) -> bool {
        self.faults.is_empty()
    }

    /// When the ledger goes back in time for the last time, if it ever does.
    pub fn last_rewind_ms(&self) -> Option<u64> {
        let is_rewind = |fault: &Fault| matches!(fault, Fault::LedgerRewound { .. });
        self.faults.iter().filter(|(_, fault)| is_rewind(fault)).map(|(at_ms, _)| *at_ms).max()
    }
}
