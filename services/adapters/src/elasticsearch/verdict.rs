//! Reads what a bulk request answered: which documents are stored, which may be sent again, which never will be.
//!
//! The reply is 200 even if every item failed, so each item is read. A status decides, except where Elasticsearch answers
//! a document with a 4xx that is about its own state and not about the document.

use paceline_core::ports::documents::Verdict;
use serde::Deserialize;

use super::client::RETRY_AFTER;
use super::reply::Cause;

/// The parts of a bulk reply that are asked for: the rest of an item repeats the request.
pub const FILTER_PATH: &str = "items.*.status,items.*.error";

/// Refusals with status 400 that pass when an operator acts: too many shards, a closed index, a bad namespace.
const NOT_THE_DOCUMENTS_FAULT: [&str; 4] =
    ["validation_exception", "index_closed_exception", "invalid_index_name_exception", "cluster_block_exception"];

#[derive(Deserialize)]
pub struct BulkReply {
    pub items: Vec<Item>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Item {
    Index(ItemStatus),
    Delete(ItemStatus),
}

#[derive(Deserialize)]
pub struct ItemStatus {
    pub status: u16,
    pub error: Option<Cause>,
}

impl Item {
    pub fn into_status(self) -> ItemStatus {
        match self {
            Self::Index(status) | Self::Delete(status) => status,
        }
    }
}

impl ItemStatus {
    pub fn into_verdict(self) -> Verdict {
        let Self { status, error } = self;
        let cause = error.unwrap_or_default();
        match status {
            200..300 => Verdict::Stored,
            409 if cause.is_version_conflict() => Verdict::Stored,
            400 | 413 if !NOT_THE_DOCUMENTS_FAULT.contains(&cause.kind.as_str()) => {
                Verdict::Reject { reason: cause.to_string() }
            }
            _ => Verdict::Retry { after: RETRY_AFTER, reason: format!("elasticsearch answers {status}: {cause}") },
        }
    }
}
