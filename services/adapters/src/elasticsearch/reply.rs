//! An answer of Elasticsearch, and its reason where it refuses: [`super::client`] gets it, and everybody else reads it.

use bytes::Bytes;
use serde::Deserialize;

/// The longest reason that is passed on; Elasticsearch quotes whole documents in some.
const REASON_CHARS_MAX: usize = 600;

/// A complete answer, whatever its status.
pub struct Reply {
    pub status: u16,
    pub body: Bytes,
    /// The address of the node that answered.
    pub address: String,
}

/// The reason for which Elasticsearch refused, in its own type and words.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Cause {
    #[serde(rename = "type", default)]
    pub kind: String,
    #[serde(default)]
    pub reason: Option<String>,
    #[serde(default)]
    pub caused_by: Option<Box<Cause>>,
}

// === impl Reply ===

impl Reply {
    pub fn is_ok(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// True if the question is about an index that nothing was written to yet.
    pub fn is_index_missing(&self) -> bool {
        self.status == 404 && self.cause().is_index_missing()
    }

    /// True if a newer version is stored already.
    pub fn is_version_conflict(&self) -> bool {
        self.status == 409 && self.cause().is_version_conflict()
    }

    /// Elasticsearch's own reason; from anything else, such as a proxy, the beginning of its text.
    pub fn cause(&self) -> Cause {
        #[derive(Deserialize)]
        struct Refusal {
            error: Cause,
        }
        serde_json::from_slice(&self.body).map(|refusal: Refusal| refusal.error).unwrap_or_else(|_| {
            let text = String::from_utf8_lossy(&self.body).into_owned();
            Cause { reason: Some(text), ..Cause::default() }
        })
    }
}

// === impl Cause ===

impl Cause {
    pub fn is_index_missing(&self) -> bool {
        self.kind == "index_not_found_exception"
    }

    pub fn is_version_conflict(&self) -> bool {
        self.kind == "version_conflict_engine_exception"
    }
}

impl std::fmt::Display for Cause {
    /// The outer reason says where, the innermost says why.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut innermost = self;
        while let Some(cause) = &innermost.caused_by {
            innermost = cause;
        }
        let mut words = [self.kind.as_str(), self.reason.as_deref().unwrap_or_default()]
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join(": ");
        if let Some(reason) = innermost.reason.as_deref().filter(|_| !std::ptr::eq(innermost, self)) {
            words = format!("{}; {}", shortened(&words), shortened(reason));
        }
        f.write_str(&shortened(&words))
    }
}

fn shortened(text: &str) -> String {
    let text = text.trim();
    match text.char_indices().nth(REASON_CHARS_MAX / 2) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
