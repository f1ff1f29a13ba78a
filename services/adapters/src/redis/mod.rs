//! The ledger in Redis: hashes, bitmaps and one Lua script a step, so that every step is atomic and every count is exact.
//!
//! [`ledger`] is the handle, and a file that has the name of a port implements it: [`runs`], [`leases`], [`ranges`], [`counts`],
//! [`workers`], [`mesh`]. The others hold what one or several of them need, [`keys`] names what they touch, [`fields`] reads it,
//! [`connection`] reaches the server, and [`errors`] has the port's words for refusals.
//! In a cluster, [`sentinels`] say which server is the primary, [`watch`] leaves a primary that they name no more, and [`barrier`] asks for
//! a replica's word after every call.
//!
//! Everything that knows Redis is here. A file may use core, the Redis client and the files that adapters share; no role and no other
//! service.

mod barrier;
mod bits;
mod check;
mod config;
mod connection;
mod counts;
mod errors;
#[cfg(test)]
mod fake_redis;
mod fields;
mod forget;
mod keys;
mod leases;
mod ledger;
mod lists;
mod look;
mod mesh;
mod ranges;
mod record;
mod remove;
mod restore;
mod runs;
mod scripts;
#[cfg(test)]
mod sentinel_tests;
mod sentinels;
mod server;
mod snapshot;
mod steps;
mod unkept;
mod watch;
mod workers;

pub use config::RedisConfig;
pub use ledger::RedisLedger;
