//! The version of what the roles of a mesh say to each other and leave for each other, which is not that of the software.

use std::num::NonZeroU32;

/// Raised when a role of the version before would misread, refuse or lose what a role of this one writes, or the other way round:
/// * the calls between scheduler and producer, and what their fields mean;
/// * the messages in the broker, its exchange and its queues with their arguments;
/// * the keys, fields and scripts of the ledger;
/// * the ids and versions of documents.
///
/// Not raised for what a role of the version before may ignore: a new field, key or header that has a meaning when it is absent. So
/// roles of two software versions with one protocol work in one mesh, and a rolling upgrade needs no stop. The API for callers
/// (`SchedulerService`, `VerifyService`) is not a part of it: its version is in its package, `paceline.v1`.
pub const PROTOCOL: Protocol = Protocol::new(1);

/// The gRPC metadata in which a role says its protocol to another. A call without it is of [`Protocol::FIRST`].
pub const PROTOCOL_METADATA: &str = "paceline-protocol";

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Protocol(NonZeroU32);

impl Protocol {
    /// Of meshes and calls from before anybody said a protocol.
    pub const FIRST: Self = Self::new(1);

    /// Panics for 0, which no version has.
    pub const fn new(number: u32) -> Self {
        Self(NonZeroU32::new(number).expect("protocols are numbered from 1"))
    }

    pub const fn number(self) -> u32 {
        self.0.get()
    }

    /// As it stands in metadata and ledger; `None` for what is no number of a protocol.
    pub fn parse(text: &str) -> Option<Self> {
        text.parse().ok().map(Self)
    }
}

impl std::fmt::Display for Protocol {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_protocol_reads_back_and_nonsense_is_none() {
        assert_eq!(Protocol::parse(&PROTOCOL.to_string()), Some(PROTOCOL));
        for wrong in ["", "0", "-1", "one", "1.0"] {
            assert_eq!(Protocol::parse(wrong), None, "{wrong}");
        }
    }
}
