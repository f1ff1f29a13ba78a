//! Writes the body of a `_bulk` request into one buffer: an action line and the document's own JSON, nothing in between.

use bytes::Bytes;
use paceline_core::document::Document;
use paceline_core::error::codes;
use paceline_core::ids::RunId;
use paceline_core::{Error, Result};
use serde_json::to_writer;

use super::index::IndexNames;

/// The largest body of one request. Elasticsearch's own limit is 100 MB, but a request is held in its memory whole.
pub const BODY_BYTES_MAX: usize = 8 << 20;
/// The bytes of a document, as a first guess of the buffer's size.
const DOCUMENT_BYTES_TYPICAL: usize = 640;

/// One request's body, made of the first `taken` documents.
pub struct Body {
    /// The index that every line without its own goes to.
    pub index: String,
    pub lines: Bytes,
    pub taken: usize,
}

/// Encodes as many of the documents at `positions` as fit into `bytes_max`, but at least one.
pub fn encode(names: &IndexNames, documents: &[Document], positions: &[usize], bytes_max: usize) -> Result<Body> {
    let mut lines = Vec::with_capacity((positions.len() * DOCUMENT_BYTES_TYPICAL).min(bytes_max));
    let mut index = Index::default();
    let mut taken = 0;
    for position in positions {
        let document = &documents[*position];
        let start = lines.len();
        write_lines(&mut lines, index.of_line(names, &document.run_id), document).map_err(|e| {
            Error::internal(format!("the document {} cannot be encoded: {e}", document.job_id))
                .coded(codes::STORED_DATA_UNREADABLE)
        })?;
        if lines.len() > bytes_max && taken > 0 {
            lines.truncate(start);
            break;
        }
        taken += 1;
    }
    Ok(Body { index: index.of_request, lines: lines.into(), taken })
}

/// `external` makes the attempt the version: an older attempt conflicts, which `verdict` reads as stored.
fn write_lines(lines: &mut Vec<u8>, index: Option<&str>, document: &Document) -> serde_json::Result<()> {
    lines.extend_from_slice(br#"{"index":{"_id":"#);
    to_writer(&mut *lines, &document.job_id)?;
    if let Some(index) = index {
        lines.extend_from_slice(br#","_index":"#);
        to_writer(&mut *lines, index)?;
    }
    lines.extend_from_slice(br#","version_type":"external","version":"#);
    to_writer(&mut *lines, &document.attempts)?;
    lines.extend_from_slice(b"}}\n");
    to_writer(&mut *lines, document)?;
    lines.push(b'\n');
    Ok(())
}

/// Remembers the last run's index, because most requests have one run.
#[derive(Default)]
struct Index {
    of_request: String,
    last: Option<(RunId, String)>,
}

impl Index {
    /// The index that a line must name: none, if the line goes where the whole request goes.
    fn of_line(&mut self, names: &IndexNames, run: &RunId) -> Option<&str> {
        if self.last.as_ref().is_none_or(|(last, _)| last != run) {
            let index = names.index(run);
            if self.of_request.is_empty() {
                self.of_request.clone_from(&index);
            }
            self.last = Some((run.clone(), index));
        }
        let index = self.last.as_ref().map(|(_, index)| index.as_str());
        index.filter(|index| *index != self.of_request)
    }
}
