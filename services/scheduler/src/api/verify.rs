//! The edge of `paceline.v1.VerifyService`: the proof of a run and its repair, asked over gRPC because an embedded folder has one opener.

use paceline_core::ids::{self, RunId};
use paceline_core::repair::{Repaired, repair};
use paceline_core::verify::{Verification, VerifyOptions, verify};
use paceline_proto::v1::verify_service_server::VerifyService;
use paceline_proto::v1::{RepairRunRequest, RepairRunResponse, VerifyRunRequest, VerifyRunResponse};
use paceline_runtime::status::to_status;
use tonic::{Request, Response, Status};

use super::convert;
use crate::context::{Context, Ports};

pub struct VerifyApi(pub Context);

#[tonic::async_trait]
impl VerifyService for VerifyApi {
    async fn verify_run(&self, request: Request<VerifyRunRequest>) -> Result<Response<VerifyRunResponse>, Status> {
        let request = request.into_inner();
        let (run, group) = self.names(&request.run_id, request.group).map_err(to_status)?;
        let options = VerifyOptions { group, strict: request.strict };
        let proof = verify(&*self.0.ports.ledger.counts, &*self.0.ports.sink.reader, &run, &options).await;
        proof.map(|proof| Response::new(answer(proof))).map_err(to_status)
    }

    async fn repair_run(&self, request: Request<RepairRunRequest>) -> Result<Response<RepairRunResponse>, Status> {
        let request = request.into_inner();
        let (run, group) = self.names(&request.run_id, request.group).map_err(to_status)?;
        let (Ports { ledger, sink, producers, .. }, now_ms) = (&self.0.ports, self.0.ports.clock.wall_ms());
        let repaired = repair(ledger, &*sink.reader, &**producers, &run, &group, now_ms).await.map_err(to_status)?;
        let Repaired { counted, forgotten, published, waiting } = repaired;
        tracing::info!(%run, counted, forgotten, published, waiting, "run repaired");
        let run_id = run.to_string();
        Ok(Response::new(RepairRunResponse { run_id, counted, forgotten, published, waiting }))
    }
}

impl VerifyApi {
    fn names(&self, run: &str, group: String) -> paceline_core::Result<(RunId, String)> {
        let group = if group.is_empty() { self.0.config.group.clone() } else { group };
        ids::check_name("group", &group)?;
        Ok((RunId::parse(run)?, group))
    }
}

fn answer(proof: Verification) -> VerifyRunResponse {
    VerifyRunResponse {
        run_id: proof.run_id.to_string(),
        state: convert::state(proof.state).into(),
        enqueued: proof.enqueued,
        counted: proof.counted,
        stored: proof.stored,
        dead: proof.dead,
        missing: proof.missing,
        missing_count: proof.missing_count,
        foreign: proof.foreign,
        foreign_count: proof.foreign_count,
        duplicates: proof.duplicates,
        in_flight: proof.in_flight,
        problems: proof.problems,
        ok: proof.ok,
    }
}
