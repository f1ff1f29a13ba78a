//! A ledger that goes back in time, as one does that lost its last writes: the fault itself, on the copies in [`crate::past`].

use std::time::Duration;

use crate::past::Copy;
use crate::world::{State, World};

const COPY_INTERVAL: Duration = Duration::from_millis(250);

/// Keeps copies until the last time that they are needed.
pub async fn remember(world: World, until_ms: u64) {
    while world.now_ms() < until_ms {
        world.state().remember(world.now_ms());
        tokio::time::sleep(COPY_INTERVAL).await;
    }
}

impl State {
    fn remember(&mut self, at_ms: u64) {
        self.past.remember(Copy { at_ms, ledger: self.ledger.clone(), ownerships: self.laws.ownerships() });
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
    let Some(copy) = state.past.back_to(to_ms) else { return "the ledger has no past".into() };
    let before = std::mem::replace(&mut state.ledger, copy.ledger.clone());
    state.laws.went_back(now_us, &before, &state.ledger, &copy.ownerships);
    format!("the ledger is what it was at {} ms", copy.at_ms)
}
