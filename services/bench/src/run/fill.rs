//! Fills the queue of a real run, through the ports and with no worker: a drain then empties it, and `verify` can prove it.

use std::time::Duration;

use futures::stream::{self, TryStreamExt as _};
use paceline_core::error::codes;
use paceline_core::groups::Groups;
use paceline_core::ids::{DEFAULT_HANDLER, DEFAULT_QUEUE, RunId};
use paceline_core::job::{RANGE_JOBS_MAX, Range};
use paceline_core::pacing::{CatchUp, Pacing, Rate};
use paceline_core::ports::RangePublisher as _;
use paceline_core::ports::leases::Fence;
use paceline_core::ports::ranges::Reservation;
use paceline_core::run::{RunSpec, RunState};
use paceline_core::trace::Sampling;
use paceline_core::{Error, Result};
use paceline_node::Node;

use super::track::whole;
use crate::load::LoadSetup;
use crate::numbers::usage::Usage;
use crate::roles::PRODUCER;
use crate::stage::Stage;

const OWNER: &str = "bench";
/// Longer than any filling takes; it is given up at the end.
const LEASE_TTL: Duration = Duration::from_secs(3600);
/// Ranges on their way at once.
const RANGES_AT_ONCE: usize = 4;

/// A run whose jobs all wait in the queue.
pub struct Filled {
    pub run: RunId,
    pub seconds: f64,
    /// The usage of this process before and after it.
    pub before: Usage,
    pub after: Usage,
}

/// Makes a run of `jobs` jobs and publishes all of them. Nobody owns it afterwards, so a scheduler will.
pub async fn fill(stage: &Stage, jobs: u64, load: &LoadSetup) -> Result<Filled> {
    stage.talk(format!("filling the queue with {jobs} jobs"));
    let (ledger, begin_ns, before) = (&stage.ports.ledger, stage.clock.monotonic_ns(), own_usage()?);
    let spec = spec(stage, jobs, load)?;
    let run = spec.run_id.clone();
    let create = ledger.clone();
    whole(async move { create.runs.create(&spec, "").await }).await?;
    let fence = ledger.leases.acquire(&run, OWNER, LEASE_TTL).await?.ok_or_else(|| stolen(&run))?;
    publish_all(stage, &run, fence).await?;
    let seconds = stage.clock.monotonic_ns().saturating_sub(begin_ns) as f64 / 1e9;
    let after = own_usage()?;
    ledger.leases.advance(&run, fence, RunState::Draining, None).await?;
    ledger.leases.release(&run, fence).await?;
    Ok(Filled { run, seconds, before, after })
}

fn spec(stage: &Stage, jobs: u64, load: &LoadSetup) -> Result<RunSpec> {
    let created_at_ms = stage.clock.wall_ms();
    Ok(RunSpec {
        run_id: RunId::generate(created_at_ms),
        // Nobody paces this run, so any rate does.
        rate: Rate::new(jobs.min(1_000_000), 1.0)
            .map_err(|wrong| Error::internal(format!("the bench's own rate: {wrong:?}")))?,
        total: Some(jobs),
        queue: DEFAULT_QUEUE.into(),
        groups: Groups::new([stage.settings.group.as_str()])?,
        handler: DEFAULT_HANDLER.into(),
        payload: load.payload(),
        catch_up: CatchUp::All,
        created_at_ms,
        traceparent: None,
    })
}

/// Reserves range after range, several of which are published and confirmed at once.
async fn publish_all(stage: &Stage, run: &RunId, fence: Fence) -> Result<()> {
    let ledger = &stage.ports.ledger;
    let revision = ledger.runs.find(run).await?.ok_or_else(|| stolen(run))?.revision;
    let broker = stage.ports.broker.clone();
    let node = Node::new(&stage.settings, stage.clock.clone());
    let producer = &node.publisher("bench-producer", broker, ledger.clone());
    let reserve = |()| async move {
        let scheduled_at_ms = stage.clock.wall_ms();
        let reservation = Reservation { count: RANGE_JOBS_MAX, scheduled_at_ms, pacing: Pacing::default(), revision };
        let range = ledger.ranges.reserve(run, fence, &reservation).await?;
        // An empty range says that the total is reached.
        Ok::<_, Error>((range.count > 0).then_some((range, ())))
    };
    let publish = |range: Range| async move {
        let by = producer.publish(run, &range, Sampling::NONE).await?;
        ledger.ranges.confirm(run, fence, &range, &by).await
    };
    stream::try_unfold((), reserve)
        .map_ok(publish)
        .try_buffer_unordered(RANGES_AT_ONCE)
        .try_collect::<Vec<()>>()
        .await?;
    Ok(())
}

fn own_usage() -> Result<Usage> {
    Usage::read([(PRODUCER, std::process::id())])
}

fn stolen(run: &RunId) -> Error {
    Error::aborted(format!("run {run} was taken away from the benchmark; does anything else use its namespace?"))
        .coded(codes::BENCH_RUN_TAKEN)
}
