//! The numbers of a run, as the ledger says them. No number that is shown goes back with a ledger that does.

use std::collections::BTreeMap;

use paceline_core::Result;
use paceline_core::groups::Groups;
use paceline_core::ids::RunId;
use paceline_core::ports::Ledger;
use paceline_core::run::RunState;
use paceline_runtime::telemetry::metrics::MetricReadings;
use paceline_runtime::telemetry::metrics::names;

#[derive(Debug, Clone, Default, PartialEq)]
pub struct RunNumbers {
    pub enqueued: u64,
    pub published: u64,
    /// (processed, dead) by group.
    pub groups: BTreeMap<String, (u64, u64)>,
    pub has_failed: bool,
}

impl RunNumbers {
    /// A ledger that went back in time is brought up again; no counter goes back with it. A dead job that is repaired is dead no more.
    pub fn rise_to(&mut self, read: Self) {
        let is_behind = read.enqueued < self.enqueued;
        for (group, (processed, dead)) in read.groups {
            let known = self.groups.entry(group).or_default();
            *known = (known.0.max(processed), if is_behind { known.1 } else { dead });
        }
        self.enqueued = self.enqueued.max(read.enqueued);
        self.published = self.published.max(read.published);
    }

    pub fn show(&self, run: &str, readings: &mut MetricReadings) {
        readings.add(&names::RUN_ENQUEUED, &[run], self.enqueued);
        readings.add(&names::RUN_PUBLISHED, &[run], self.published);
        for (group, (processed, dead)) in &self.groups {
            readings.add(&names::RUN_PROCESSED, &[run, group], *processed);
            readings.add(&names::RUN_DEAD, &[run, group], *dead);
        }
    }
}

/// `None`: the ledger does not know the run any more.
pub async fn numbers(ledger: &Ledger, run: &RunId, groups: &Groups) -> Result<Option<RunNumbers>> {
    let mut numbers = RunNumbers::default();
    for group in groups.iter() {
        let Some(snapshot) = ledger.counts.snapshot(run, group).await? else { return Ok(None) };
        numbers.enqueued = numbers.enqueued.max(snapshot.enqueued);
        numbers.published = numbers.published.max(snapshot.published);
        numbers.groups.insert(group.to_owned(), (snapshot.processed, snapshot.dead));
        numbers.has_failed = snapshot.record.state == RunState::Failed;
        // Workers may be done before a scheduler has noted the confirm; a job that is done was published.
        numbers.published = numbers.published.max(snapshot.processed.saturating_add(snapshot.dead));
    }
    Ok(Some(numbers))
}
