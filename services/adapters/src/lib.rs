//! Adapters of the ports: each folder speaks to one service. `rabbitmq` has the broker, `elasticsearch` the sink, `redis` the ledger;
//! `embedded` has all of them, and the spans, in one process over SQLite files.
//!
//! [`resolve`] turns a URL into an adapter and [`removal`] removes everything behind it, so nothing else in Paceline names a vendor.
//! [`trace_query`] reads traces from where they are kept. The private files are shared by several adapters: `link` rebuilds a connection,
//! `rotation` orders the nodes of a cluster, `one_cluster` sees that they are one.
//!
//! A folder may use core, its service's client and these shared files, and no other folder. It has no policy of a role: it keeps the
//! promises of its port.

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
