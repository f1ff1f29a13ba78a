//! The last look: when everything has drained, the numbers close exactly (L2), and what was accepted is there (L10).

use std::collections::BTreeSet;

use paceline_core::document::Status;
use paceline_core::ids::{DEFAULT_GROUP, JobId, RunId};
use paceline_core::run::{KeptRun, RunRecord, RunState};
use paceline_core::seqset::SeqSet;

use crate::laws::Broken;
use crate::world::State;

/// The law that the sink keeps every run as it ended, for a ledger that is rebuilt from it.
pub const KEPT: &str = "kept";

/// `accepted`: one run a request.
///
/// A ledger that went back in time may have forgotten a run that nobody else had in his hands, and a request: the run of a request
/// that was made again then exists twice. Whatever there is closes.
pub fn check(state: &State, accepted: &[RunId], alive: &[usize]) -> Result<(), Broken> {
    let distinct: BTreeSet<&RunId> = accepted.iter().collect();
    let went_back = state.laws.rewinds > 0;
    if distinct.len() != accepted.len() || (state.ledger.runs.len() != accepted.len() && !went_back) {
        let (runs, requests) = (state.ledger.runs.len(), accepted.len());
        return Err(("L10", format!("{requests} requests made {runs} runs")));
    }
    accepted.iter().try_for_each(|run| is_there(state, run, alive))?;
    state.ledger.runs.iter().try_for_each(|entry| closes(state, &entry.record.spec.run_id))?;
    state.ledger.runs.iter().try_for_each(|entry| is_kept(state, &entry.record))
}

fn is_kept(state: &State, record: &RunRecord) -> Result<(), Broken> {
    let end = |kept: KeptRun| (kept.state, kept.revision, kept.cursor, kept.spec);
    let (found, wanted) = (state.sink.kept_run(&record.spec.run_id).map(end), end(record.clone()));
    if found.as_ref() == Some(&wanted) {
        return Ok(());
    }
    Err((KEPT, format!("{} is {wanted:?}, and kept as {found:?}", state.number(&record.spec.run_id))))
}

/// `alive`: processes that live since before the end of all faults.
fn is_there(state: &State, run: &RunId, alive: &[usize]) -> Result<(), Broken> {
    if state.ledger.number(run).is_some() {
        return Ok(());
    }
    match state.laws.once(run).and_then(|once| once.forgotten_by) {
        None => Err(("L10", "a run was accepted and is gone".into())),
        Some(Some(owner)) if alive.contains(&owner) => {
            Err(("L10", format!("process {owner} owned a run that the ledger forgot, and did not bring it back")))
        }
        Some(_) => Ok(()),
    }
}

fn closes(state: &State, run: &RunId) -> Result<(), Broken> {
    let name = state.number(run);
    let Some(snapshot) = state.ledger.snapshot(0, run, DEFAULT_GROUP) else {
        return Err(("L10", format!("{name} was accepted and is gone")));
    };
    let wrong = |words: String| Err(("L2", format!("{name}: {words}")));
    let (record, enqueued) = (&snapshot.record, SeqSet::up_to(snapshot.enqueued));
    match (record.state, record.spec.total) {
        (RunState::Stopped, _) => (),
        (RunState::Completed, Some(total)) if total == snapshot.enqueued => (),
        // The total that was lowered had been forgotten for a while.
        (RunState::Completed, Some(total)) if total < snapshot.enqueued && state.laws.rewinds > 0 => (),
        (ended, total) => return wrong(format!("{ended} with {} jobs of {total:?}", snapshot.enqueued)),
    }
    let of = |status| -> SeqSet {
        let own = state.sink.of_run(run).filter(|document| document.status == status);
        own.map(|document| document.seq).collect()
    };
    let (mut stored, mut dead) = (of(Status::Completed), of(Status::Dead));
    if state.laws.rewinds > 0 {
        // Reserved once, forgotten, and not reserved again before the run was stopped: stored, but no job of the run.
        let once = state.laws.once(run).map_or(0, |once| once.cursor);
        let forgotten = SeqSet::up_to(once).minus(&enqueued);
        (stored, dead) = (stored.minus(&forgotten), dead.minus(&forgotten));
    }
    if !stored.intersection(&dead).is_empty() || stored.union(&dead) != enqueued {
        let missing = enqueued.minus(&stored.union(&dead)).iter().take(5).collect::<Vec<_>>();
        return wrong(format!(
            "{} stored, {} dead of {}; missing {missing:?}",
            stored.len(),
            dead.len(),
            enqueued.len()
        ));
    }
    let foreign =
        state.sink.of_run(run).find(|document| document.job_id != JobId::new(run.clone(), document.seq).to_string());
    if let Some(foreign) = foreign {
        return wrong(format!("document of seq {} has the id of another", foreign.seq));
    }
    let numbers = (snapshot.published, snapshot.processed, snapshot.dead);
    if numbers != (snapshot.enqueued, stored.len(), dead.len()) {
        let stored = (snapshot.enqueued, stored.len(), dead.len());
        return wrong(format!("the ledger says {numbers:?} published, processed, dead; it is {stored:?}"));
    }
    let dead_in_ledger = state.ledger.dead(run, DEFAULT_GROUP).unwrap_or_default();
    if dead_in_ledger != dead {
        return wrong("ledger and sink disagree on who is dead".into());
    }
    Ok(())
}
