//! The ports of the ledger over the simulated network: a file a port.

mod counts;
mod leases;
mod mesh;
mod ranges;
mod runs;
mod workers;

use paceline_core::Result;
use paceline_core::ids::RunId;
use paceline_core::ports::Ledger;
use paceline_core::ports::leases::Fence;

use crate::sim::net::Link;
use crate::sim::world::{At, State};

pub struct SimLedger(Link);

impl SimLedger {
    /// All ports of the ledger at the end of `link`.
    pub fn ports(link: Link) -> Ledger {
        Ledger::of(Self(link))
    }

    /// A run as traces call it.
    fn number(&self, run: &RunId) -> String {
        self.0.world.state().number(run)
    }

    fn fenced(&self, run: &RunId, fence: Fence) -> String {
        format!("{} epoch {}", self.number(run), fence.epoch % 100_000_000)
    }
}

impl State {
    /// A run as traces call it: ids are random.
    pub fn number(&self, run: &RunId) -> String {
        self.ledger.number(run).map_or_else(|| "r?".into(), |number| format!("r{number}"))
    }

    /// L9, after a write that the ledger took.
    fn wrote(&mut self, run: &RunId, fence: Fence, at: At) {
        let verdict = self.laws.of(run).ownership.wrote(fence, at.process);
        self.judge(run, verdict);
    }

    pub fn judge(&mut self, run: &RunId, verdict: Result<(), (&'static str, String)>) {
        if let Err((law, words)) = verdict {
            let number = self.number(run);
            self.breaks(law, format!("{number}: {words}"));
        }
    }
}
