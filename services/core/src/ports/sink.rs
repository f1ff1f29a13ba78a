//! The sink: one store, seen through three small ports. It is the source of truth about what was done.

use std::sync::Arc;

use super::documents::{DocumentReader, DocumentWriter};
use super::kept_runs::KeptRuns;

/// The use that a sink makes of payloads, if it indexes documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Payloads {
    /// The fields of payloads can be searched for.
    #[default]
    Searchable,
    /// Payloads are kept, whatever is in them, and cannot be searched for.
    Stored,
}

impl Payloads {
    pub const ALL: [Self; 2] = [Self::Searchable, Self::Stored];

    pub fn name(self) -> &'static str {
        match self {
            Self::Searchable => "searchable",
            Self::Stored => "stored",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|payloads| payloads.name() == name)
    }
}

/// The ports of one sink.
#[derive(Clone)]
pub struct Sink {
    pub writer: Arc<dyn DocumentWriter>,
    pub reader: Arc<dyn DocumentReader>,
    pub runs: Arc<dyn KeptRuns>,
}

impl Sink {
    /// All ports of `store`.
    pub fn of(store: impl DocumentWriter + DocumentReader + KeptRuns) -> Self {
        let store = Arc::new(store);
        Self { writer: store.clone(), reader: store.clone(), runs: store }
    }
}
