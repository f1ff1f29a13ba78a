//! The ledger port: each call goes over the network to the model, and the oracle sees what it did.

use std::time::Duration;

use async_trait::async_trait;
use paceline_core::Result;
use paceline_core::ids::RunId;
use paceline_core::job::Range;
use paceline_core::pacing::Pacing;
use paceline_core::ports::Ledger;
use paceline_core::ports::ledger::{Created, Fence, Recorded, Reservation, RunChange, Settled, WorkerInfo};
use paceline_core::run::{KeptRun, RunRecord, RunSpec, RunState, Snapshot};
use paceline_core::seqset::SeqSet;

use crate::sim::clock::WALL_MS;
use crate::sim::laws::pace::Pace;
use crate::sim::net::{Call, Link};
use crate::sim::world::{At, State};

pub struct SimLedger(pub Link);

impl SimLedger {
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

#[async_trait]
impl Ledger for SimLedger {
    async fn create_run(&self, spec: &RunSpec, request_id: &str) -> Result<Created> {
        let call = Call { may_repeat: !request_id.is_empty(), ..Call::new("create_run", request_id.to_owned()) };
        let (spec, request_id) = (spec.clone(), request_id.to_owned());
        let effect = move |state: &mut State, at: At| {
            let is_known = state.ledger.number(&spec.run_id).is_some();
            let created = state.ledger.create_run(&spec, &request_id);
            if created == Created::New && !is_known {
                let asked_us = u64::try_from((spec.created_at_ms - WALL_MS) * 1000).unwrap_or(0);
                let pace = Pace::new(at.now_us, at.now_us.saturating_sub(asked_us), spec.rate);
                state.laws.of(&spec.run_id).pace = Some(pace);
            }
            Ok(created)
        };
        self.0.call(call, effect).await
    }

    async fn run(&self, run: &RunId) -> Result<Option<RunRecord>> {
        let (call, run) = (Call::idempotent("run", self.number(run)), run.clone());
        self.0.call(call, move |state, _| Ok(state.ledger.run(&run))).await
    }

    async fn run_ids(&self, before: Option<&RunId>, limit: usize) -> Result<Vec<RunId>> {
        let before = before.cloned();
        let call = Call::idempotent("run_ids", String::new());
        self.0.call(call, move |state, _| Ok(state.ledger.run_ids(before.as_ref(), limit))).await
    }

    async fn active_run_ids(&self) -> Result<Vec<RunId>> {
        self.0
            .call(Call::idempotent("active_run_ids", String::new()), |state, _| Ok(state.ledger.active_run_ids()))
            .await
    }

    async fn unkept_run_ids(&self, after: Option<&RunId>, limit: usize) -> Result<Vec<RunId>> {
        let after = after.cloned();
        let call = Call::idempotent("unkept_run_ids", String::new());
        self.0.call(call, move |state, _| Ok(state.ledger.unkept_run_ids(after.as_ref(), limit))).await
    }

    async fn note_kept(&self, run: &RunId, revision: u64) -> Result<()> {
        let call = Call::idempotent("note_kept", format!("{} revision {revision}", self.number(run)));
        let run = run.clone();
        self.0
            .call(call, move |state, _| {
                state.ledger.note_kept(&run, revision);
                Ok(())
            })
            .await
    }

    async fn change_run(&self, run: &RunId, change: &RunChange) -> Result<RunRecord> {
        let words = format!("{} to {} at revision {}", self.number(run), change.state, change.expected_revision);
        let (call, run, change) = (Call::idempotent("change_run", words), run.clone(), change.clone());
        let effect = move |state: &mut State, at: At| {
            let before = state.ledger.run(&run).map(|record| record.revision);
            let changed = state.ledger.change_run(at.now_ms, &run, &change)?;
            if Some(changed.revision) != before
                && let Some(pace) = &mut state.laws.of(&run).pace
            {
                pace.changed(at.now_us, &changed);
            }
            Ok(changed)
        };
        self.0.call(call, effect).await
    }

    async fn lease(&self, run: &RunId, owner: &str, ttl: Duration) -> Result<Option<Fence>> {
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

    async fn keep(&self, run: &RunId, fence: Fence, ttl: Duration, pacing: &Pacing) -> Result<RunRecord> {
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

    async fn advance_state(
        &self,
        run: &RunId,
        fence: Fence,
        next: RunState,
        failure: Option<&str>,
    ) -> Result<RunRecord> {
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

    async fn record(&self, group: &str, worker: &str, settled: &[Settled]) -> Result<Recorded> {
        let seqs: Vec<u64> = settled.iter().map(|job| job.seq).collect();
        let call = Call::idempotent("record", format!("{seqs:?}"));
        let (group, worker, settled) = (group.to_owned(), worker.to_owned(), settled.to_vec());
        self.0
            .call(call, move |state, at| {
                state.laws.recorded(&settled);
                Ok(state.ledger.record(at.now_ms, &group, &worker, &settled))
            })
            .await
    }

    async fn forget(&self, run: &RunId, group: &str, seqs: &[u64]) -> Result<u64> {
        let call = Call::new("forget", format!("{} {} jobs", self.number(run), seqs.len()));
        let (run, group, seqs) = (run.clone(), group.to_owned(), seqs.to_vec());
        self.0.call(call, move |state, _| state.ledger.forget(&run, &group, &seqs)).await
    }

    async fn restore_run(&self, kept: &KeptRun) -> Result<RunRecord> {
        let (number, state) = (self.number(&kept.spec.run_id), kept.state);
        let words = format!("{number} to {state}, revision {} cursor {}", kept.revision, kept.cursor);
        let (call, kept) = (Call::idempotent("restore_run", words), kept.clone());
        self.0
            .call(call, move |state, at| {
                let before = state.ledger.run(&kept.spec.run_id);
                let restored = state.ledger.restore_run(&kept);
                if before.as_ref() != Some(&restored) {
                    state.laws.restored(at.now_us, &restored);
                }
                Ok(restored)
            })
            .await
    }

    async fn snapshot(&self, run: &RunId, group: &str) -> Result<Option<Snapshot>> {
        let (call, run, group) = (Call::idempotent("snapshot", self.number(run)), run.clone(), group.to_owned());
        self.0.call(call, move |state, at| Ok(state.ledger.snapshot(at.now_ms, &run, &group))).await
    }

    async fn admitted(&self, run: &RunId, group: &str) -> Result<SeqSet> {
        let (call, run, group) = (Call::idempotent("admitted", self.number(run)), run.clone(), group.to_owned());
        self.0.call(call, move |state, _| state.ledger.admitted(&run, &group)).await
    }

    async fn dead(&self, run: &RunId, group: &str) -> Result<SeqSet> {
        let (call, run, group) = (Call::idempotent("dead", self.number(run)), run.clone(), group.to_owned());
        self.0.call(call, move |state, _| state.ledger.dead(&run, &group)).await
    }

    async fn heartbeat(&self, worker: &WorkerInfo, ttl: Duration) -> Result<()> {
        let worker = worker.clone();
        let call = Call::idempotent("heartbeat", String::new());
        self.0
            .call(call, move |state, at| {
                state.ledger.heartbeat(at.now_ms, &worker, ttl);
                Ok(())
            })
            .await
    }

    async fn forget_worker(&self, worker_id: &str) -> Result<()> {
        let worker_id = worker_id.to_owned();
        self.0
            .call(Call::idempotent("forget_worker", String::new()), move |state, _| {
                state.ledger.forget_worker(&worker_id);
                Ok(())
            })
            .await
    }

    async fn workers(&self) -> Result<Vec<WorkerInfo>> {
        self.0.call(Call::idempotent("workers", String::new()), |state, at| Ok(state.ledger.workers(at.now_ms))).await
    }

    async fn protocol(&self) -> Result<Option<u32>> {
        self.0.call(Call::idempotent("protocol", String::new()), |state, at| Ok(state.ledger.protocol(at.now_ms))).await
    }

    async fn adopt_protocol(&self, found: Option<u32>, mine: u32) -> Result<u32> {
        let call = Call::new("adopt_protocol", format!("{found:?} {mine}"));
        self.0.call(call, move |state, at| Ok(state.ledger.adopt_protocol(found, mine, at.now_ms))).await
    }

    async fn check(&self) -> Result<String> {
        self.0.call(Call::idempotent("check", String::new()), |_, _| Ok("simulated ledger 1".to_owned())).await
    }
}
