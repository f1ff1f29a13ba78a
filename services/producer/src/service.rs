//! The edge: `paceline.v1.ProducerService`, converted once to core types and back.

use paceline_core::error::Error;
use paceline_core::ids::{self, RunId};
use paceline_core::job::Range;
use paceline_core::ports::RangePublisher;
use paceline_core::trace::Sampling;
use paceline_proto::v1::producer_service_server::{ProducerService, ProducerServiceServer};
use paceline_proto::v1::{DepthRequest, DepthResponse, PublishRequest, PublishResponse};
use paceline_runtime::status::to_status;
use tonic::{Request, Response, Status};

use crate::producer::Producer;

pub type ProducerServer = ProducerServiceServer<ProducerApi>;

pub struct ProducerApi(pub Producer);

#[tonic::async_trait]
impl ProducerService for ProducerApi {
    async fn publish(&self, request: Request<PublishRequest>) -> Result<Response<PublishResponse>, Status> {
        let request = request.into_inner();
        let answer = async {
            let run = RunId::parse(&request.run_id)?;
            let range =
                Range { first: request.first, count: request.count.into(), scheduled_at_ms: request.scheduled_at_ms };
            let sampling = Sampling::from_taken(request.sampled_of_2_56);
            let producer_id = self.0.publish(&run, &range, sampling).await?;
            Ok::<_, Error>(PublishResponse { producer_id, confirmed: request.count })
        };
        answer.await.map(Response::new).map_err(to_status)
    }

    async fn depth(&self, request: Request<DepthRequest>) -> Result<Response<DepthResponse>, Status> {
        let answer = async {
            let DepthRequest { run_id, queue, group } = request.get_ref();
            let depth = if queue.is_empty() {
                self.0.depth(&RunId::parse(run_id)?).await?
            } else {
                ids::check_queue("queue", queue).and_then(|()| ids::check_group("group", group))?;
                self.0.depth_of(queue, group).await?
            };
            Ok::<_, Error>(DepthResponse {
                ready: depth.ready,
                unacked: depth.unacked,
                delayed: depth.delayed,
                dead: depth.dead,
            })
        };
        answer.await.map(Response::new).map_err(to_status)
    }
}
