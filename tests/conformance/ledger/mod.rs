//! The ledger: every adapter passes the suites of `paceline_core::testkit::ledger`, one a port.
//!
//! A file lends the suites one backend, and may have cases that this backend alone can fail.

mod embedded;
#[cfg(feature = "services")]
mod redis;
#[cfg(feature = "services")]
mod redis_server;

use std::time::Duration;

use paceline_core::groups::Groups;
use paceline_core::ids::RunId;
use paceline_core::pacing::{CatchUp, Rate};
use paceline_core::ports::Ledger;
use paceline_core::run::{RunRecord, RunSpec, RunState};

fn spec() -> RunSpec {
    RunSpec {
        run_id: RunId::generate(1_700_000_000_000),
        rate: Rate { jobs: 1, per_ns: 1_000_000_000 },
        total: None,
        queue: "default".into(),
        groups: Groups::default(),
        handler: "record".into(),
        payload: serde_json::Map::new(),
        catch_up: CatchUp::All,
        created_at_ms: 1_700_000_000_000,
        traceparent: None,
    }
}

/// A run without jobs, as it ended.
async fn completed(ledger: &Ledger) -> RunRecord {
    let spec = RunSpec { total: Some(0), ..spec() };
    ledger.runs.create(&spec, "").await.unwrap();
    let fence = ledger.leases.acquire(&spec.run_id, "owner", Duration::from_secs(60)).await.unwrap().unwrap();
    ledger.leases.advance(&spec.run_id, fence, RunState::Draining, None).await.unwrap();
    ledger.leases.advance(&spec.run_id, fence, RunState::Completed, None).await.unwrap()
}
