//! Stores documents by bulk requests, and finds the one among many that spoils a request.

use std::sync::atomic::{AtomicUsize, Ordering};

use paceline_core::document::Document;
use paceline_core::error::codes;
use paceline_core::ports::documents::{Verdict, refusal};
use paceline_core::{Error, ErrorKind, Result};

use super::bulk::{self, BODY_BYTES_MAX};
use super::client::{Client, RETRY_AFTER};
use super::index::IndexNames;
use super::reply::{Cause, Reply};
use super::verdict::{BulkReply, FILTER_PATH, ItemStatus};

/// The time that Elasticsearch waits for a shard before it answers 503 for an item: less than Paceline's patience, so that one shard
/// that is away costs its own documents a retry and not the whole request.
pub const SHARD_TIMEOUT: &str = "5s";

/// Sends bulk requests of a size that the server takes.
pub struct Writer {
    /// Lowered when the server, or a proxy before it, takes less.
    bytes_max: AtomicUsize,
}

/// The outcome of one request.
enum BulkOutcome {
    Items(Vec<Verdict>),
    /// None was stored, and the request as a whole may be sent again.
    NotNow(String),
    /// The request is too large for the server.
    TooLarge(String),
    /// Some document spoils the request and the server does not say which.
    Spoilt(String),
}

/// The next step for the documents of a request.
enum Step<'a> {
    Settled(Vec<Verdict>),
    SendAgain([&'a [usize]; 2]),
}

impl Default for Writer {
    fn default() -> Self {
        Self { bytes_max: AtomicUsize::new(BODY_BYTES_MAX) }
    }
}

impl Writer {
    pub async fn upsert(&self, client: &Client, names: &IndexNames, documents: &[Document]) -> Result<Vec<Verdict>> {
        let refused = |document| refusal(document).map(|reason| Verdict::Reject { reason });
        let mut verdicts: Vec<Option<Verdict>> = documents.iter().map(refused).collect();
        let sendable: Vec<usize> = (0..documents.len()).filter(|position| verdicts[*position].is_none()).collect();

        let mut waiting = vec![&sendable[..]];
        while let Some(positions) = waiting.pop() {
            if positions.is_empty() {
                continue;
            }
            let body = bulk::encode(names, documents, positions, self.bytes_max.load(Ordering::Relaxed))?;
            let body_bytes = body.lines.len();
            let (now, later) = positions.split_at(body.taken);
            waiting.push(later);
            match self.next_step(now, body_bytes, post(client, body).await?) {
                Step::SendAgain(parts) => waiting.extend(parts),
                Step::Settled(settled) => {
                    for (position, verdict) in now.iter().zip(settled) {
                        verdicts[*position] = Some(verdict);
                    }
                }
            }
        }
        let unanswered = || Error::internal("a document was left without a verdict");
        verdicts.into_iter().map(|verdict| verdict.ok_or_else(unanswered)).collect()
    }

    fn next_step<'a>(&self, sent: &'a [usize], body_bytes: usize, outcome: BulkOutcome) -> Step<'a> {
        match outcome {
            BulkOutcome::Items(verdicts) => Step::Settled(verdicts),
            BulkOutcome::NotNow(reason) => {
                Step::Settled(vec![Verdict::Retry { after: RETRY_AFTER, reason }; sent.len()])
            }
            BulkOutcome::TooLarge(reason) | BulkOutcome::Spoilt(reason) if sent.len() == 1 => {
                Step::Settled(vec![Verdict::Reject { reason }])
            }
            BulkOutcome::TooLarge(_) => {
                self.bytes_max.fetch_min(body_bytes / 2, Ordering::Relaxed);
                Step::SendAgain([sent, &[]])
            }
            BulkOutcome::Spoilt(_) => {
                let (first, second) = sent.split_at(sent.len() / 2);
                // The last one is sent next.
                Step::SendAgain([second, first])
            }
        }
    }
}

async fn post(client: &Client, body: bulk::Body) -> Result<BulkOutcome> {
    let path = format!("{}/_bulk?timeout={SHARD_TIMEOUT}&filter_path={FILTER_PATH}", body.index);
    let reply = client.post_lines(&path, body.lines).await?;
    match reply.status {
        200..300 => Ok(BulkOutcome::Items(read_items(client, &reply, body.taken)?)),
        413 => Ok(BulkOutcome::TooLarge(format!(
            "elasticsearch refuses the document as too large (413): {}",
            reply.cause()
        ))),
        429 => Ok(BulkOutcome::NotNow(format!("elasticsearch answers 429: {}", reply.cause()))),
        400 if spoilt(&reply.cause()) => Ok(BulkOutcome::Spoilt(reply.cause().to_string())),
        // Whatever stands there, it is not the documents' fault: they stay where they are until somebody has put it right.
        _ => Err(Error { kind: ErrorKind::Unavailable, ..client.refused(&reply) }),
    }
}

/// A 400 that a document caused, and not, say, plain HTTP spoken to a port of TLS: that one must not kill jobs.
fn spoilt(cause: &Cause) -> bool {
    const BY_A_DOCUMENT: [&str; 5] = [
        "action_request_validation_exception",
        "illegal_argument_exception",
        "parse_exception",
        "parsing_exception",
        "x_content_parse_exception",
    ];
    BY_A_DOCUMENT.contains(&cause.kind.as_str())
}

fn read_items(client: &Client, reply: &Reply, sent: usize) -> Result<Vec<Verdict>> {
    let BulkReply { items } = serde_json::from_slice(&reply.body).map_err(|e| client.unreadable(&e))?;
    if items.len() != sent {
        let (address, answered) = (client.address(), items.len());
        return Err(Error::unavailable(format!("elasticsearch at {address} answered {answered} of {sent} documents"))
            .coded(codes::SINK_INCOMPLETE));
    }
    Ok(items.into_iter().map(|item| item.into_status().into_verdict()).collect())
}

/// Removes a document; whether it was there.
pub async fn delete(client: &Client, index: &str, job_id: &str) -> Result<bool> {
    // By `_bulk`, because a job id may hold what a path cannot.
    let line = format!("{}\n", serde_json::json!({ "delete": { "_id": job_id } }));
    let path = format!("{index}/_bulk?timeout={SHARD_TIMEOUT}&filter_path={FILTER_PATH}");
    let reply: BulkReply = client.read(client.post_lines(&path, line.into()).await?)?;
    let item = reply.items.into_iter().next().map(|item| item.into_status());
    match item {
        Some(ItemStatus { status: 200, .. }) => Ok(true),
        Some(ItemStatus { status: 404, .. }) => Ok(false),
        other => {
            let why = other.and_then(|item| item.error).unwrap_or_default();
            let address = client.address();
            Err(Error::unavailable(format!("elasticsearch at {address} did not delete {job_id}: {why}"))
                .coded(codes::SINK_INCOMPLETE)
                .with_retry_after(RETRY_AFTER))
        }
    }
}
