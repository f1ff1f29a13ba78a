//! Steps of a run: the one home of the rules that every ledger asks before it takes one.

use super::record::{RunRecord, RunSpec};
use super::state::RunState;
use crate::error::codes;
use crate::error::{Error, Result};

/// A change of a run by a caller; applied only if the run is still at `expected_revision`.
#[derive(Debug, Clone, PartialEq)]
pub struct RunChange {
    pub expected_revision: u64,
    /// The whole spec as it shall be (only rate and total may differ).
    pub spec: RunSpec,
    pub state: RunState,
}

impl RunChange {
    /// The rules of [`crate::ports::Runs::change`] against the run as it is; whether anything changes at all.
    pub fn check(&self, run: &RunRecord) -> Result<bool> {
        let id = &run.spec.run_id;
        let fixed = RunSpec { rate: self.spec.rate, total: self.spec.total, ..run.spec.clone() };
        if fixed != self.spec {
            return Err(Error::invalid_field(
                "spec",
                format!("only rate and total of run {id} may change; start a new run for the rest"),
            )
            .coded(codes::RUN_SPEC_FIXED));
        }
        if self.expected_revision != run.revision {
            let (expected, found) = (self.expected_revision, run.revision);
            return Err(Error::aborted(format!("run {id} is at revision {found}, not {expected}; read it again"))
                .coded(codes::RUN_CHANGED_MEANWHILE));
        }
        if self.state == run.state && self.spec == run.spec {
            return Ok(false);
        }
        if self.state != run.state {
            check_step(run, self.state)?;
            if matches!(self.state, RunState::Draining | RunState::Completed | RunState::Stopped) {
                return Err(Error::failed_precondition(format!(
                    "run {id} becomes {} only by its owner; stop it instead",
                    self.state
                ))
                .coded(codes::RUN_STATE_FORBIDS));
            }
        }
        if self.spec != run.spec && !matches!(run.state, RunState::Running | RunState::Paused) {
            return Err(Error::failed_precondition(format!(
                "run {id} is {}; its rate and total are fixed by now",
                run.state
            ))
            .coded(codes::RUN_STATE_FORBIDS));
        }
        check_total(run, self.spec.total)?;
        Ok(true)
    }
}

/// The rules of [`crate::ports::Leases::advance`] against the run as it is; whether anything changes at all.
pub fn check_advance(run: &RunRecord, next: RunState, is_drained: bool) -> Result<bool> {
    let id = &run.spec.run_id;
    if run.state == next {
        return Ok(false);
    }
    check_step(run, next)?;
    let is_reserved = run.spec.total.is_some_and(|total| run.cursor >= total);
    match next {
        RunState::Draining if !is_reserved => {
            Err(Error::failed_precondition(format!("run {id} has reserved {} jobs, not yet its total", run.cursor))
                .coded(codes::RUN_NOT_DRAINED))
        }
        RunState::Completed | RunState::Stopped if !is_drained => {
            Err(Error::failed_precondition(format!("run {id} is not drained yet; wait for its workers"))
                .coded(codes::RUN_NOT_DRAINED))
        }
        _ => Ok(true),
    }
}

fn check_step(run: &RunRecord, next: RunState) -> Result<()> {
    if run.state.may_become(next) {
        return Ok(());
    }
    Err(Error::failed_precondition(format!("run {} is {} and cannot become {next}", run.spec.run_id, run.state))
        .coded(codes::RUN_STATE_FORBIDS))
}

/// A total below what is enqueued could never be kept.
pub fn check_total(run: &RunRecord, total: Option<u64>) -> Result<()> {
    match total {
        Some(total) if total < run.cursor => {
            let (id, cursor) = (&run.spec.run_id, run.cursor);
            Err(Error::failed_precondition(format!(
                "run {id} has enqueued {cursor} jobs already; ask for a total of at least that, not {total}"
            ))
            .coded(codes::RUN_TOTAL_BELOW_ENQUEUED))
        }
        _ => Ok(()),
    }
}
