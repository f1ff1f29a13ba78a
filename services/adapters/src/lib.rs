//! Adapters of the three ports. Each folder has a file `broker`, `sink` or `ledger` for the port that it implements.
//!
//! `embedded` is one process over SQLite files; `rabbitmq`, `elasticsearch` and `redis` are the services. [`resolve`]
//! turns a URL into an adapter and [`removal`] removes what is there, so that nothing else in Paceline names a vendor. The private files beside it are what several
//! adapters share: `link` rebuilds a connection, `rotation` orders the nodes of a cluster, `one_cluster` sees that they are one.

pub mod elasticsearch;
pub mod embedded;
mod link;
mod one_cluster;
mod percent;
pub mod rabbitmq;
pub mod redis;
pub mod removal;
pub mod resolve;
mod rotation;
pub mod trace_query;
