//! The ports: what the roles ask of broker, sink and ledger, and of whoever publishes ranges. Their doc comments are law: what `Ok`
//! promises, what may repeat, what is idempotent. Every adapter passes the conformance suites of its ports in `crate::testkit`; only
//! [`spans`] has none.
//!
//! A file is one small trait with the values that its methods speak of. It may use the language of the house (run, job, document,
//! pacing), and no adapter.

pub mod backends;
pub mod broker;
pub mod counts;
pub mod documents;
pub mod kept_runs;
pub mod leases;
pub mod ledger;
pub mod mesh;
pub mod publisher;
pub mod ranges;
pub mod runs;
pub mod sink;
pub mod spans;
pub mod workers;

pub use backends::Backends;
pub use broker::Broker;
pub use counts::Counts;
pub use documents::{DocumentReader, DocumentWriter};
pub use kept_runs::KeptRuns;
pub use leases::Leases;
pub use ledger::Ledger;
pub use mesh::Mesh;
pub use publisher::RangePublisher;
pub use ranges::Ranges;
pub use runs::Runs;
pub use sink::Sink;
pub use spans::{SpanKeeper, SpanReader};
pub use workers::Workers;
