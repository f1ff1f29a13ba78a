//! A run as it was asked for and as the ledger keeps it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::state::RunState;
use crate::groups::Groups;
use crate::ids::RunId;
use crate::pacing::{CatchUp, NEVER_MS, Pacing, Rate};

/// The largest payload of a run, in bytes of JSON.
pub const PAYLOAD_BYTES_MAX: usize = 256 * 1024;
/// The largest total of a run: bounds the bitmaps (125 MB at the limit) and keeps arithmetic far from its ends.
pub const TOTAL_MAX: u64 = 1_000_000_000;

/// A run as it was asked for. `rate` and `total` may be updated; the rest never changes, so a job is a pure function of (spec, seq).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunSpec {
    pub run_id: RunId,
    pub rate: Rate,
    pub total: Option<u64>,
    pub queue: String,
    /// The consumer groups of the queue when the run was made: the run has ended when each of them has.
    #[serde(default)]
    pub groups: Groups,
    pub handler: String,
    pub payload: Map<String, Value>,
    pub catch_up: CatchUp,
    pub created_at_ms: i64,
    /// The trace of the call that started it, as W3C's `traceparent`; each job's trace is linked to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
}

/// A run as the ledger keeps it, and as the sink keeps a copy of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    pub spec: RunSpec,
    pub state: RunState,
    /// Grows by one with every change of rate, total or state.
    pub revision: u64,
    /// Jobs reserved so far; the next seq.
    pub cursor: u64,
    pub pacing: Pacing,
    pub ended_at_ms: Option<i64>,
    /// The reason for which the run FAILED; `None` once the run goes on.
    pub failure: Option<String>,
}

impl RunRecord {
    /// The pacing that every ledger stores in the step that takes the run to `next`; `None` leaves it as it is. A run earns nothing
    /// while it is FAILED: one that goes on keeps what it had earned by then, and earns more from the moment that somebody owns it.
    pub fn pacing_on_step(&self, next: RunState) -> Option<Pacing> {
        self.state.leaves_failed(next).then_some(Pacing { as_of_ms: NEVER_MS, ..self.pacing })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spec_from_before_groups_were_kept_has_the_default_group() {
        let old = r#"{"run_id":"r","rate":{"jobs":1,"per_ns":60},"total":null,"queue":"default","handler":"record",
                      "payload":{},"catch_up":"ALL","created_at_ms":0}"#;
        let spec: RunSpec = serde_json::from_str(old).unwrap();
        assert_eq!(spec.groups, Groups::default());
        let other = RunSpec { groups: Groups::new(["billing", "audit"]).unwrap(), ..spec };
        assert_eq!(serde_json::from_str::<RunSpec>(&serde_json::to_string(&other).unwrap()).unwrap(), other);
    }
}
