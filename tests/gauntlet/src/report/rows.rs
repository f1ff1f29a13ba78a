//! The faults of a report, each with the recovery and the fail-over that it caused; and the verdict on all of them.

use std::time::Duration;

use super::data::Report;
use crate::faults::Struck;
use crate::faults::blow::{Blow, Class};
use crate::recovery::{Recovery, recoveries, standstill};
use crate::world::roles::Kind;

/// A standstill shorter than this after a scheduler was struck: it did not own the run.
const FAIL_OVER_MIN: Duration = Duration::from_millis(700);
/// The time after which the runs of a struck scheduler stand still, at the latest.
const FAIL_OVER_BEGINS: Duration = Duration::from_millis(300);

/// One fault and its cost.
pub struct Row<'a> {
    pub struck: &'a Struck,
    /// `None`: nothing had to recover.
    pub recovery: Option<Recovery>,
    pub fail_over: Option<Duration>,
}

impl Report {
    /// True if no law was broken, every run is proved, and jobs flowed again after every fault.
    pub fn has_passed(&self) -> bool {
        let is_proved = self.proofs.iter().all(|proof| proof.problems.is_empty());
        self.violations.is_empty() && is_proved && self.never_recovered().is_empty()
    }

    /// The faults after which jobs of the big run have not flowed again.
    pub(super) fn never_recovered(&self) -> Vec<&Struck> {
        let rows = self.rows().into_iter().filter(|row| row.recovery == Some(Recovery::Never));
        rows.map(|row| row.struck).collect()
    }

    /// All faults, by number. Calls stop nothing, so they have no recovery and excuse none.
    pub(super) fn rows(&self) -> Vec<Row<'_>> {
        let (calls, faults): (Vec<&Struck>, Vec<&Struck>) =
            self.struck.iter().partition(|struck| struck.planned.blow.class() == Class::Calls);
        let spans: Vec<_> = faults.iter().map(|struck| struck.span).collect();
        let recoveries = recoveries(&spans, &self.processed).into_iter().map(Some);
        let all = faults.into_iter().zip(recoveries).chain(calls.into_iter().map(|call| (call, None)));
        let mut rows: Vec<_> =
            all.map(|(struck, recovery)| Row { struck, recovery, fail_over: self.fail_over(struck) }).collect();
        rows.sort_by_key(|row| row.struck.number);
        rows
    }

    /// The time for which a run stood still because its scheduler was struck, if nothing else can have held it up.
    fn fail_over(&self, struck: &Struck) -> Option<Duration> {
        let is_scheduler = match &struck.planned.blow {
            Blow::KillRole(role) | Blow::FreezeRole(role) => role.starts_with(Kind::Scheduler.name()),
            _ => false,
        };
        let from = struck.span.began;
        let stood = self.enqueued.iter().filter_map(|moved| standstill(moved, from, from + FAIL_OVER_BEGINS));
        let (began, gap) =
            stood.filter(|(_, gap)| is_scheduler && *gap >= FAIL_OVER_MIN).max_by_key(|(_, gap)| *gap)?;
        let is_other = |other: &&Struck| other.number != struck.number && other.planned.blow.class() != Class::Calls;
        let mut others = self.struck.iter().filter(is_other);
        let is_alone = !others.any(|other| other.span.began < began + gap && other.span.over + gap > began);
        is_alone.then_some(gap)
    }
}
