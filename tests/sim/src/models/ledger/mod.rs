//! The ledger as a state machine, by the ports' doc comments: a file a port. `now_ms` is the time of the ledger's own server.
//!
//! Two mutants live here, because counting and fencing are the ledger's work: `BareIncrement` and `NoFencing`.

mod counts;
mod group;
mod leases;
mod mesh;
mod ranges;
mod restore;
mod runs;
mod store;
mod unkept;
mod workers;

pub use group::Group;
pub use store::{Entry, LedgerModel};
