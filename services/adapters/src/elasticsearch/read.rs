//! The reading of documents: `count`, `ids` and `get`. An index that does not exist yet holds nothing; any other failure is an error, because
//! unknown is never zero.

use async_trait::async_trait;
use paceline_core::document::{Document, Status};
use paceline_core::error::codes;
use paceline_core::ids::RunId;
use paceline_core::ports::documents::{DocumentReader, StoredId};
use paceline_core::{Error, Result};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::client::{Client, RETRY_AFTER};
use super::reply::Cause;
use super::sink::ElasticSink;

/// The most ids in a page: the port's limit, and Elasticsearch's default window.
const IDS_PAGE_MAX: usize = 10_000;

#[async_trait]
impl DocumentReader for ElasticSink {
    async fn count(&self, run: &RunId, status: Status) -> Result<u64> {
        count(&self.client, &self.names.index(run), run, status).await
    }

    async fn ids(&self, run: &RunId, after: Option<&StoredId>, limit: usize) -> Result<Vec<StoredId>> {
        ids(&self.client, &self.names.index(run), run, after, limit).await
    }

    async fn get(&self, run: &RunId, job_id: &str) -> Result<Option<Document>> {
        get(&self.client, &self.names.index(run), run, job_id).await
    }
}

async fn count(client: &Client, index: &str, run: &RunId, status: Status) -> Result<u64> {
    #[derive(Deserialize)]
    struct Found {
        hits: Hits,
    }
    #[derive(Deserialize)]
    struct Hits {
        total: Total,
    }
    #[derive(Deserialize)]
    struct Total {
        value: u64,
    }
    if !refresh(client, index).await? {
        return Ok(0);
    }
    let filter = json!([{ "term": { "runId": run.as_str() } }, { "term": { "status": status.name() } }]);
    let query = json!({ "size": 0, "track_total_hits": true, "query": { "bool": { "filter": filter } } });
    let found: Option<Found> = search(client, index, "hits.total.value", &query).await?;
    Ok(found.map_or(0, |found| found.hits.total.value))
}

async fn ids(
    client: &Client,
    index: &str,
    run: &RunId,
    after: Option<&StoredId>,
    limit: usize,
) -> Result<Vec<StoredId>> {
    // Later pages go on from what the first one made visible.
    if after.is_none() && !refresh(client, index).await? {
        return Ok(Vec::new());
    }
    let mut query = json!({
        "size": limit.clamp(1, IDS_PAGE_MAX),
        "track_total_hits": false,
        "_source": false,
        "query": { "bool": { "filter": { "term": { "runId": run.as_str() } } } },
        "sort": [{ "seq": "asc" }, { "jobId": "asc" }],
        "docvalue_fields": ["status"],
    });
    if let Some(StoredId { seq, job_id, .. }) = after {
        query["search_after"] = json!([seq, job_id]);
    }
    let page: Option<Page> = search(client, index, "hits.hits.sort,hits.hits.fields.status", &query).await?;
    Ok(page.unwrap_or_default().hits.hits.into_iter().map(Hit::into_id).collect())
}

#[derive(Default, Deserialize)]
struct Page {
    #[serde(default)]
    hits: PageHits,
}

#[derive(Default, Deserialize)]
struct PageHits {
    #[serde(default)]
    hits: Vec<Hit>,
}

/// The sort values are the id's own fields.
#[derive(Deserialize)]
struct Hit {
    sort: (u64, String),
    fields: HitFields,
}

#[derive(Deserialize)]
struct HitFields {
    status: (Status,),
}

impl Hit {
    fn into_id(self) -> StoredId {
        let (seq, job_id) = self.sort;
        StoredId { job_id, seq, status: self.fields.status.0 }
    }
}

/// Reads by id, which sees a document before any refresh.
async fn get(client: &Client, index: &str, run: &RunId, job_id: &str) -> Result<Option<Document>> {
    // Runs of one day share an index, so a foreign job id may be another run's.
    let found: Option<Document> = source(client, index, job_id).await?;
    Ok(found.filter(|document| document.run_id == *run))
}

/// The document that is stored under an id; `None` if the index or the id is not there.
pub async fn source<T: DeserializeOwned>(client: &Client, index: &str, id: &str) -> Result<Option<T>> {
    #[derive(Deserialize)]
    struct Found<T> {
        docs: Vec<One<T>>,
    }
    #[derive(Deserialize)]
    struct One<T> {
        #[serde(rename = "_source")]
        source: Option<T>,
        error: Option<Cause>,
    }
    // By `_mget`, because a job id may hold what a path cannot.
    let path = format!("{index}/_mget?filter_path=docs._source,docs.found,docs.error");
    let found: Found<T> = client.read(client.post(&path, &json!({ "ids": [id] })).await?)?;
    match found.docs.into_iter().next() {
        Some(One { error: Some(cause), .. }) if !cause.is_index_missing() => {
            let address = client.address();
            Err(Error::unavailable(format!("elasticsearch at {address} cannot read {id}: {cause}"))
                .coded(codes::SINK_INCOMPLETE)
                .with_retry_after(RETRY_AFTER))
        }
        Some(One { source, .. }) => Ok(source),
        None => Ok(None),
    }
}

/// Makes everything stored so far visible to searches; false if there is no index yet.
pub async fn refresh(client: &Client, index: &str) -> Result<bool> {
    #[derive(Deserialize)]
    struct Refreshed {
        #[serde(rename = "_shards")]
        shards: Shards,
    }
    #[derive(Deserialize)]
    struct Shards {
        failed: u64,
    }
    let reply = client.get(&format!("{index}/_refresh")).await?;
    if reply.is_index_missing() {
        return Ok(false);
    }
    let refreshed: Refreshed = client.read(reply)?;
    if refreshed.shards.failed > 0 {
        let address = client.address();
        let words = format!(
            "elasticsearch at {address} cannot refresh {index}: a shard failed; see its health with `paceline doctor`"
        );
        return Err(Error::unavailable(words).coded(codes::SINK_INCOMPLETE).with_retry_after(RETRY_AFTER));
    }
    Ok(true)
}

/// None if there is no such index. A shard that is away makes it an error instead of a smaller answer.
pub async fn search<T: DeserializeOwned>(
    client: &Client,
    index: &str,
    wanted: &str,
    query: &Value,
) -> Result<Option<T>> {
    let path = format!("{index}/_search?allow_partial_search_results=false&filter_path={wanted}");
    let reply = client.post(&path, query).await?;
    if reply.is_index_missing() {
        return Ok(None);
    }
    client.read(reply).map(Some)
}
