//! A ledger that goes back in time, as one does that lost its last writes: copies of the model while such a fault is to come.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use paceline_core::ids::RunId;

use super::laws::ownership::Ownership;
use super::models::LedgerModel;
use super::world::{State, World};

const COPY_INTERVAL: Duration = Duration::from_millis(250);
/// Enough for the longest way back.
const COPIES_MAX: usize = 26;

/// The ledger as it was, and what the oracle knew of its owners.
struct Copy {
    at_ms: u64,
    ledger: LedgerModel,
    ownerships: BTreeMap<RunId, Ownership>,
}

/// Oldest first.
#[derive(Default)]
pub struct Past(VecDeque<Copy>);

/// Keeps copies until the last time that they are needed.
pub async fn remember(world: World, until_ms: u64) {
    while world.now_ms() < until_ms {
        let at_ms = world.now_ms();
        world.state().remember(at_ms);
        tokio::time::sleep(COPY_INTERVAL).await;
    }
}

impl State {
    fn remember(&mut self, at_ms: u64) {
        if self.past.0.len() == COPIES_MAX {
            self.past.0.pop_front();
        }
        let (ledger, ownerships) = (self.ledger.clone(), self.laws.ownerships());
        self.past.0.push_back(Copy { at_ms, ledger, ownerships });
    }
}

/// The ledger is what it was `by_ms` ago, or a little earlier; what was since then has never been.
pub fn rewind(world: &World, by_ms: u64) {
    let at = world.at(0);
    world.step(at, |state| {
        let since_ms = (at.now_us / 1000).saturating_sub(by_ms);
        ((), go_back(state, at.now_us, since_ms))
    });
}

fn go_back(state: &mut State, now_us: u64, to_ms: u64) -> String {
    while state.past.0.len() > 1 && state.past.0.back().is_some_and(|copy| copy.at_ms > to_ms) {
        state.past.0.pop_back();
    }
    let Some(copy) = state.past.0.back() else { return "the ledger has no past".into() };
    let before = std::mem::replace(&mut state.ledger, copy.ledger.clone());
    state.laws.went_back(now_us, &before, &state.ledger, &copy.ownerships);
    format!("the ledger is what it was at {} ms", copy.at_ms)
}
