//! The wire formats of Paceline: messages, clients and servers of `paceline.v1`, generated from `proto/paceline/v1`.
//!
//! Only the edges (a role's gRPC service, the CLI) use these types; they convert once, at the door, to `paceline_core`.
//!
//! Here: generated code, and the number of the protocol. It may use tonic and prost, and no other crate of Paceline.

mod protocol;

pub use protocol::{PROTOCOL, PROTOCOL_METADATA, Protocol};

pub mod v1 {
    //! `paceline.v1`, as in `proto/paceline/v1/*.proto`; the comments there are the documentation.
    #![allow(clippy::all, rust_2018_idioms, missing_docs)]
    tonic::include_proto!("paceline.v1");
}

pub mod externalscaler {
    //! KEDA's calls, as in `proto/externalscaler/externalscaler.proto`.
    #![allow(clippy::all, rust_2018_idioms, missing_docs)]
    tonic::include_proto!("externalscaler");
}

/// The encoded `FileDescriptorSet` of all of them, for server reflection.
pub const DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/paceline_descriptor.bin"));
