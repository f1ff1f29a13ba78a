//! A report as text: a table of faults, one of recoveries, one of elections, then the numbers; and one sentence with the verdict.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use super::data::Report;
use super::rows::Row;
use super::words::{seconds, table, thousands};
use crate::elections::{Election, standstill_max};
use crate::faults::Struck;
use crate::recovery::{Recovery, percentile};

impl Report {
    /// The last line.
    pub fn sentence(&self) -> String {
        let verdict = if self.has_passed() { "PASSED" } else { "FAILED" };
        let unproved = self.proofs.iter().filter(|proof| !proof.problems.is_empty()).count();
        format!(
            "{}: {verdict} seed {}, {:.1} min, {} faults, {} jobs: lost {}, double {}, snapshot violations {} in {} snapshots, runs not proved {unproved} of {}",
            self.name,
            self.seed,
            self.lasted.as_secs_f64() / 60.0,
            self.struck.len(),
            thousands(self.sum(|proof| proof.enqueued)),
            thousands(self.sum(|proof| proof.lost)),
            thousands(self.sum(|proof| proof.double)),
            self.violations.len(),
            thousands(self.snapshots),
            self.proofs.len(),
        )
    }

    pub fn text(&self) -> String {
        let rows = self.rows();
        let mut text = String::new();
        let mut cells: Vec<[String; 7]> =
            vec![["#", "fault", "target", "at s", "lasted s", "recovery s", "fail-over s"].map(str::to_owned)];
        cells.extend(rows.iter().map(Row::cells));
        table(&mut text, &cells, 3);
        text.push('\n');
        let mut cells: Vec<[String; 6]> =
            vec![["recovery of", "faults", "stood still", "p50 s", "p95 s", "max s"].map(str::to_owned)];
        cells.extend(classes(&rows));
        table(&mut text, &cells, 1);
        text.push('\n');
        if !self.elections.is_empty() {
            table(&mut text, &election_cells(&self.elections), 2);
            text.push('\n');
        }
        self.numbers(&mut text);
        text
    }

    fn numbers(&self, text: &mut String) {
        // Writing to a String cannot fail.
        let mut line = |name: &str, value: String| _ = writeln!(text, "{name:<24}{value}");
        line("jobs", thousands(self.sum(|proof| proof.enqueued)));
        line("dead, as they must be", thousands(self.sum(|proof| proof.dead)));
        line("duplicates", thousands(self.sum(|proof| proof.duplicates)));
        line("refused by the sink", thousands(self.refused));
        line("snapshots", format!("{} read, {} not answered", thousands(self.snapshots), thousands(self.reads_failed)));
        for (run, jobs) in &self.overshoot {
            line("highest over schedule", format!("{jobs:.0} jobs (run {run})"));
        }
        let memory = self.memory_max_mb.iter().map(|(kind, mb)| format!("{} {mb} MB", kind.name()));
        line("most memory of a role", memory.collect::<Vec<_>>().join(", "));
        for proof in self.proofs.iter().filter(|proof| !proof.problems.is_empty()) {
            line("NOT PROVED", format!("run {} ({}): {}", proof.name, proof.run, proof.problems.join("; ")));
        }
        for violation in self.violations.iter().take(20) {
            line("VIOLATION", violation.clone());
        }
        for Struck { number, planned, .. } in self.never_recovered() {
            let fault = format!("#{number} {}: {}", planned.blow.name(), planned.blow.target());
            line("NEVER RECOVERED", fault);
        }
    }
}

impl Row<'_> {
    /// Number, fault, target, and the times in seconds, as the table shows them.
    pub(super) fn cells(&self) -> [String; 7] {
        let Struck { number, planned, span } = self.struck;
        [
            number.to_string(),
            planned.blow.name(),
            planned.blow.target(),
            seconds(span.began),
            seconds(span.over.saturating_sub(span.began)),
            match self.recovery {
                None => "-".to_owned(),
                Some(Recovery::Flowing) => "flowing".to_owned(),
                Some(Recovery::After(time)) => seconds(time),
                Some(Recovery::Beyond(time)) => format!("> {}", seconds(time)),
                Some(Recovery::Masked) => "masked".to_owned(),
                Some(Recovery::Never) => "NEVER".to_owned(),
            },
            self.fail_over.map_or_else(|| "-".to_owned(), seconds),
        ]
    }
}

/// Recoveries by class. Flowing counts as no time at all and masked not at all; a recovery that took longer than could be seen counts as long
/// as was seen.
fn classes(rows: &[Row<'_>]) -> Vec<[String; 6]> {
    let mut by_class: BTreeMap<&str, Vec<Recovery>> = BTreeMap::new();
    let mut fail_overs = Vec::new();
    for row in rows {
        if let Some(recovery) = row.recovery {
            by_class.entry(row.struck.planned.blow.class().name()).or_default().push(recovery);
        }
        fail_overs.extend(row.fail_over.map(Recovery::After));
    }
    by_class.insert("scheduler fail-over", fail_overs);
    let one = |(class, recoveries): (&str, Vec<Recovery>)| {
        let time = |recovery: &Recovery| match recovery {
            Recovery::Flowing => Some(Duration::ZERO),
            Recovery::After(time) | Recovery::Beyond(time) => Some(*time),
            Recovery::Masked => None,
            Recovery::Never => Some(Duration::MAX),
        };
        let mut times: Vec<Duration> = recoveries.iter().filter_map(time).collect();
        times.sort_unstable();
        let stood = times.iter().filter(|time| !time.is_zero()).count();
        let at = |percent| percentile(&times, percent).map_or_else(|| "-".to_owned(), seconds);
        [class.to_owned(), recoveries.len().to_string(), stood.to_string(), at(50), at(95), at(100)]
    };
    by_class.into_iter().map(one).collect()
}

/// Elections by service and harm: the number of standstills, the longest, and the longest that is allowed.
fn election_cells(elections: &[Election]) -> Vec<[String; 6]> {
    let mut by_kind: BTreeMap<(&str, &str), Vec<&Election>> = BTreeMap::new();
    for election in elections {
        by_kind.entry((election.service.name(), election.harm)).or_default().push(election);
    }
    let one = |((service, harm), of_kind): ((&str, &str), Vec<&Election>)| {
        let mut times: Vec<Duration> = of_kind.iter().map(|election| election.stood_still).collect();
        times.sort_unstable();
        let stood = times.iter().filter(|time| !time.is_zero()).count();
        let longest = times.last().copied().map_or_else(|| "-".to_owned(), seconds);
        let allowed = standstill_max(of_kind[0].service).as_secs().to_string();
        [service.to_owned(), harm.to_owned(), times.len().to_string(), stood.to_string(), longest, allowed]
    };
    let head = ["service", "harm", "strikes", "stood still", "longest s", "allowed s"].map(str::to_owned);
    [head].into_iter().chain(by_kind.into_iter().map(one)).collect()
}
