//! The codes of errors: for each error that a user can meet a stable number, and what happened, why it may happen and what to do.
//!
//! A number is never given to anything else. Its thousands say what the error is about: 1 requests and runs, 2 settings, 3 the broker,
//! 4 the sink, 5 the ledger, 6 the roles, 7 the mesh, 8 the commands, 9 bugs. `paceline explain` and docs/errors.md show this table.

mod broker;
mod commands;
mod internal;
mod ledger;
mod mesh;
mod requests;
mod roles;
mod settings;
mod sink;
mod table;
#[cfg(test)]
mod tests;

pub use broker::*;
pub use commands::*;
pub use internal::*;
pub use ledger::*;
pub use mesh::*;
pub use requests::*;
pub use roles::*;
pub use settings::*;
pub use sink::*;

use super::code::{Code, PREFIX};
use super::kind::ErrorKind;

impl Code {
    /// The code of an error that says nothing more than its kind.
    pub fn general(kind: ErrorKind) -> &'static Self {
        match kind {
            ErrorKind::InvalidArgument => REQUEST_INVALID,
            ErrorKind::NotFound => NOT_FOUND,
            ErrorKind::FailedPrecondition => PRECONDITION_FAILED,
            ErrorKind::ResourceExhausted => LIMIT_REACHED,
            ErrorKind::Unavailable => SERVICE_UNAVAILABLE,
            ErrorKind::Aborted => CHANGED_MEANWHILE,
            ErrorKind::Internal => INTERNAL,
            ErrorKind::Unpublishable => JOBS_NOT_PUBLISHABLE,
        }
    }

    pub fn of_number(number: u16) -> Option<&'static Self> {
        all().find(|code| code.number == number)
    }

    /// The code that is written so on the wire; `None` for one that this version does not know.
    pub fn of_text(text: &str) -> Option<&'static Self> {
        Self::of_number(text.strip_prefix(PREFIX)?.parse().ok()?)
    }
}

/// Every code, by number.
pub fn all() -> impl Iterator<Item = &'static Code> {
    let groups = [
        requests::ALL,
        settings::ALL,
        broker::ALL,
        sink::ALL,
        ledger::ALL,
        roles::ALL,
        mesh::ALL,
        commands::ALL,
        internal::ALL,
    ];
    groups.into_iter().flatten().copied()
}
