//! The ports of the ledger over the simulated network: a file a port.

mod counts;
mod leases;
mod mesh;
mod ranges;
mod runs;
mod workers;

use paceline_core::ids::RunId;
use paceline_core::ports::Ledger;
use paceline_core::ports::leases::Fence;

use crate::net::Link;

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
