//! The verdict: whatever is wrong makes a report red.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Report;
use crate::faults::Struck;
use crate::faults::blow::{Blow, Planned};
use crate::proof::Proof;
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
