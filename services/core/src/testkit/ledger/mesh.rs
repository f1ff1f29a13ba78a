//! Cases of the mesh port: the protocol that a mesh has, and what the ledger says of itself.

use crate::error::ErrorKind;
use crate::joined::joined;
use crate::pacing::Pacing;
use crate::ports::mesh::PROTOCOL_FIRST;
use crate::run::{KeptRun, RunState};
use crate::testkit::ledger::harness::LedgerHarness;
use crate::testkit::ledger::support::{LONG, owned, spec, worker};

pub async fn a_protocol_is_noted_once_and_read_by_all(harness: &impl LedgerHarness) {
    let ledger = harness.open().await;
    assert_eq!(ledger.mesh.protocol().await.unwrap(), None);
    assert_eq!(ledger.mesh.adopt_protocol(None, 3).await.unwrap(), 3);
    assert_eq!(ledger.mesh.adopt_protocol(None, 4).await.unwrap(), 3, "who thought that there was none came second");
    assert_eq!(harness.open().await.mesh.protocol().await.unwrap(), Some(3));
}

pub async fn a_mesh_from_before_protocols_were_noted_has_the_first(harness: &impl LedgerHarness) {
    let ledger = harness.open().await;
    owned(&ledger, None).await;
    assert_eq!(ledger.mesh.protocol().await.unwrap(), Some(PROTOCOL_FIRST));
    assert_eq!(
        ledger.mesh.adopt_protocol(None, 2).await.unwrap(),
        PROTOCOL_FIRST,
        "who thought that there was nobody came second"
    );
    assert_eq!(ledger.mesh.adopt_protocol(Some(PROTOCOL_FIRST), 2).await.unwrap(), 2);
    assert_eq!(ledger.mesh.protocol().await.unwrap(), Some(2));
}

pub async fn a_protocol_is_taken_over_only_from_the_one_that_was_read(harness: &impl LedgerHarness) {
    let ledger = harness.open().await;
    assert_eq!(ledger.mesh.adopt_protocol(None, 3).await.unwrap(), 3);
    assert_eq!(ledger.mesh.adopt_protocol(Some(2), 4).await.unwrap(), 3, "somebody was faster: nothing changes");
    assert_eq!(ledger.mesh.adopt_protocol(Some(3), 4).await.unwrap(), 4);
    drop(ledger);
    assert_eq!(harness.open().await.mesh.protocol().await.unwrap(), Some(4), "it is durable");
}

pub async fn a_worker_alive_without_a_note_has_the_first(harness: &impl LedgerHarness) {
    let ledger = harness.open().await;
    ledger.workers.announce(&worker("w", 1), LONG).await.unwrap();
    assert_eq!(ledger.mesh.protocol().await.unwrap(), Some(PROTOCOL_FIRST));
    assert_eq!(ledger.mesh.adopt_protocol(None, 2).await.unwrap(), PROTOCOL_FIRST);
    ledger.workers.forget("w").await.unwrap();
    assert_eq!(ledger.mesh.protocol().await.unwrap(), None);
    assert_eq!(ledger.mesh.adopt_protocol(None, 2).await.unwrap(), 2);
}

/// The ledger was lost whole, the note too, while roles of protocol 2 were running.
pub async fn whoever_comes_back_first_to_a_lost_ledger_notes_its_protocol(harness: &impl LedgerHarness) {
    let ledger = joined(harness.open().await, 2);
    let kept = KeptRun {
        spec: spec(None),
        state: RunState::Running,
        revision: 1,
        cursor: 10,
        pacing: Pacing::default(),
        ended_at_ms: None,
        failure: None,
    };
    ledger.runs.restore(&kept).await.unwrap();
    ledger.workers.announce(&worker("w", 1), LONG).await.unwrap();
    assert_eq!(harness.open().await.mesh.protocol().await.unwrap(), Some(2));
    let stranger = joined(harness.open().await, 1);
    for refused in [
        stranger.runs.restore(&KeptRun { cursor: 20, ..kept.clone() }).await.map(drop),
        stranger.runs.create(&spec(None), "").await.map(drop),
        stranger.workers.announce(&worker("v", 1), LONG).await,
    ] {
        assert_eq!(refused.unwrap_err().kind, ErrorKind::FailedPrecondition);
    }
    let untouched = (
        ledger.runs.find(&kept.spec.run_id).await.unwrap().unwrap().cursor,
        ledger.runs.list(None, 9).await.unwrap().len(),
    );
    assert_eq!((untouched, ledger.workers.alive().await.unwrap().len()), ((10, 1), 1));
}

pub async fn check_says_what_the_ledger_is(harness: &impl LedgerHarness) {
    let said = harness.open().await.mesh.check().await.unwrap();
    assert!(said.contains(|c: char| c.is_ascii_digit()), "a version is part of {said:?}");
}
