//! `paceline doctor --adopt-protocol`: gives a mesh whose work is done the protocol of this build.
//!
//! The command refuses while a run goes on or a worker is alive, because those are of the other protocol. Schedulers and producers leave no
//! trace in the ledger while no run goes on, so the operator has to see that they are stopped.

use paceline_adapters::resolve;
use paceline_core::clock::SystemClock;
use paceline_core::error::codes;
use paceline_core::ports::Ledger;
use paceline_core::{Error, Result};
use paceline_proto::PROTOCOL;
use serde::Serialize;

use crate::connections::must_exist;
use crate::context::CommandContext;
use crate::exit::Exit;
use crate::output::counted;

#[derive(Debug, Serialize)]
struct Adopted {
    mesh: String,
    before: Option<u32>,
    now: u32,
}

pub async fn execute(context: &CommandContext) -> anyhow::Result<Exit> {
    let settings = &context.settings;
    must_exist(&settings.ledger_url)?;
    let ledger = resolve::ledger(&settings.connections(), SystemClock::shared()).await?;
    ledger.mesh.check().await?;
    let adopted = adopt(&ledger, &settings.namespace, PROTOCOL.number()).await?;
    context.output.data(&adopted, text)?;
    Ok(Exit::Done)
}

async fn adopt(ledger: &Ledger, mesh: &str, mine: u32) -> Result<Adopted> {
    let before = ledger.mesh.protocol().await?;
    if before != Some(mine) {
        must_be_idle(ledger).await?;
        let now = ledger.mesh.adopt_protocol(before, mine).await?;
        if now != mine {
            return Err(Error::aborted(format!("mesh {mesh:?} got protocol {now} from somebody else meanwhile"))
                .coded(codes::PROTOCOL_ADOPTED_MEANWHILE));
        }
    }
    Ok(Adopted { mesh: mesh.to_owned(), before, now: mine })
}

async fn must_be_idle(ledger: &Ledger) -> Result<()> {
    let (active, workers) = (ledger.runs.active().await?, ledger.workers.alive().await?);
    if let Some(first) = active.first() {
        let runs = counted(active.len() as u64, "run");
        return Err(Error::failed_precondition(format!(
            "{runs} of the other protocol not ended, such as {first}: let them end, or stop them, with the version that the mesh runs"
        ))
        .coded(codes::PROTOCOL_STILL_USED));
    }
    if let Some(first) = workers.first() {
        let alive = counted(workers.len() as u64, "worker");
        return Err(Error::failed_precondition(format!(
            "{alive} of the other protocol alive, such as {} on {}: stop all roles first; one that is killed counts for 10 s more",
            first.worker_id, first.host
        ))
        .coded(codes::PROTOCOL_STILL_USED));
    }
    Ok(())
}

fn text(adopted: &Adopted) -> String {
    let Adopted { mesh, before, now } = adopted;
    match before {
        Some(before) if before == now => format!("mesh {mesh:?} has it already: protocol {now}"),
        Some(before) => format!("mesh {mesh:?} has protocol {now} now, not {before} any more; start its roles"),
        None => format!("mesh {mesh:?} has protocol {now} now; start its roles"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use paceline_adapters::resolve::Connections;
    use paceline_core::ErrorKind;
    use paceline_core::ports::workers::WorkerInfo;

    #[tokio::test]
    async fn a_mesh_at_work_keeps_its_protocol_and_an_idle_one_gets_ours() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = resolve::ledger(&Connections::embedded(folder.path()), SystemClock::shared()).await.unwrap();
        ledger.mesh.adopt_protocol(None, 1).await.unwrap();
        let worker: WorkerInfo = serde_json::from_str(
            r#"{"worker_id":"w","queue":"default","group":"main","host":"h","pid":1,"started_at_ms":0,"heartbeat_at_ms":0,
                "processed":0,"dead":0,"retried":0,"batches":0,"batched_documents":0,"stored_latency":""}"#,
        )
        .unwrap();
        ledger.workers.announce(&worker, Duration::from_secs(600)).await.unwrap();
        let refused = adopt(&ledger, "m", 2).await.unwrap_err();
        assert!(
            refused.kind == ErrorKind::FailedPrecondition && refused.message.contains("such as w on h"),
            "{refused}"
        );
        ledger.workers.forget("w").await.unwrap();
        let adopted = adopt(&ledger, "m", 2).await.unwrap();
        assert_eq!((adopted.before, adopted.now), (Some(1), 2));
        assert!(text(&adopted).contains("not 1 any more"));
        assert!(text(&adopt(&ledger, "m", 2).await.unwrap()).contains("has it already"));
    }
}
