//! What every role needs around its work; the roles themselves are `paceline-scheduler`, `-producer` and `-worker`.
//!
//! `main` reads [`settings`], starts [`telemetry`], binds, and runs roles under one [`lifecycle::Shutdown`]; a role serves
//! gRPC through [`grpc`], and its errors become statuses in [`status`].

pub mod auth;
pub mod backoff;
pub mod grpc;
pub mod lifecycle;
pub mod settings;
pub mod status;
pub mod telemetry;
