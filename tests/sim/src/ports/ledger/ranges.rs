//! The ranges port: each call goes over the network to the model, and the oracle sees its effect.

use async_trait::async_trait;
use paceline_core::Result;
use paceline_core::ids::RunId;
use paceline_core::job::Range;
use paceline_core::ports::leases::Fence;
use paceline_core::ports::ranges::{Ranges, Reservation};

use super::SimLedger;
use crate::at::At;
use crate::net::Call;
use crate::world::State;

#[async_trait]
impl Ranges for SimLedger {
    async fn reserve(&self, run: &RunId, fence: Fence, reservation: &Reservation) -> Result<Range> {
        let words = format!("{} {} jobs", self.fenced(run, fence), reservation.count);
        let (call, run, asked) = (Call::new("reserve", words), run.clone(), reservation.clone());
        let effect = move |state: &mut State, at: At| {
            let range = state.ledger.reserve(at.now_ms, &run, fence, &asked)?;
            state.wrote(&run, fence, at);
            let span_ms = state.laws.clock_span_ms();
            let verdict = state.laws.of(&run).pace.as_mut().map_or(Ok(()), |pace| {
                pace.wrote(at, &asked.pacing, span_ms);
                pace.check(range.end(), span_ms)
            });
            let total = state.ledger.run(&run).and_then(|record| record.spec.total);
            let is_beyond = range.count > 0 && total.is_some_and(|total| range.end() > total);
            let beyond = || ("L6", format!("jobs up to {} are reserved of a total of {total:?}", range.end()));
            let verdict = verdict.and(if is_beyond { Err(beyond()) } else { Ok(()) });
            state.judge(&run, verdict);
            Ok(range)
        };
        self.0.call(call, effect).await
    }

    async fn confirm(&self, run: &RunId, fence: Fence, range: &Range, producer: &str) -> Result<()> {
        let words = format!("{} {}+{}", self.fenced(run, fence), range.first, range.count);
        let (call, run, range, producer) =
            (Call::idempotent("confirm", words), run.clone(), *range, producer.to_owned());
        let effect = move |state: &mut State, at: At| {
            let before = state.ledger.entry(&run).map(|entry| entry.published);
            state.ledger.confirm(&run, fence, &range, &producer)?;
            state.wrote(&run, fence, at);
            if state.ledger.entry(&run).map(|entry| entry.published) != before {
                let verdict = state.laws.confirmed(&run, &range);
                state.judge(&run, verdict);
            }
            Ok(())
        };
        self.0.call(call, effect).await
    }

    async fn outstanding(&self, run: &RunId) -> Result<Vec<Range>> {
        let (call, run) = (Call::idempotent("outstanding", self.number(run)), run.clone());
        self.0.call(call, move |state, _| Ok(state.ledger.outstanding(&run))).await
    }
}
