//! Flush: jobs that have ended go through sink → ledger → ack, in this order (L4).
//!
//! In this room: everything between the end of a job and its ack. It uses the sink and counts ports, and the held jobs of the intake.
//!
//! One job waits for nothing, many jobs share a request, and a request waits a little for more while its predecessor is in flight. The
//! [`flusher`] takes a [`batch`] through three steps: [`store`], [`count`], [`settle`]. The [`window`] says how much is sent at once.

mod batch;
mod count;
mod flusher;
mod gauges;
mod settle;
mod store;
#[cfg(test)]
mod tests;
mod window;

pub use flusher::Flusher;
