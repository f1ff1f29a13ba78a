//! Producers over RabbitMQ and Redis.

use paceline_tests::Backend;

use super::harness::{Publishers, Way};

mod in_process {
    use super::*;

    async fn open() -> Publishers {
        Publishers::on(Backend::Services, Way::InProcess).await
    }

    paceline_core::publisher_conformance!(open);
}

mod remote {
    use super::*;

    async fn open() -> Publishers {
        Publishers::on(Backend::Services, Way::Remote).await
    }

    paceline_core::publisher_conformance!(open);
}
