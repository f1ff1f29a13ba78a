//! The metrics that every role shows of itself: its build, its readiness, its log, its spans.

use super::handle::Metrics;
use super::names;
use crate::readiness::Readiness;
use crate::telemetry::Warnings;
use crate::telemetry::traces::{SpanTally, Traces};

impl Metrics {
    /// Shows a role and its conditions. Twice is as once.
    pub fn show_role(&self, readiness: &Readiness) {
        if !self.is_on() {
            return;
        }
        let readiness = readiness.downgrade();
        self.read(move |readings| {
            let Some(readiness) = readiness.upgrade() else { return };
            let report = readiness.report();
            readings.add(&names::BUILD_INFO, &[env!("CARGO_PKG_VERSION"), &report.id], true);
            readings.add(&names::READY, &[], report.ready);
            for check in report.checks {
                readings.add(&names::CONDITION_OK, &[&check.name], check.ok);
            }
        });
    }

    /// Shows how much is warned of.
    pub fn show_log(&self, warnings: &Warnings) {
        let warnings = warnings.clone();
        self.read(move |readings| {
            readings.add(&names::LOG_EVENTS, &["warn"], warnings.warned());
            readings.add(&names::LOG_EVENTS, &["error"], warnings.failed());
        });
    }

    /// Shows what became of the spans; nothing if none are recorded.
    pub fn show_spans(&self, traces: &Traces) {
        let Some(tally) = traces.tally() else { return };
        self.read(move |readings| {
            let results = [("exported", &tally.exported), ("dropped", &tally.dropped), ("failed", &tally.failed)];
            results
                .into_iter()
                .for_each(|(result, count)| readings.add(&names::SPANS, &[result], SpanTally::get(count)));
        });
    }
}
