//! Cases of the runs port: how runs are started, changed, restored, and noted as kept.

mod changing;
mod restoring;
mod starting;
mod unkept;

pub use changing::*;
pub use restoring::*;
pub use starting::*;
pub use unkept::*;
