//! Documents and answers that the tests of the fake server share.

use paceline_core::document::Document;
use paceline_core::testkit::sink::{documents, new_run};
use serde_json::{Value, json};

use super::fake_server::Answer::{self, Say};

pub fn three() -> Vec<Document> {
    documents(&new_run(), 0..3)
}

pub fn items(items: &[Value]) -> Answer {
    let items: Vec<Value> = items.iter().map(|item| json!({ "index": item })).collect();
    Say(200, json!({ "items": items }).to_string())
}

pub fn stored() -> Value {
    json!({ "status": 201 })
}

pub fn failed(status: u16, kind: &str, reason: &str) -> Value {
    json!({ "status": status, "error": { "type": kind, "reason": reason } })
}

pub fn refusal(status: u16, kind: &str, reason: &str) -> Answer {
    Say(status, json!({ "status": status, "error": { "type": kind, "reason": reason } }).to_string())
}
