//! One life of a process: its clock, how it dies, and how it is stopped for a while.

use std::sync::{Arc, Mutex};

use paceline_core::seam::{Faults, Seam};
use paceline_runtime::lifecycle::Shutdown;
use tokio::time::Instant;

use crate::clock::SimClock;

/// A process, by role and place; each may live several times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub role: Role,
    pub index: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    Scheduler,
    Producer,
    Worker,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let role = match self.role {
            Role::Scheduler => "scheduler",
            Role::Producer => "producer",
            Role::Worker => "worker",
        };
        write!(f, "{role}-{}", self.index + 1)
    }
}

/// A cheap handle on one life.
#[derive(Clone)]
pub struct Process(Arc<Life>);

struct Life {
    place: Place,
    /// Unique in its world.
    number: usize,
    name: String,
    clock: SimClock,
    /// Dead: nothing it does from now on happens.
    crash: Shutdown,
    /// Asked to stop in order.
    stop: Shutdown,
    armed: Mutex<Armed>,
}

#[derive(Default)]
struct Armed {
    stalled_until: Option<Instant>,
    /// Dies at a call, after that many others; after its effect, or before.
    crash_in_calls: Option<(u32, bool)>,
    /// Dies at a seam, after that many passes.
    crash_at_seam: Option<(Seam, u32)>,
}

/// Where a call kills its process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dies {
    Not,
    BeforeEffect,
    AfterEffect,
}

impl Process {
    pub fn new(place: Place, number: usize, life: u32, clock: SimClock) -> Self {
        Self(Arc::new(Life {
            place,
            number,
            name: format!("{place}.{life}"),
            clock,
            crash: Shutdown::new(),
            stop: Shutdown::new(),
            armed: Mutex::default(),
        }))
    }

    pub fn place(&self) -> Place {
        self.0.place
    }

    pub fn number(&self) -> usize {
        self.0.number
    }

    /// Place and life, for the trace.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    pub fn clock(&self) -> &SimClock {
        &self.0.clock
    }

    pub fn crash(&self) -> &Shutdown {
        &self.0.crash
    }

    pub fn stop(&self) -> &Shutdown {
        &self.0.stop
    }

    /// As by SIGSTOP: nothing leaves it and nothing reaches it until `until`.
    pub fn stall(&self, until: Instant) {
        let mut armed = self.armed();
        armed.stalled_until = armed.stalled_until.max(Some(until));
    }

    pub fn crash_in_calls(&self, calls: u32, is_after_effect: bool) {
        self.armed().crash_in_calls = Some((calls, is_after_effect));
    }

    pub fn crash_at_seam(&self, seam: Seam, passes: u32) {
        self.armed().crash_at_seam = Some((seam, passes));
    }

    /// No fault that was armed strikes any more.
    pub fn disarm(&self) {
        *self.armed() = Armed::default();
    }

    /// Waits while the process is stopped.
    pub async fn gate(&self) {
        loop {
            let until = self.armed().stalled_until;
            match until {
                Some(until) if until > Instant::now() => tokio::time::sleep_until(until).await,
                _ => return,
            }
        }
    }

    /// Counts a call, and says whether it is the deadly one.
    pub fn dies(&self) -> Dies {
        let mut armed = self.armed();
        match &mut armed.crash_in_calls {
            None => Dies::Not,
            Some((0, is_after_effect)) => match *is_after_effect {
                true => Dies::AfterEffect,
                false => Dies::BeforeEffect,
            },
            Some((calls, _)) => {
                *calls -= 1;
                Dies::Not
            }
        }
    }

    fn armed(&self) -> std::sync::MutexGuard<'_, Armed> {
        self.0.armed.lock().expect("no code panics while it holds the faults")
    }
}

impl Faults for Process {
    fn strikes(&self, seam: Seam) -> bool {
        let mut armed = self.armed();
        match &mut armed.crash_at_seam {
            Some((at, passes)) if *at == seam => match passes.checked_sub(1) {
                None => true,
                Some(left) => {
                    *passes = left;
                    false
                }
            },
            _ => false,
        }
    }
}
