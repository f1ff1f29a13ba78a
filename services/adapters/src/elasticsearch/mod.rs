//! The sink port over Elasticsearch 8 and 9: one document a job, in one index a day, and one a run, in an index of its own.
//!
//! A flush walks through these files: `write` sends what `bulk` encoded, `client` carries it, `reply` is the answer, which
//! `verdict` reads. `read` answers `count`, `ids` and `get`; `runs` keeps runs; `template` says how documents are
//! indexed, and `payloads` how their payloads are; `index` says where; `remove` takes a whole namespace away.
//!
//! Everything that knows Elasticsearch is here. A file may use core, the HTTP client and the files that adapters share; no role and no
//! other service.

mod bulk;
mod check;
mod client;
mod config;
mod index;
mod payloads;
mod read;
mod remove;
mod reply;
mod runs;
mod sink;
mod template;
mod verdict;
mod write;

#[cfg(test)]
mod fake_answers;
#[cfg(test)]
mod fake_nodes_tests;
#[cfg(test)]
mod fake_server;
#[cfg(test)]
mod fake_server_tests;

pub use config::ElasticConfig;
pub use sink::ElasticSink;
