//! Intake: deliveries come in, handlers run, and jobs that have ended go to the flusher.
//!
//! In this room: consumers, and the settling of deliveries that need no document. It uses the broker port, [`crate::execute`] and the
//! worker's health; of the flusher it knows a channel.

mod consume;
mod endings;
mod hold;
mod settle;

pub use consume::consume;
#[cfg(test)]
pub use hold::OpenConsumer;
pub use hold::{HeldJob, Hold};
pub use settle::Intake;
