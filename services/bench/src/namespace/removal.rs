//! The removal of a namespace from broker, sink and ledger, all at once and in bounded time.

use paceline_core::error::codes;
use std::time::Duration;

use paceline_adapters::removal;
use paceline_core::clock::SharedClock;
use paceline_core::ids::{DEFAULT_GROUP, DEFAULT_QUEUE};
use paceline_core::{Error, Result};
use paceline_runtime::settings::Settings;

use super::leftover::{self, Leftover};

/// The longest that one service may take; RabbitMQ needs 5 s for a queue without a leader.
const REMOVAL_MAX: Duration = Duration::from_secs(30);

/// Removes what is on the services; answers for each how much was there, or why it is still there.
pub async fn remove_from_services(settings: &Settings, clock: SharedClock) -> Vec<(Leftover, Result<u64>)> {
    let (connections, groups) = (settings.connections(), [DEFAULT_GROUP.to_owned()]);
    let (broker, sink, ledger) = tokio::join!(
        in_time(removal::remove_queues(&connections, clock.clone(), DEFAULT_QUEUE, DEFAULT_GROUP)),
        in_time(removal::remove_documents(&connections, clock)),
        in_time(removal::remove_counts(&connections, &groups))
    );
    let services = leftover::on_services(settings).into_iter().zip([broker, sink, ledger]);
    services.filter_map(|(leftover, result)| Some((leftover?, result))).collect()
}

async fn in_time(removal: impl Future<Output = Result<u64>>) -> Result<u64> {
    let seconds = REMOVAL_MAX.as_secs();
    tokio::time::timeout(REMOVAL_MAX, removal).await.unwrap_or_else(|_| {
        Err(Error::unavailable(format!("no answer within {seconds} s")).coded(codes::BENCH_TOO_SLOW))
    })
}
