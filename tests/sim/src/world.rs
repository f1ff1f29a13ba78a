//! One simulated world: the services' state, the network's weather, the trace and the laws, behind one lock.

use std::sync::{Arc, Mutex, MutexGuard};

use paceline_core::ids::RunId;
use paceline_core::ports::leases::Fence;
use paceline_producer::Producer;
use paceline_runtime::lifecycle::{Shutdown, Tasks};
use paceline_scheduler::SchedulerHandle;
use tokio::time::Instant;

use crate::at::At;
use crate::clock::WALL_MS;
use crate::laws::{Broken, Laws, Violation};
use crate::models::{BrokerModel, LedgerModel, SinkModel};
use crate::past::Past;
use crate::process::{Place, Process};
use crate::storm::Storm;
use crate::trace::Trace;

/// Steps after which a run counts as going round in circles.
const STEPS_MAX: u64 = 400_000;

/// A cheap handle.
#[derive(Clone)]
pub struct World(Arc<Shared>);

struct Shared {
    start: Instant,
    state: Mutex<State>,
    /// Calls that are under way in the network, and every process.
    tasks: Tasks,
    /// A law is broken: nothing after it matters.
    broken: Shutdown,
}

pub struct State {
    pub ledger: LedgerModel,
    pub broker: BrokerModel,
    pub sink: SinkModel,
    pub storm: Storm,
    /// Decides what becomes of each call.
    pub random: fastrand::Rng,
    pub trace: Trace,
    pub laws: Laws,
    /// Copies of the ledger for a fault that takes it back in time.
    pub past: Past,
    pub violation: Option<Violation>,
    pub schedulers: Vec<Option<(Process, SchedulerHandle)>>,
    pub producers: Vec<Option<(Process, Producer)>>,
    pub workers: Vec<Option<Process>>,
    /// Processes so far; the next one's number.
    pub processes: usize,
}

impl World {
    pub fn new(seed: u64, is_loud: bool, has_laws: bool) -> Self {
        let state = State {
            ledger: LedgerModel::default(),
            broker: BrokerModel::default(),
            sink: SinkModel::default(),
            storm: Storm::default(),
            random: fastrand::Rng::with_seed(seed),
            trace: Trace::new(is_loud),
            laws: Laws::new(has_laws),
            past: Past::default(),
            violation: None,
            schedulers: Vec::new(),
            producers: Vec::new(),
            workers: Vec::new(),
            processes: 0,
        };
        Self(Arc::new(Shared {
            start: Instant::now(),
            state: Mutex::new(state),
            tasks: Tasks::new(),
            broken: Shutdown::new(),
        }))
    }

    pub fn start(&self) -> Instant {
        self.0.start
    }

    pub fn now_us(&self) -> u64 {
        u64::try_from(self.0.start.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    pub fn now_ms(&self) -> u64 {
        self.now_us() / 1000
    }

    pub fn tasks(&self) -> &Tasks {
        &self.0.tasks
    }

    pub fn broken(&self) -> &Shutdown {
        &self.0.broken
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().expect("no code panics while it holds the world")
    }

    pub fn at(&self, process: usize) -> At {
        let now_us = self.now_us();
        let now_ms = WALL_MS + i64::try_from(now_us / 1000).unwrap_or(i64::MAX);
        At { now_us, now_ms, process, is_late: false, is_copy: false }
    }

    /// One effect, its line in the trace, and a look at the laws.
    pub fn step<T>(&self, at: At, effect: impl FnOnce(&mut State) -> (T, String)) -> T {
        let mut state = self.state();
        let (answer, line) = effect(&mut state);
        state.trace.note(at.now_us, &line);
        state.look(at.now_us);
        if state.trace.steps() > STEPS_MAX {
            state.breaks("liveness", format!("more than {STEPS_MAX} steps: the run goes round in circles"));
        }
        if state.violation.is_some() {
            self.0.broken.trigger();
        }
        answer
    }

    /// A line in the trace without an effect on a service.
    pub fn note(&self, line: &str) {
        let now_us = self.now_us();
        self.state().trace.note(now_us, line);
    }

    /// For a check that is made outside of a step.
    pub fn breaks(&self, law: &'static str, words: String) {
        self.state().breaks(law, words);
        self.0.broken.trigger();
    }
}

impl State {
    /// Only the first one counts: what follows may be its consequence.
    pub fn breaks(&mut self, law: &'static str, words: String) {
        if self.violation.is_none() && self.laws.are_on {
            self.violation = Some(Violation { law, words });
        }
    }

    fn look(&mut self, now_us: u64) {
        if self.violation.is_none()
            && self.laws.are_on
            && let Err((law, words)) = self.laws.look(now_us, &self.ledger)
        {
            self.breaks(law, words);
        }
    }

    /// A run as traces call it: ids are random.
    pub fn number(&self, run: &RunId) -> String {
        self.ledger.number(run).map_or_else(|| "r?".into(), |number| format!("r{number}"))
    }

    /// L9, after a write that the ledger took.
    pub fn wrote(&mut self, run: &RunId, fence: Fence, at: At) {
        let verdict = self.laws.of(run).ownership.wrote(fence, at.process);
        self.judge(run, verdict);
    }

    pub fn judge(&mut self, run: &RunId, verdict: Result<(), Broken>) {
        if let Err((law, words)) = verdict {
            let number = self.number(run);
            self.breaks(law, format!("{number}: {words}"));
        }
    }

    /// Every process that lives now: schedulers, producers, workers.
    pub fn living(&self) -> Vec<Process> {
        let schedulers = self.schedulers.iter().flatten().map(|(process, _)| process);
        let producers = self.producers.iter().flatten().map(|(process, _)| process);
        schedulers.chain(producers).chain(self.workers.iter().flatten()).cloned().collect()
    }

    /// The process that lives at `place`, if one does.
    pub fn at_place(&self, place: Place) -> Option<Process> {
        self.living().into_iter().find(|process| process.place() == place)
    }
}
