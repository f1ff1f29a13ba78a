//! Stands before Elasticsearch and speaks HTTP: lets everything through, or answers 429 or 503 in its place, or takes some
//! documents out of each bulk request and answers for them as an overloaded shard would. What it refuses, Elasticsearch
//! never sees.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::SendRequest;
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, watch};
use tokio::task::JoinSet;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    Willing,
    /// Every request is answered with this status.
    Refusing(u16),
    /// Of each bulk request this share of the documents, in percent, is answered with this status.
    RefusingSome {
        percent: u8,
        status: u16,
    },
}

pub struct Refusals {
    pub address: SocketAddr,
    mood: watch::Sender<Mood>,
    refused: Arc<AtomicU64>,
    _tasks: JoinSet<()>,
}

impl Refusals {
    pub async fn before(upstream: SocketAddr, seed: u64) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (mood, refused) = (watch::Sender::new(Mood::Willing), Arc::new(AtomicU64::new(0)));
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, upstream, mood.clone(), refused.clone(), fastrand::Rng::with_seed(seed)));
        Ok(Self { address, mood, refused, _tasks: tasks })
    }

    pub fn set(&self, mood: Mood) {
        self.mood.send_replace(mood);
    }

    /// Requests and documents that were refused so far.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }
}

/// One connection of a role, and the connection to Elasticsearch that serves it.
struct Visit {
    upstream: SocketAddr,
    mood: watch::Sender<Mood>,
    refused: Arc<AtomicU64>,
    upstream_connection: Mutex<Upstream>,
    rng: std::sync::Mutex<fastrand::Rng>,
}

/// Made when the first request needs it, and anew when Elasticsearch has closed it.
#[derive(Default)]
struct Upstream {
    sender: Option<SendRequest<Full<Bytes>>>,
    carrying: JoinSet<()>,
}

async fn accept(
    listener: TcpListener,
    upstream: SocketAddr,
    mood: watch::Sender<Mood>,
    refused: Arc<AtomicU64>,
    mut rng: fastrand::Rng,
) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                _ = stream.set_nodelay(true);
                let (mood, refused, rng) = (mood.clone(), refused.clone(), std::sync::Mutex::new(rng.fork()));
                let visit = Visit { upstream, mood, refused, upstream_connection: Mutex::default(), rng };
                let visit = Arc::new(visit);
                connections.spawn(async move {
                    let service = hyper::service::service_fn(move |request| serve(visit.clone(), request));
                    // An error ends the connection, which is all that it can do.
                    _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
                });
            }
            Some(_) = connections.join_next() => (),
        }
    }
}

/// An error closes the role's connection without an answer, as Elasticsearch does when it dies.
async fn serve(visit: Arc<Visit>, request: Request<hyper::body::Incoming>) -> anyhow::Result<Response<Full<Bytes>>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let mood = *visit.mood.borrow();
    match mood {
        Mood::Refusing(status) => {
            visit.refused.fetch_add(1, Ordering::Relaxed);
            answer(status, &json!({ "status": status, "error": cause(status) }))
        }
        Mood::RefusingSome { percent, status } if head.uri.path().ends_with("_bulk") => {
            let chosen = choose(&body, percent, &mut visit.rng.lock().expect("nobody panics with it"))?;
            visit.refused.fetch_add(chosen.refused as u64, Ordering::Relaxed);
            if chosen.body.is_empty() {
                return answer(200, &merge(&json!({ "items": [] }), &chosen.is_refused, status)?);
            }
            let reply = visit.forward(Request::from_parts(head, chosen.body.into())).await?;
            if reply.status() != StatusCode::OK {
                return Ok(reply);
            }
            let stored: Value = serde_json::from_slice(&reply.into_body().collect().await?.to_bytes())?;
            answer(200, &merge(&stored, &chosen.is_refused, status)?)
        }
        Mood::Willing | Mood::RefusingSome { .. } => visit.forward(Request::from_parts(head, body)).await,
    }
}

impl Visit {
    async fn forward(&self, request: Request<Bytes>) -> anyhow::Result<Response<Full<Bytes>>> {
        let (mut head, body) = request.into_parts();
        head.headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
        let mut upstream = self.upstream_connection.lock().await;
        if upstream.sender.as_ref().is_none_or(SendRequest::is_closed) {
            let stream = TcpStream::connect(self.upstream).await?;
            stream.set_nodelay(true)?;
            let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
            upstream.carrying.spawn(async move { drop(connection.await) });
            upstream.sender = Some(sender);
        }
        let sender = upstream.sender.as_mut().context("it was made above")?;
        sender.ready().await?;
        let (mut head, body) = sender.send_request(Request::from_parts(head, Full::new(body))).await?.into_parts();
        let body = body.collect().await?.to_bytes();
        head.headers.remove(hyper::header::TRANSFER_ENCODING);
        head.headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
        Ok(Response::from_parts(head, Full::new(body)))
    }
}

struct Chosen {
    /// The part of the request that goes on to Elasticsearch.
    body: Vec<u8>,
    is_refused: Vec<bool>,
    refused: usize,
}

/// Splits a bulk request into what is refused and what goes on.
fn choose(body: &[u8], percent: u8, rng: &mut fastrand::Rng) -> anyhow::Result<Chosen> {
    let mut chosen = Chosen { body: Vec::with_capacity(body.len()), is_refused: Vec::new(), refused: 0 };
    let mut lines = body.split_inclusive(|byte| *byte == b'\n');
    while let Some(action) = lines.next() {
        let has_document = !action.starts_with(b"{\"delete\"");
        let document = if has_document { lines.next().context("an action has no document")? } else { &[] };
        let is_refused = rng.u8(0..100) < percent;
        chosen.is_refused.push(is_refused);
        if is_refused {
            chosen.refused += 1;
        } else {
            chosen.body.extend_from_slice(action);
            chosen.body.extend_from_slice(document);
        }
    }
    Ok(chosen)
}

/// Elasticsearch's items with the refused ones in their places.
fn merge(stored: &Value, is_refused: &[bool], status: u16) -> anyhow::Result<Value> {
    let mut stored = stored["items"].as_array().context("a bulk reply has items")?.iter().cloned();
    let mut item = |is_refused: &bool| match is_refused {
        true => Some(json!({ "index": { "status": status, "error": cause(status) } })),
        false => stored.next(),
    };
    let items = is_refused.iter().map(&mut item).collect::<Option<Vec<_>>>();
    let items = items.context("elasticsearch answered for too few documents")?;
    ensure!(stored.next().is_none(), "elasticsearch answered for too many documents");
    Ok(json!({ "items": items }))
}

fn cause(status: u16) -> Value {
    match status {
        429 => {
            json!({ "type": "es_rejected_execution_exception", "reason": "rejected by the gauntlet: queue is full" })
        }
        _ => json!({ "type": "unavailable_shards_exception", "reason": "refused by the gauntlet: shard is away" }),
    }
}

fn answer(status: u16, body: &Value) -> anyhow::Result<Response<Full<Bytes>>> {
    let response = Response::builder()
        .status(status)
        .header(CONTENT_TYPE, "application/json")
        .header("X-Elastic-Product", "Elasticsearch")
        .body(Full::new(Bytes::from(body.to_string())));
    Ok(response?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(count: usize) -> Vec<u8> {
        let line = |i: usize| format!("{{\"index\":{{\"_id\":\"{i}\"}}}}\n{{\"seq\":{i}}}\n");
        (0..count).map(line).collect::<String>().into_bytes()
    }

    #[test]
    fn what_is_refused_is_not_sent_and_the_answers_keep_their_places() {
        let chosen = choose(&bulk(1000), 20, &mut fastrand::Rng::with_seed(1)).unwrap();
        assert!((120..280).contains(&chosen.refused), "{}", chosen.refused);
        let sent = String::from_utf8(chosen.body).unwrap();
        let ids: Vec<usize> = sent
            .lines()
            .filter_map(|line| line.strip_prefix("{\"index\":{\"_id\":\"")?.split('"').next()?.parse().ok())
            .collect();
        assert_eq!(ids.len(), 1000 - chosen.refused);
        let stored: Vec<Value> = ids.iter().map(|id| json!({ "index": { "status": 201, "id": id } })).collect();
        let merged = merge(&json!({ "items": stored }), &chosen.is_refused, 429).unwrap();
        for (position, item) in merged["items"].as_array().unwrap().iter().enumerate() {
            match chosen.is_refused[position] {
                true => assert_eq!(item["index"]["status"], 429),
                false => assert_eq!(item["index"]["id"], position),
            }
        }
    }

    #[test]
    fn an_answer_for_another_number_of_documents_is_an_error() {
        assert!(merge(&json!({ "items": [] }), &[false], 429).is_err());
        assert!(merge(&json!({ "items": [1, 2] }), &[false], 429).is_err());
    }
}
