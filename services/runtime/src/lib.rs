//! Everything that a role needs around its work; the roles themselves are `paceline-scheduler`, `-producer` and `-worker`.
//!
//! `main` reads [`settings`], starts [`telemetry`], binds, and runs roles under one [`lifecycle::Shutdown`]; a role serves
//! gRPC through [`grpc`], its errors become statuses in [`status`], and its [`readiness`] is whether it can do its work, which
//! [`admin`] shows. [`protocol`] keeps roles apart that do not understand each other.
//!
//! Here: what every role needs and no role is. It may use core and proto; it knows no role, no adapter and no command.

pub mod admin;
pub mod auth;
pub mod grpc;
pub mod instruments;
pub mod lifecycle;
pub mod protocol;
pub mod readiness;
pub mod resolver;
pub mod settings;
pub mod status;
pub mod telemetry;
