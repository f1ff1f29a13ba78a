//! The kept runs, in an index of their own. A ledger that was lost is rebuilt
//! from it.
//!
//! A document has the whole spec as text, for Paceline, and the fields that people look for.

use async_trait::async_trait;
use paceline_core::error::codes;
use paceline_core::ids::RunId;
use paceline_core::ports::KeptRuns;
use paceline_core::run::{KeptRun, RunState};
use paceline_core::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::client::Client;
use super::read::{refresh, search, source};
use super::sink::ElasticSink;
use super::template;
use super::write::SHARD_TIMEOUT;

/// The most runs that a call answers; the port says so.
const RUNS_MAX: usize = 1_000;
/// The most runs in one answer of Elasticsearch: 32 MB if all have the largest payload and half of it must be escaped.
const PAGE_RUNS_MAX: usize = 64;

#[async_trait]
impl KeptRuns for ElasticSink {
    async fn keep(&self, run: &KeptRun) -> Result<()> {
        self.runs_prepared.get_or_try_init(|| template::prepare_runs(&self.client, &self.names)).await?;
        keep(&self.client, &self.names.runs_index(), run).await
    }

    async fn find(&self, run: &RunId) -> Result<Option<KeptRun>> {
        one(&self.client, &self.names.runs_index(), run).await
    }

    async fn list(&self, after: Option<&RunId>, limit: usize) -> Result<Vec<KeptRun>> {
        kept(&self.client, &self.names.runs_index(), after, limit).await
    }
}

/// Low bits of a version, for the cursor: 4.4 million million jobs, 51 days at the fastest rate. The bits above it are for the
/// revision: 2 million, a change every minute for four years. A number beyond its bits counts as the highest: from then on what
/// comes last is kept.
const CURSOR_BITS: u32 = 42;
const CURSOR_MAX: u64 = (1 << CURSOR_BITS) - 1;
const REVISION_MAX: u64 = (1 << (63 - CURSOR_BITS)) - 1;

/// A run as it is stored. The names are those of the mapping.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stored {
    run_id: RunId,
    queue: String,
    handler: String,
    state: RunState,
    revision: u64,
    cursor: u64,
    created_at: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_at: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<String>,
    /// JSON as text.
    spec: String,
    /// JSON as text: its numbers are beyond what every reader of JSON keeps exact.
    pacing: String,
}

impl Stored {
    fn new(run: &KeptRun) -> serde_json::Result<Self> {
        let KeptRun { spec, state, revision, cursor, pacing, ended_at_ms, failure } = run;
        Ok(Self {
            run_id: spec.run_id.clone(),
            queue: spec.queue.clone(),
            handler: spec.handler.clone(),
            state: *state,
            revision: *revision,
            cursor: *cursor,
            created_at: spec.created_at_ms,
            ended_at: *ended_at_ms,
            failure: failure.clone(),
            spec: serde_json::to_string(spec)?,
            pacing: serde_json::to_string(pacing)?,
        })
    }

    fn into_kept(self) -> Result<KeptRun> {
        let unreadable = |e| {
            Error::internal(format!("what the sink keeps of run {} cannot be read: {e}", self.run_id))
                .coded(codes::STORED_DATA_UNREADABLE)
        };
        Ok(KeptRun {
            spec: serde_json::from_str(&self.spec).map_err(unreadable)?,
            state: self.state,
            revision: self.revision,
            cursor: self.cursor,
            pacing: serde_json::from_str(&self.pacing).map_err(unreadable)?,
            ended_at_ms: self.ended_at,
            failure: self.failure,
        })
    }
}

/// Orders by revision, then cursor.
fn version(run: &KeptRun) -> u64 {
    run.revision.min(REVISION_MAX) << CURSOR_BITS | run.cursor.min(CURSOR_MAX)
}

/// `external_gte`: the same version again is written again, a lower one conflicts, and that is well.
async fn keep(client: &Client, index: &str, run: &KeptRun) -> Result<()> {
    let id = &run.spec.run_id;
    let document = Stored::new(run).and_then(serde_json::to_value);
    let document = document.map_err(|e| {
        Error::internal(format!("run {id} cannot be encoded: {e}")).coded(codes::STORED_DATA_UNREADABLE)
    })?;
    let (version, kind) = (version(run), "external_gte");
    let path = format!("{index}/_doc/{id}?version={version}&version_type={kind}&timeout={SHARD_TIMEOUT}");
    let reply = client.put(&path, &document).await?;
    if reply.is_ok() || reply.is_version_conflict() {
        return Ok(());
    }
    // Whatever stands there, the run goes on and is offered again.
    Err(Error { kind: ErrorKind::Unavailable, ..client.refused(&reply) })
}

/// Reads by id, which sees a document before any refresh.
async fn one(client: &Client, index: &str, run: &RunId) -> Result<Option<KeptRun>> {
    let found: Option<Stored> = source(client, index, run.as_str()).await?;
    found.map(Stored::into_kept).transpose()
}

async fn kept(client: &Client, index: &str, after: Option<&RunId>, limit: usize) -> Result<Vec<KeptRun>> {
    if !refresh(client, index).await? {
        return Ok(Vec::new());
    }
    let limit = limit.clamp(1, RUNS_MAX);
    let mut runs: Vec<KeptRun> = Vec::new();
    while runs.len() < limit {
        let size = PAGE_RUNS_MAX.min(limit - runs.len());
        let last = runs.last().map(|run| run.spec.run_id.clone());
        let page = page(client, index, last.as_ref().or(after), size).await?;
        let is_last = page.len() < size;
        runs.extend(page);
        if is_last {
            break;
        }
    }
    Ok(runs)
}

async fn page(client: &Client, index: &str, after: Option<&RunId>, size: usize) -> Result<Vec<KeptRun>> {
    #[derive(Default, Deserialize)]
    struct Page {
        #[serde(default)]
        hits: Hits,
    }
    #[derive(Default, Deserialize)]
    struct Hits {
        #[serde(default)]
        hits: Vec<Hit>,
    }
    #[derive(Deserialize)]
    struct Hit {
        #[serde(rename = "_source")]
        source: Stored,
    }
    let mut query: Value = json!({ "size": size, "track_total_hits": false, "sort": [{ "runId": "asc" }] });
    if let Some(after) = after {
        query["search_after"] = json!([after.as_str()]);
    }
    let page: Option<Page> = search(client, index, "hits.hits._source", &query).await?;
    page.unwrap_or_default().hits.hits.into_iter().map(|hit| hit.source.into_kept()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use paceline_core::testkit::sink::kept_run;

    #[test]
    fn versions_order_as_revision_and_cursor_do_and_stay_within_their_bits() {
        let run = RunId::generate(0);
        let of = |revision, cursor| version(&kept_run(&run, revision, cursor));
        let ascending = [of(0, 0), of(0, 1), of(0, CURSOR_MAX), of(1, 0), of(1, 7), of(REVISION_MAX, CURSOR_MAX)];
        assert!(ascending.is_sorted_by(|a, b| a < b), "{ascending:?}");
        assert_eq!(of(3, u64::MAX), of(3, CURSOR_MAX));
        assert_eq!(of(u64::MAX, u64::MAX), i64::MAX as u64, "the highest version that Elasticsearch takes");
    }
}
