//! The ledger in Redis: hashes, bitmaps and one Lua script a step, so that every step is atomic and every count is exact.
//!
//! [`ledger`] is the port; behind it [`runs`], [`leases`], [`ranges`], [`record`], [`restore`], [`remove`], [`snapshot`], [`protocol`] and
//! [`workers`] hold one step each, [`keys`] names what they touch, [`connection`] reaches the server and turns its answers into the port's errors.
//! Of a cluster, [`sentinels`] say which server is the primary, [`watch`] leaves one that they name no more, and [`barrier`] asks for a replica's
//! word after every call.

mod barrier;
mod bits;
mod check;
mod config;
mod connection;
#[cfg(test)]
mod fake_redis;
mod keys;
mod leases;
mod ledger;
mod look;
mod protocol;
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
mod unkept;
mod watch;
mod workers;

pub use config::RedisConfig;
pub use ledger::RedisLedger;
