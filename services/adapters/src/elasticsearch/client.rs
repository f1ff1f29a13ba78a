//! Carries requests to Elasticsearch over the official client, and says in words what went wrong on the way.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use elasticsearch::cert::{Certificate, CertificateValidation};
use elasticsearch::http::Method;
use elasticsearch::http::headers::{ACCEPT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue};
use elasticsearch::http::transport::{SingleNodeConnectionPool, TransportBuilder};
use paceline_core::{Error, Result};
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use super::config::{ElasticConfig, address};
use super::nodes::{Node, Nodes};

/// The longest a request may take, from connecting to the last byte. Longer than the server's own wait for a shard.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// The same of a probe, and of a probe to one node of several.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);
const PROBE_ONE_TIMEOUT: Duration = Duration::from_millis(1_500);
/// How soon a call that found Elasticsearch away is worth repeating.
pub const RETRY_AFTER: Duration = Duration::from_secs(1);
/// The longest reason that is passed on; Elasticsearch quotes whole documents in some.
const REASON_CHARS_MAX: usize = 600;

/// A pool of kept-alive connections to each node.
#[derive(Clone)]
pub struct Client {
    nodes: Arc<Nodes>,
    timeout: Duration,
    /// A node that does not answer in time is no reason to give up while there is another.
    tries_all: bool,
}

/// A complete answer, whatever its status.
pub struct Reply {
    pub status: u16,
    pub body: Bytes,
    /// Of the node that gave it.
    pub address: String,
}

/// Why Elasticsearch refused: its own type and words.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Cause {
    #[serde(rename = "type", default)]
    pub kind: String,
    #[serde(default)]
    pub reason: Option<String>,
    #[serde(default)]
    pub caused_by: Option<Box<Cause>>,
}

// === impl Client ===

impl Client {
    /// Builds the pool; nothing is sent yet.
    pub fn new(config: &ElasticConfig, timeout: Duration) -> Result<Self> {
        let node = |url: Url| {
            let address = address(&url);
            // Credentials stay in the pool's URL: the client turns them into a header and leaves them out of its errors.
            let mut builder = TransportBuilder::new(SingleNodeConnectionPool::new(url))
                .disable_proxy()
                // Answers are small; unpacking them would cost more than carrying them.
                .header(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
            if let Some(file) = &config.ca_file {
                builder = builder.cert_validation(CertificateValidation::Full(authorities(file)?));
            }
            let transport = builder.build().map_err(|e| {
                Error::failed_precondition(format!("cannot build the client of elasticsearch at {address}: {e}"))
            })?;
            Ok(Node::new(transport, address))
        };
        let nodes = config.check()?.into_iter().map(node).collect::<Result<_>>()?;
        Ok(Self { nodes: Arc::new(Nodes::new(nodes)), timeout, tries_all: false })
    }

    /// Every node's; a [`Reply`] has that of the one that gave it.
    pub fn address(&self) -> String {
        self.nodes.addresses()
    }

    /// One client a node, which asks no other.
    pub fn each_node(&self) -> Vec<(String, Self)> {
        let alone = |node: &Node| {
            let nodes = Nodes::new(vec![Node::new(node.transport.clone(), node.address.clone())]);
            (node.address.clone(), Self { nodes: Arc::new(nodes), ..self.clone() })
        };
        self.nodes.iter().map(alone).collect()
    }

    pub fn with_timeout(&self, timeout: Duration) -> Self {
        Self { timeout, ..self.clone() }
    }

    /// For a question that is soon answered or not at all. Of several nodes, a silent one must leave time for the others.
    pub fn probing(&self) -> Self {
        let timeout = if self.nodes.len() > 1 { PROBE_ONE_TIMEOUT } else { PROBE_TIMEOUT };
        Self { timeout, tries_all: true, ..self.clone() }
    }

    pub async fn get(&self, path: &str) -> Result<Reply> {
        self.send(Method::Get, path, Bytes::new(), "application/json").await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Result<Reply> {
        self.send(Method::Post, path, body.to_string().into(), "application/json").await
    }

    pub async fn put(&self, path: &str, body: &Value) -> Result<Reply> {
        self.send(Method::Put, path, body.to_string().into(), "application/json").await
    }

    pub async fn delete(&self, path: &str) -> Result<Reply> {
        self.send(Method::Delete, path, Bytes::new(), "application/json").await
    }

    /// Lines of JSON, as `_bulk` takes them.
    pub async fn post_lines(&self, path: &str, lines: Bytes) -> Result<Reply> {
        self.send(Method::Post, path, lines, "application/x-ndjson").await
    }

    /// By the next node. One that cannot be reached is no reason to wait: the next is tried at once. One that has taken the request and
    /// says nothing has had all the time there is; whoever repeats the call comes to another.
    async fn send(&self, method: Method, path: &str, body: Bytes, content_type: &'static str) -> Result<Reply> {
        let mut nodes_left = self.nodes.len();
        loop {
            let node = self.nodes.next();
            let error = match self.send_to(node, method, path, body.clone(), content_type).await {
                Ok(reply) => return Ok(reply),
                Err(error) => error,
            };
            nodes_left -= 1;
            if nodes_left == 0 || (error.is_timeout() && !self.tries_all) {
                return Err(self.unreachable(node, &error));
            }
        }
    }

    async fn send_to(
        &self,
        node: &Node,
        method: Method,
        path: &str,
        body: Bytes,
        content_type: &'static str,
    ) -> std::result::Result<Reply, elasticsearch::Error> {
        let mut headers = HeaderMap::with_capacity(1);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        let body = (!body.is_empty()).then_some(body);
        let answered = async {
            let response = node.transport.send(method, path, headers, None::<&()>, body, Some(self.timeout)).await?;
            let status = response.status_code().as_u16();
            Ok(Reply { status, body: response.bytes().await?, address: node.address.clone() })
        };
        let reply = answered.await;
        match &reply {
            // It answers, but has lost the others.
            Err(_) | Ok(Reply { status: 502..=504, .. }) => node.leave_out(),
            Ok(_) => node.has_answered(),
        }
        reply
    }

    /// The body of a good answer; an error for any other.
    pub fn expect_ok(&self, reply: Reply) -> Result<Bytes> {
        if reply.is_ok() { Ok(reply.body) } else { Err(self.refused(&reply)) }
    }

    /// An answer that says no, by who can do something about it.
    pub fn refused(&self, reply: &Reply) -> Error {
        let (status, address, cause) = (reply.status, &reply.address, reply.cause());
        let unavailable = |words: String| Error::unavailable(words).with_retry_after(RETRY_AFTER);
        match status {
            401 | 403 => unavailable(format!(
                "elasticsearch at {address} refuses the credentials ({status}): {cause}; check user, password and privileges of the sink url"
            )),
            408 | 429 | 500.. => unavailable(format!(
                "elasticsearch at {address} cannot answer now ({status}): {cause}; see its health with `paceline doctor`"
            )),
            // The request is ours, so this is our bug, or the address is not one of Elasticsearch.
            _ => Error::internal(format!(
                "elasticsearch at {address} refuses a request ({status}): {cause}; check that the sink url is that of elasticsearch 8 or 9"
            )),
        }
    }

    /// An answer that we cannot read: another product, or a version that we do not know.
    pub fn unreadable(&self, error: &serde_json::Error) -> Error {
        let address = self.address();
        Error::internal(format!(
            "the answer of elasticsearch at {address} cannot be read: {error}; check that the sink url is that of elasticsearch 8 or 9"
        ))
    }

    fn unreachable(&self, node: &Node, error: &elasticsearch::Error) -> Error {
        let (address, timeout_ms) = (&node.address, self.timeout.as_millis());
        let words = if error.is_timeout() {
            format!(
                "elasticsearch at {address} did not answer within {timeout_ms} ms; check its load and the network between"
            )
        } else {
            let cause = root_cause(error);
            format!(
                "elasticsearch at {address} is out of reach: {cause}; check that it runs and that the sink url is right"
            )
        };
        Error::unavailable(words).with_retry_after(RETRY_AFTER)
    }
}

fn authorities(file: &Path) -> Result<Certificate> {
    let failed = |e: String| Error::failed_precondition(format!("cannot read the CA file {}: {e}", file.display()));
    let pem = std::fs::read(file).map_err(|e| failed(e.to_string()))?;
    Certificate::from_pem(&pem).map_err(|e| failed(e.to_string()))
}

/// The innermost error, which says what the outer ones only wrap. It names no URL.
fn root_cause(error: &elasticsearch::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

// === impl Reply ===

impl Reply {
    pub fn is_ok(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// What is asked about lives in an index that nothing was written to yet.
    pub fn is_index_missing(&self) -> bool {
        self.status == 404 && self.cause().is_index_missing()
    }

    /// A newer version is stored already.
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
