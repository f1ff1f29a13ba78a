//! A report as JSON, for machines.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::data::Report;
use super::rows::Row;
use crate::elections::{Election, standstill_max};
use crate::proof::Proof;

impl Report {
    /// One object; times are in seconds since the gauntlet began.
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
        "duplicates": proof.duplicates,
        "lost": proof.lost,
        "double": proof.double,
        "problems": proof.problems,
    })
}
