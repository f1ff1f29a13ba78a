//! `paceline doctor --rebuild-counters`: a ledger that was lost, or went back in time, from what the sink keeps.
//!
//! Every kept run is restored and what the sink has of it is counted. A run that had ended drains once more: its scheduler sends
//! again what is lost and ends it when its numbers close. Idempotent, and safe while schedulers and workers are running.

use paceline_adapters::resolve;
use paceline_core::Result;
use paceline_core::clock::SystemClock;
use paceline_core::ids::RunId;
use paceline_core::ports::{Ledger, Sink};
use paceline_core::repair::heal;
use paceline_core::run::KeptRun;
use paceline_runtime::protocol::{self, Build};
use serde::Serialize;

use crate::connections;
use crate::context::CommandContext;
use crate::exit::Exit;
use crate::output::{counted, table};

/// Kept runs that one request asks for.
const PAGE_RUNS: usize = 1_000;

/// The outcome for one run.
#[derive(Debug, Serialize)]
struct Rebuilt {
    run_id: RunId,
    state: String,
    enqueued: u64,
    /// Stored jobs that were not counted, and are now.
    counted: u64,
    /// Neither counted nor stored: queued, at work, or lost and then sent again by the run's scheduler.
    missing: u64,
    /// True if the ledger did not know the run, or knew less of it.
    restored: bool,
}

pub async fn execute(context: &CommandContext) -> anyhow::Result<Exit> {
    let settings = &context.settings;
    [&settings.ledger_url, &settings.sink_url].into_iter().try_for_each(|url| connections::must_exist(url))?;
    let (at, clock) = (settings.connections(), SystemClock::shared());
    let ledger = resolve::ledger(&at, clock.clone()).await?;
    ledger.mesh.check().await?;
    let ledger = protocol::visit(ledger, &settings.namespace, Build::THIS).await?;
    let sink = resolve::sink(&at, clock).await?;
    let mut all = Vec::new();
    let mut after = None;
    loop {
        let page = sink.runs.list(after.as_ref(), PAGE_RUNS).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.spec.run_id.clone());
        for kept in page {
            let run = kept.spec.run_id.clone();
            let rebuilt = rebuild(&ledger, &sink, kept).await?;
            tracing::debug!(%run, counted = rebuilt.counted, missing = rebuilt.missing, "run rebuilt");
            all.push(rebuilt);
        }
    }
    context.output.data(&all, |all| text(all))?;
    Ok(Exit::Done)
}

async fn rebuild(ledger: &Ledger, sink: &Sink, kept: KeptRun) -> Result<Rebuilt> {
    let run_id = kept.spec.run_id.clone();
    let known = ledger.runs.find(&run_id).await?;
    let is_behind = known.as_ref().is_none_or(|record| kept.is_ahead_of(record));
    let record = match known {
        Some(record) if !is_behind => record,
        _ => ledger.runs.restore(&kept.reopened()).await?,
    };
    let (mut counted, mut missing) = (0, 0);
    for group in record.spec.groups.iter() {
        let healed = heal(&*ledger.counts, &*sink.reader, &run_id, group, record.cursor).await?;
        counted += healed.counted;
        missing += healed.lost.len();
    }
    Ok(Rebuilt {
        run_id,
        state: record.state.to_string(),
        enqueued: record.cursor,
        counted,
        missing,
        restored: is_behind,
    })
}

fn text(all: &[Rebuilt]) -> String {
    if all.is_empty() {
        return "the sink keeps no runs: nothing to rebuild".to_owned();
    }
    let yes = |is: bool| if is { "yes" } else { "no" }.to_owned();
    let rows: Vec<_> = all
        .iter()
        .map(|one| {
            let numbers = [one.enqueued, one.counted, one.missing].map(|number| number.to_string());
            let [enqueued, counted, missing] = numbers;
            [one.run_id.to_string(), one.state.clone(), yes(one.restored), enqueued, counted, missing]
        })
        .collect();
    let restored = all.iter().filter(|one| one.restored).count() as u64;
    let jobs = all.iter().map(|one| one.counted).sum();
    let table = table(["RUN", "STATE", "RESTORED", "ENQUEUED", "COUNTED NOW", "MISSING"], &rows);
    let sum = format!("{} restored, {} counted", counted(restored, "run"), counted(jobs, "stored job"));
    format!("{table}\n\n{sum}; a scheduler ends the runs that drain, `paceline verify <run>` proves each")
}
