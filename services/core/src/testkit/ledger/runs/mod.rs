//! Cases of the runs port: how runs are started, changed, restored, and noted as kept.
//!
//! A file is a theme, and a case is a function over a harness. It may use all ports of the ledger and the steps of `support`.

mod changing;
mod restoring;
mod starting;
mod unkept;

pub use changing::*;
pub use restoring::*;
pub use starting::*;
pub use unkept::*;
