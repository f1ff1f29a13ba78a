//! Producers over the embedded broker and ledger.

use paceline_tests::Backend;

use super::harness::{Publishers, Way};

mod in_process {
    use super::*;

    async fn open() -> Publishers {
        Publishers::on(Backend::Embedded, Way::InProcess).await
    }

    paceline_core::publisher_conformance!(open);
}

mod remote {
    use super::*;

    async fn open() -> Publishers {
        Publishers::on(Backend::Embedded, Way::Remote).await
    }

    paceline_core::publisher_conformance!(open);
}
