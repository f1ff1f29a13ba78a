//! The API of a scheduler: its gRPC services, and the handle that they call.
//!
//! In this room: everything that answers a caller. It uses the context and the owners' wakers; no other room knows it.
//!
//! A call enters by [`service`], which converts it ([`convert`]) and calls the [`handle`]; the handle checks it ([`validate`]) and writes it to the
//! ledger. [`mod@watch`] follows a run, [`verify`] proves and repairs one, and [`scale`] says how many workers a queue needs.

mod convert;
mod handle;
mod scale;
mod service;
mod validate;
mod verify;
mod watch;

use paceline_proto::externalscaler::external_scaler_server::ExternalScalerServer;
use paceline_proto::v1::scale_service_server::ScaleServiceServer;
use paceline_proto::v1::scheduler_service_server::SchedulerServiceServer;
use paceline_proto::v1::verify_service_server::VerifyServiceServer;
use tonic::service::Routes;

pub use handle::{RunPage, SchedulerHandle};
pub use validate::{RunUpdate, StartRun};

pub type SchedulerServer = SchedulerServiceServer<service::SchedulerApi>;

/// Adds every service of a scheduler to the routes of its server.
pub fn services(scheduler: &SchedulerHandle) -> impl FnOnce(Routes) -> Routes + use<> {
    let (context, token) = (scheduler.context.clone(), scheduler.context.config.token.clone());
    let runs = SchedulerServer::with_interceptor(service::SchedulerApi::new(scheduler.clone()), token.clone());
    let proof = VerifyServiceServer::with_interceptor(verify::VerifyApi(context.clone()), token.clone());
    let scale = ScaleServiceServer::with_interceptor(scale::ScaleApi(context.clone()), token.clone());
    // KEDA carries the token in its own way.
    let keda = ExternalScalerServer::new(scale::ExternalScalerApi::new(context, token));
    |routes| routes.add_service(runs).add_service(proof).add_service(scale).add_service(keda)
}
