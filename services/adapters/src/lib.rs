//! Adapters of the three ports. Each folder has the same files: `broker`, `sink` or `ledger` for the port it implements.
//!
//! `embedded` is one process over SQLite files; `rabbitmq`, `elasticsearch` and `redis` are the services. [`resolve`]
//! turns a URL into an adapter, so that nothing else in Paceline names a vendor.

pub mod elasticsearch;
pub mod embedded;
mod link;
mod one_cluster;
mod percent;
pub mod rabbitmq;
pub mod redis;
pub mod resolve;
pub mod trace_query;
