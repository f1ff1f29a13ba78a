//! The three ports. Their doc comments are law: what `Ok` promises, what may repeat, what is idempotent.
//! Every adapter passes the port's conformance suite in `testkit`.

pub mod broker;
pub mod ledger;
pub mod publisher;
pub mod sink;
pub mod spans;

pub use broker::Broker;
pub use ledger::Ledger;
pub use publisher::RangePublisher;
pub use sink::Sink;
pub use spans::{SpanKeeper, SpanReader};
