//! What a gauntlet has found: a table for people, an object for machines, and one sentence with the verdict.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use crate::cluster::{Election, standstill_max};
use crate::faults::Struck;
use crate::plan::{Blow, Class};
use crate::proof::Proof;
use crate::recovery::{Recovery, percentile, recoveries, standstill};
use crate::roles::Kind;

/// A standstill shorter than this after a scheduler was struck: it did not own the run.
const FAIL_OVER_MIN: Duration = Duration::from_millis(700);
/// How soon after a scheduler is struck its runs stand still.
const FAIL_OVER_BEGINS: Duration = Duration::from_millis(300);

pub struct Report {
    pub name: String,
    pub seed: u64,
    pub lasted: Duration,
    pub struck: Vec<Struck>,
    /// When jobs of the big run were seen to be processed.
    pub processed: Vec<Duration>,
    /// When jobs were seen to be enqueued, by run.
    pub enqueued: Vec<Vec<Duration>>,
    pub proofs: Vec<Proof>,
    pub violations: Vec<String>,
    pub snapshots: u64,
    pub reads_failed: u64,
    pub refused: u64,
    /// Run and its highest enqueued − schedule, in jobs.
    pub overshoot: Vec<(String, f64)>,
    pub memory_max_mb: BTreeMap<Kind, u64>,
    /// Of a cluster: what each strike at a node cost.
    pub elections: Vec<Election>,
}

struct Row<'a> {
    struck: &'a Struck,
    /// `None`: nothing had to recover.
    recovery: Option<Recovery>,
    fail_over: Option<Duration>,
}

impl Report {
    pub fn has_passed(&self) -> bool {
        let is_proved = self.proofs.iter().all(|proof| proof.problems.is_empty());
        self.violations.is_empty() && is_proved && self.never_recovered().is_empty()
    }

    /// The faults after which jobs of the big run have not flowed again.
    fn never_recovered(&self) -> Vec<&Struck> {
        let rows = self.rows().into_iter().filter(|row| row.recovery == Some(Recovery::Never));
        rows.map(|row| row.struck).collect()
    }

    /// Calls stop nothing, so they have no recovery and excuse none.
    fn rows(&self) -> Vec<Row<'_>> {
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

    /// How long a run stood still because its scheduler was struck, if nothing else can have held it up.
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

    fn sum(&self, of: impl Fn(&Proof) -> u64) -> u64 {
        self.proofs.iter().map(of).sum()
    }

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
        line("duplicates suppressed", thousands(self.sum(|proof| proof.duplicates)));
        line("executed again", thousands(self.sum(|proof| proof.executed_again)));
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

    pub fn json(&self) -> Value {
        let rows = self.rows();
        json!({
            "passed": self.has_passed(),
            "sentence": self.sentence(),
            "seed": self.seed,
            "lasted_s": self.lasted.as_secs_f64(),
            "faults": rows.iter().map(Row::json).collect::<Vec<_>>(),
            "runs": self.proofs.iter().map(proof_json).collect::<Vec<_>>(),
            "elections": self.elections.iter().map(election_json).collect::<Vec<_>>(),
            "violations": self.violations,
            "snapshots": self.snapshots,
            "reads_failed": self.reads_failed,
            "overshoot_jobs": self.overshoot.iter().cloned().collect::<BTreeMap<_, _>>(),
            "memory_max_mb": self.memory_max_mb.iter().map(|(kind, mb)| (kind.name(), *mb)).collect::<BTreeMap<_, _>>(),
        })
    }
}

impl Row<'_> {
    fn cells(&self) -> [String; 7] {
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

    fn json(&self) -> Value {
        let cells = self.cells();
        let names = ["number", "fault", "target", "at_s", "lasted_s", "recovery_s", "fail_over_s"];
        names
            .into_iter()
            .zip(cells)
            .map(|(name, cell)| (name.to_owned(), Value::from(cell)))
            .collect::<serde_json::Map<_, _>>()
            .into()
    }
}

/// By class; flowing counts as no time at all, masked is not counted, and what took longer than could be seen as what was seen.
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

/// By service and harm: how often jobs stood still, how long, and how long they may.
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

fn election_json(election: &Election) -> Value {
    json!({
        "number": election.number,
        "service": election.service.name(),
        "harm": election.harm,
        "victim": election.victim,
        "stood_still_s": election.stood_still.as_secs_f64(),
        "allowed_s": standstill_max(election.service).as_secs(),
    })
}

fn proof_json(proof: &Proof) -> Value {
    json!({
        "name": proof.name,
        "run": proof.run,
        "enqueued": proof.enqueued,
        "processed": proof.processed,
        "dead": proof.dead,
        "duplicates_suppressed": proof.duplicates,
        "executed_again": proof.executed_again,
        "lost": proof.lost,
        "double": proof.double,
        "problems": proof.problems,
    })
}

/// Aligned columns, the first `words` of them to the left and the numbers to the right.
fn table<const N: usize>(text: &mut String, rows: &[[String; N]], words: usize) {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: Vec<usize> = (0..N).map(width).collect();
    for row in rows {
        let cell = |(column, cell): (usize, &String)| match column < words {
            true => format!("{cell:<0$}", widths[column]),
            false => format!("{cell:>0$}", widths[column]),
        };
        let line: Vec<String> = row.iter().enumerate().map(cell).collect();
        _ = writeln!(text, "{}", line.join("  ").trim_end());
    }
}

fn seconds(time: Duration) -> String {
    if time == Duration::MAX { "NEVER".to_owned() } else { format!("{:.2}", time.as_secs_f64()) }
}

fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Planned;
    use crate::recovery::Span;

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// Of one fault that lasted from 10 s to 15 s, and of jobs that moved at those seconds.
    fn report(moved: &[u64]) -> Report {
        let planned = Planned { at: s(10), lasts: s(5), blow: Blow::KillRole("worker-1".into()) };
        Report {
            name: "gauntlet".into(),
            seed: 7,
            lasted: s(60),
            struck: vec![Struck { number: 1, planned, span: Span { began: s(10), over: s(15) } }],
            processed: moved.iter().copied().map(s).collect(),
            enqueued: Vec::new(),
            proofs: vec![Proof::default()],
            violations: Vec::new(),
            snapshots: 1,
            reads_failed: 0,
            refused: 0,
            overshoot: Vec::new(),
            memory_max_mb: BTreeMap::new(),
            elections: Vec::new(),
        }
    }

    #[test]
    fn whatever_is_wrong_makes_it_red() {
        let well = report(&[1, 10, 17]);
        assert!(well.has_passed() && well.sentence().contains("PASSED"));
        let violated = Report { violations: vec!["L1".into()], ..report(&[1, 10, 17]) };
        assert!(!violated.has_passed());
        let unproved = Proof { problems: vec!["missing".into()], ..Proof::default() };
        assert!(!Report { proofs: vec![unproved], ..report(&[1, 10, 17]) }.has_passed());
    }

    #[test]
    fn a_recovery_that_never_came_makes_it_red() {
        let stuck = report(&[1, 10]);
        assert!(!stuck.has_passed() && stuck.sentence().contains("FAILED"));
        let text = stuck.text();
        assert!(text.contains("NEVER RECOVERED") && text.contains("#1 kill and restart: worker-1"), "{text}");
    }

    #[test]
    fn numbers_are_grouped_and_columns_aligned() {
        assert_eq!([0, 999, 1000, 1_234_567].map(thousands), ["0", "999", "1,000", "1,234,567"]);
        let mut text = String::new();
        table(&mut text, &[["a".into(), "s".into()], ["↔ bc".into(), "10.5".into()]], 1);
        assert_eq!(text, "a        s\n↔ bc  10.5\n");
    }
}
