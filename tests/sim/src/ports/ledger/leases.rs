//! The leases port: each call goes over the network to the model, and the oracle sees its effect.

use std::time::Duration;

use async_trait::async_trait;
use paceline_core::Result;
use paceline_core::ids::RunId;
use paceline_core::pacing::Pacing;
use paceline_core::ports::leases::{Fence, Leases};
use paceline_core::run::{RunRecord, RunState};

use super::SimLedger;
use crate::at::At;
use crate::net::Call;
use crate::world::State;

#[async_trait]
impl Leases for SimLedger {
    async fn acquire(&self, run: &RunId, owner: &str, ttl: Duration) -> Result<Option<Fence>> {
        let (call, run, owner) = (Call::idempotent("lease", self.number(run)), run.clone(), owner.to_owned());
        let effect = move |state: &mut State, at: At| {
            let leased = state.ledger.lease(at.now_ms, &run, &owner, ttl)?;
            if let Some(fence) = leased {
                let books = state.laws.of(&run);
                let verdict = books.ownership.leased(fence, &owner, at.now_ms, ttl);
                books.pace.iter_mut().for_each(|pace| pace.taken_up());
                let verdict = verdict.and_then(|()| state.laws.granted(&run, fence, &owner));
                state.judge(&run, verdict);
            }
            Ok(leased)
        };
        self.0.call(call, effect).await
    }

    async fn release(&self, run: &RunId, fence: Fence) -> Result<()> {
        let (call, run) = (Call::idempotent("release", self.fenced(run, fence)), run.clone());
        let effect = move |state: &mut State, _: At| {
            state.ledger.release(&run, fence);
            state.laws.of(&run).ownership.released(fence);
            Ok(())
        };
        self.0.call(call, effect).await
    }

    async fn renew(&self, run: &RunId, fence: Fence, ttl: Duration, pacing: &Pacing) -> Result<RunRecord> {
        let (call, run, pacing) = (Call::new("keep", self.fenced(run, fence)), run.clone(), *pacing);
        let effect = move |state: &mut State, at: At| {
            let kept = state.ledger.keep(at.now_ms, &run, fence, ttl, &pacing)?;
            state.wrote(&run, fence, at);
            let span_ms = state.laws.clock_span_ms();
            let books = state.laws.of(&run);
            books.ownership.renewed(at.now_ms, ttl);
            books.pace.iter_mut().for_each(|pace| pace.wrote(at, &pacing, span_ms));
            Ok(kept)
        };
        self.0.call(call, effect).await
    }

    async fn advance(&self, run: &RunId, fence: Fence, next: RunState, failure: Option<&str>) -> Result<RunRecord> {
        let words = format!("{} to {next}", self.fenced(run, fence));
        let (call, run, failure) = (Call::idempotent("advance_state", words), run.clone(), failure.map(str::to_owned));
        let effect = move |state: &mut State, at: At| {
            let before = state.ledger.run(&run).map(|record| record.revision);
            let advanced = state.ledger.advance_state(at.now_ms, &run, fence, next, failure.as_deref())?;
            state.wrote(&run, fence, at);
            if Some(advanced.revision) != before
                && let Some(pace) = &mut state.laws.of(&run).pace
            {
                pace.changed(at.now_us, &advanced);
            }
            Ok(advanced)
        };
        self.0.call(call, effect).await
    }
}
