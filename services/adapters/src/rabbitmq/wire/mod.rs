//! AMQP 0-9-1 over tokio, as much of it as the broker port needs, written for the hot path.
//!
//! The way of the bytes: [`handshake`] opens a [`connection`]; its reading task ([`reader`]) splits what arrives into
//! [`frame`]s, decodes [`method`]s and hands contents and answers to the [`channel`] they are for; everything that is sent is
//! appended to one buffer, which the writing task ([`writer`]) puts on the wire in as few writes as it can. Acks are only
//! marked ([`acks`]) and become cumulative frames when the writing task comes by; confirms are matched in [`confirms`].
//!
//! There is no recovery here: a connection that failed stays failed, with all of its channels. Whoever owns it makes a new one.

mod acker;
mod acks;
pub mod channel;
pub mod codec;
mod confirms;
pub mod connection;
pub mod frame;
mod handshake;
mod method;
pub mod properties;
mod reader;
pub mod requests;
mod transport;
mod writer;

pub use acker::Acker;
pub use channel::{Channel, Deliveries, Event, Incoming};
pub use confirms::Exception;
pub use connection::Connection;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// A panic of another task is its own failure; the state behind these locks is whole between statements.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
