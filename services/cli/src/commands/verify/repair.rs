//! `paceline verify --repair`: the repair over the ports or by the scheduler, and the wait for the workers.

use std::time::Duration;

use paceline_core::clock::SystemClock;
use paceline_core::error::codes;
use paceline_core::ids::RunId;
use paceline_core::ports::{Backends, Ledger};
use paceline_core::repair::{Repaired, repair};
use paceline_core::{Error, Result};
use paceline_node::Node;
use paceline_proto::v1;
use paceline_proto::v1::verify_service_client::VerifyServiceClient;
use paceline_runtime::settings::Settings;

use crate::client::SchedulerClient;

/// The time between two looks at the run while workers do the jobs that were published again.
const POLL_INTERVAL: Duration = Duration::from_millis(200);
/// The name of this process as a producer.
const PRODUCER: &str = "verify";

/// Repairs by the ports of this process. Errors are those of the ports.
pub async fn over_ports(settings: &Settings, ports: Backends, run: &RunId, group: &str) -> Result<Repaired> {
    let (Backends { broker, sink, ledger }, clock) = (ports, SystemClock::shared());
    let producer = Node::new(settings, clock.clone()).publisher(PRODUCER, broker, ledger.clone());
    repair(&ledger, &*sink.reader, &producer, run, group, clock.wall_ms()).await
}

/// Waits until no job of the run is in flight, or the time is over; the proof says which. NOT_FOUND if the run vanishes meanwhile.
pub async fn done_over_ports(ledger: &Ledger, run: &RunId, group: &str, wait: Duration) -> Result<()> {
    until_done(wait, async || {
        let snapshot = ledger.counts.snapshot(run, group).await?;
        Ok(snapshot
            .ok_or_else(|| {
                Error::not_found(format!("run {run} has vanished from the ledger")).coded(codes::RUN_UNKNOWN)
            })?
            .in_flight()
            == 0)
    })
    .await
}

/// Has the scheduler repair, and waits for the workers as [`done_over_ports`] does.
pub async fn by_scheduler(scheduler: &SchedulerClient, run_id: &str, group: &str, wait: Duration) -> Result<Repaired> {
    let request = v1::RepairRunRequest { run_id: run_id.to_owned(), group: group.to_owned() };
    let mut client = VerifyServiceClient::new(scheduler.patient.clone());
    let done = scheduler.answer(client.repair_run(request).await)?;
    until_done(wait, async || {
        let request = v1::GetRunRequest { run_id: run_id.to_owned() };
        let run = scheduler.answer(scheduler.calls.clone().get_run(request).await)?.run;
        Ok(run.and_then(|run| run.snapshot).is_some_and(|snapshot| snapshot.in_flight == 0))
    })
    .await?;
    let v1::RepairRunResponse { counted, forgotten, published, waiting, .. } = done;
    Ok(Repaired { counted, forgotten, published, waiting })
}

async fn until_done(wait: Duration, is_done: impl AsyncFn() -> Result<bool>) -> Result<()> {
    let waiting = async {
        while !is_done().await? {
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        Ok(())
    };
    // Not done in time is no error of its own: the proof names what is missing.
    tokio::time::timeout(wait, waiting).await.unwrap_or(Ok(()))
}
