//! The index templates, which say how documents are indexed. They are strict: a field without a name here is a mistake of Paceline,
//! and the user's own fields live under `payload`, where they cannot collide with Paceline's or with each other.

use paceline_core::Result;
use paceline_core::ports::sink::Payloads;
use serde_json::{Value, json};

use super::client::Client;
use super::index::IndexNames;
use super::payloads::{self, SEARCHABLE_CHARS_MAX};

/// Above the templates that Elasticsearch and its tools ship.
const PRIORITY: usize = 500;

/// Puts the template, and the fields that are new since an index was made into the indices there are: otherwise a job of a
/// running run would be refused after an upgrade. Only the payload stays in each as it was made: that cannot be changed.
pub async fn prepare(client: &Client, names: &IndexNames, payloads: Payloads) -> Result<()> {
    payloads::tell_a_change(client, names, payloads).await?;
    let (known, mut of_template) = (properties(), properties());
    of_template["payload"] = payloads::mapping(payloads);
    put_template(client, names.template(), &names.pattern(), "jobs", of_template).await?;
    put_mapping(client, &names.pattern(), known).await?;
    prepare_runs(client, names).await
}

/// Puts template and mapping of the index of runs alone.
pub async fn prepare_runs(client: &Client, names: &IndexNames) -> Result<()> {
    put_template(client, &names.runs_template(), &names.runs_index(), "runs", runs_properties()).await?;
    put_mapping(client, &names.runs_index(), runs_properties()).await
}

async fn put_template(client: &Client, template: &str, pattern: &str, of: &str, properties: Value) -> Result<()> {
    let body = json!({
        // The longer pattern is the narrower one, should two namespaces begin alike.
        "priority": PRIORITY + pattern.len(),
        "index_patterns": [pattern],
        "template": {
            "settings": { "index": settings() },
            "mappings": { "dynamic": "strict", "properties": properties },
        },
        "_meta": { "owner": "paceline", "about": format!("documents of {of}; put at every start, so changes by hand are lost") },
    });
    client.expect_ok(client.put(&format!("_index_template/{template}"), &body).await?).map(drop)
}

/// Into the indices there are.
async fn put_mapping(client: &Client, pattern: &str, properties: Value) -> Result<()> {
    let reply = client.put(&format!("{pattern}/_mapping"), &json!({ "properties": properties })).await?;
    if !reply.is_index_missing() {
        client.expect_ok(reply)?;
    }
    Ok(())
}

/// The translog's durability stays `request`: what is answered is on the disk.
fn settings() -> Value {
    json!({
        "number_of_shards": 1,
        "auto_expand_replicas": "0-1",
        // Reads that must see everything refresh by themselves; dashboards bear a few seconds.
        "refresh_interval": "5s",
        // A deleted document is forgotten at once: repair stores the job again from its first attempt, which a remembered
        // version would refuse as older.
        "gc_deletes": "-1",
    })
}

/// A field that is only sorted, counted or shown is not indexed for search (`index: false`); a field that is only searched for
/// keeps no column (`doc_values: false`). The payload is not among these fields: see [`payloads`].
fn properties() -> Value {
    let keyword = json!({ "type": "keyword" });
    let column = |kind: &str| json!({ "type": kind, "index": false });
    let moment = json!({ "type": "date", "format": "epoch_millis" });
    let moment_column = json!({ "type": "date", "format": "epoch_millis", "index": false });
    json!({
        "jobId": column("keyword"),
        "runId": keyword,
        "queue": keyword,
        "group": keyword,
        "seq": { "type": "long" },
        "status": keyword,
        "attempts": column("integer"),
        "scheduledAt": moment_column,
        "enqueuedAt": moment_column,
        "startedAt": moment_column,
        "completedAt": moment,
        "waitMs": column("long"),
        "runMs": column("long"),
        "workerId": keyword,
        "traceId": { "type": "keyword", "doc_values": false },
        "error": { "type": "keyword", "ignore_above": SEARCHABLE_CHARS_MAX },
    })
}

/// A field that jobs have too is indexed as theirs: a namespace may be named so that its index of runs is among another's of jobs.
fn runs_properties() -> Value {
    let keyword = json!({ "type": "keyword" });
    let column = |kind: &str| json!({ "type": kind, "index": false });
    let moment = json!({ "type": "date", "format": "epoch_millis" });
    // Kept, and given back; never searched for, so of any length.
    let text = json!({ "type": "keyword", "index": false, "doc_values": false });
    json!({
        "runId": keyword,
        "queue": keyword,
        "handler": keyword,
        "state": keyword,
        "revision": column("long"),
        "cursor": column("long"),
        "createdAt": moment,
        "endedAt": moment,
        "failure": { "type": "keyword", "ignore_above": SEARCHABLE_CHARS_MAX },
        "spec": text,
        "pacing": text,
    })
}
