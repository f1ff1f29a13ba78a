//! Flags and readers of values that several commands share. Here: `clap` arguments and their parsers, no command; settings and lifecycle
//! may be used.

mod admin;
mod numbers;
mod stop;

pub use admin::AdminFlags;
pub use numbers::{minutes, seconds};
pub use stop::StopFlag;
