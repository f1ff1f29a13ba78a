//! The producers that a scheduler knows: ranges go round robin to those that work, and to the next one when one fails.
//!
//! In this room: everything that concerns one producer or all of them. It uses core, proto and runtime; of the scheduler it knows nothing.
//!
//! A range enters by [`pool`], in its [`turn`], and leaves for one [`pooled`] producer. Each has a [`breaker`], which keeps ranges away from a
//! producer that fails, and a [`window`], which bounds the bytes in flight to what the producer confirms in about a second; [`admission`]
//! asks both. [`probe`] asks each producer for its health, so that one that hangs loses its ranges within two seconds. Producers come and
//! go with the [`address`]es of each [`entry`], which is an address or a [`name`]: [`moving`] makes them, and [`remote`] connects to them.
//! [`standing`] says how they all are.

mod address;
mod admission;
mod breaker;
mod entry;
mod moving;
mod name;
mod pool;
mod pooled;
mod probe;
mod remote;
mod standing;
#[cfg(test)]
mod tests;
mod turn;
mod window;

pub use address::ProducerAddress;
pub use admission::Ask;
pub use entry::addresses_now;
pub use pool::Producers;
pub use remote::{Caller, Ends};
