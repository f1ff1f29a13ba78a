//! Compares the evidence: pure, so every way to be wrong has a test.
//!
//! Proved exactly if: counted = enqueued, stored ∪ dead = enqueued, disjoint, dead by both accounts, nothing foreign.

use crate::ids::JobId;
use crate::run::{RunState, Snapshot};
use crate::seqset::SeqSet;

use super::collect::Evidence;
use super::verification::{IDS_LISTED_MAX, Verification};

/// The verdict on a run. `ok` exactly if there is no problem to name.
pub fn compare(evidence: &Evidence, strict: bool) -> Verification {
    let Evidence { after, counted, dead, documents, .. } = evidence;
    let run = &after.record.spec.run_id;
    let enqueued = SeqSet::up_to(after.enqueued);
    let missing = enqueued.minus(&documents.completed.union(&documents.dead).intersection(counted));

    let mut problems = Vec::new();
    sets(evidence, &enqueued, &missing, &mut problems);
    if strict {
        strictly(evidence, &mut problems);
    }
    Verification {
        run_id: run.clone(),
        state: after.record.state,
        enqueued: after.enqueued,
        counted: counted.len(),
        stored: documents.completed.len(),
        dead: dead.len(),
        missing: missing.iter().take(IDS_LISTED_MAX).map(|seq| JobId::new(run.clone(), seq).to_string()).collect(),
        missing_count: missing.len(),
        foreign: documents.foreign.clone(),
        foreign_count: documents.foreign_count,
        duplicates: after.duplicates,
        in_flight: after.in_flight(),
        ok: problems.is_empty(),
        problems,
    }
}

fn sets(evidence: &Evidence, enqueued: &SeqSet, missing: &SeqSet, problems: &mut Vec<String>) {
    let Evidence { before, after, counted, dead, documents } = evidence;
    let in_sink = documents.completed.union(&documents.dead);
    let mut problem = |count: u64, words: &str| {
        if count > 0 {
            problems.push(format!("{count} {} {words}", if count == 1 { "job" } else { "jobs" }));
        }
    };
    // These hold at every moment, also while the run is going: what is counted was stored before.
    problem(counted.minus(&in_sink).len(), "counted in the ledger without a document in the sink");
    problem(counted.minus(enqueued).len(), "counted beyond what was enqueued");
    problem(documents.completed.intersection(&documents.dead).len(), "both completed and dead in the sink");
    problem(dead.minus(&documents.dead).len(), "dead in the ledger, but not in the sink");
    problem(dead.minus(counted).len(), "dead in the ledger, but not counted");
    problem(documents.repeated_count, "stored more than once");

    let moved = moved(before, after);
    let is_going = moved || (after.in_flight() > 0 && !after.record.state.is_terminal());
    if !moved {
        problem(documents.dead.intersection(counted).minus(dead).len(), "dead in the sink, but counted as processed");
    }
    if !is_going {
        problem(missing.minus(counted).minus(&in_sink).len(), "neither counted nor stored");
        problem(in_sink.minus(counted).len(), "stored in the sink, but not counted in the ledger");
    }
    match documents.foreign_count {
        0 => (),
        1 => problems.push("1 foreign document in the sink".into()),
        count => problems.push(format!("{count} foreign documents in the sink")),
    }
    if moved || (is_going && !missing.is_empty()) {
        problems.push(still_going(after));
    }
}

/// The problems that only `--strict` names. Counters are compared with bitmaps only if nothing was counted between reading the two.
fn strictly(evidence: &Evidence, problems: &mut Vec<String>) {
    let Evidence { before, after, counted, dead, .. } = evidence;
    let (state, total) = (after.record.state, after.record.spec.total);
    if !state.is_terminal() {
        problems.push(format!("the run has not ended: it is {state}"));
    }
    if state == RunState::Completed && total != Some(after.enqueued) {
        let asked = total.map_or("no total".into(), |total| format!("a total of {total}"));
        problems.push(format!("the run is {state} with {} jobs enqueued and {asked}", after.enqueued));
    }
    if after.ranges_outstanding > 0 {
        problems
            .push(format!("ranges that are reserved, but not confirmed by the broker: {}", after.ranges_outstanding));
    }
    if after.published != after.enqueued {
        problems
            .push(format!("the counter of published jobs is {}, of enqueued ones {}", after.published, after.enqueued));
    }
    if moved(before, after) {
        return;
    }
    let processed = counted.minus(dead).len();
    for (counter, counted, in_bitmap) in [("processed", after.processed, processed), ("dead", after.dead, dead.len())] {
        if counted != in_bitmap {
            problems.push(format!("the counter of {counter} jobs is {counted}, the bitmap holds {in_bitmap}"));
        }
    }
}

fn moved(before: &Snapshot, after: &Snapshot) -> bool {
    (before.enqueued, before.processed, before.dead) != (after.enqueued, after.processed, after.dead)
}

fn still_going(after: &Snapshot) -> String {
    let state = after.record.state;
    match after.in_flight() {
        0 => format!("run is {state} and moved while it was read; verify again"),
        1 => format!("run is {state}: 1 job in flight; verify again when it has drained"),
        jobs => format!("run is {state}: {jobs} jobs in flight; verify again when it has drained"),
    }
}

#[cfg(test)]
#[path = "compare_tests.rs"]
mod tests;
