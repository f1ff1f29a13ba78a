//! Cases: the protocol that a mesh has.

use super::*;

pub async fn a_protocol_is_noted_once_and_read_by_all(harness: &impl Harness) {
    let ledger = harness.open().await;
    assert_eq!(ledger.protocol().await.unwrap(), None);
    assert_eq!(ledger.adopt_protocol(None, 3).await.unwrap(), 3);
    assert_eq!(ledger.adopt_protocol(None, 4).await.unwrap(), 3, "who thought that there was none came second");
    assert_eq!(harness.open().await.protocol().await.unwrap(), Some(3));
}

pub async fn a_mesh_from_before_protocols_were_noted_has_the_first(harness: &impl Harness) {
    let ledger = harness.open().await;
    owned(&*ledger, None).await;
    assert_eq!(ledger.protocol().await.unwrap(), Some(PROTOCOL_FIRST));
    assert_eq!(ledger.adopt_protocol(Some(PROTOCOL_FIRST), 2).await.unwrap(), 2);
    assert_eq!(ledger.protocol().await.unwrap(), Some(2));
}

pub async fn a_protocol_is_taken_over_only_from_the_one_that_was_read(harness: &impl Harness) {
    let ledger = harness.open().await;
    assert_eq!(ledger.adopt_protocol(None, 3).await.unwrap(), 3);
    assert_eq!(ledger.adopt_protocol(Some(2), 4).await.unwrap(), 3, "somebody was faster: nothing changes");
    assert_eq!(ledger.adopt_protocol(Some(3), 4).await.unwrap(), 4);
    drop(ledger);
    assert_eq!(harness.open().await.protocol().await.unwrap(), Some(4), "it is durable");
}
