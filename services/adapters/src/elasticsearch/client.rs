//! Carries requests to Elasticsearch over the official client, and says in words what went wrong on the way.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use elasticsearch::cert::{Certificate, CertificateValidation};
use elasticsearch::http::Method;
use elasticsearch::http::headers::{ACCEPT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue};
use elasticsearch::http::transport::{SingleNodeConnectionPool, Transport, TransportBuilder};
use paceline_core::error::codes;
use paceline_core::{Error, Result};
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::Url;

use super::config::{ElasticConfig, address};
use super::reply::Reply;
use crate::rotation::{Member, Rotation};

/// The longest a request may take, from connecting to the last byte. Longer than the server's own wait for a shard.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest that a probe may take, and a probe to one node of several.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);
const PROBE_ONE_TIMEOUT: Duration = Duration::from_millis(1_500);
/// The pause after which a call that found Elasticsearch away is worth repeating.
pub const RETRY_AFTER: Duration = Duration::from_secs(1);

/// A pool of kept-alive connections to each node.
#[derive(Clone)]
pub struct Client {
    nodes: Arc<Rotation<Transport>>,
    timeout: Duration,
    /// While there is another node, one that does not answer in time is no reason to give up.
    tries_all: bool,
}

// === impl Client ===

impl Client {
    /// Builds the pool; nothing is sent yet.
    pub fn new(config: &ElasticConfig, timeout: Duration) -> Result<Self> {
        let node = |url: Url| Ok((address(&url), transport(url, config.ca_file.as_deref())?));
        let nodes = config.check()?.into_iter().map(node).collect::<Result<Vec<_>>>()?;
        Ok(Self { nodes: Arc::new(Rotation::new(nodes)), timeout, tries_all: false })
    }

    /// Every node's address; a [`Reply`] has that of the node that gave it.
    pub fn address(&self) -> String {
        self.nodes.to_string()
    }

    /// One client a node, which asks no other.
    pub fn each_node(&self) -> Vec<(String, Self)> {
        let alone = |member: &Member<Transport>| {
            let nodes = Rotation::new([(member.address.clone(), member.node.clone())]);
            (member.address.clone(), Self { nodes: Arc::new(nodes), ..self.clone() })
        };
        self.nodes.iter().map(alone).collect()
    }

    pub fn with_timeout(&self, timeout: Duration) -> Self {
        Self { timeout, ..self.clone() }
    }

    /// This client for questions that are answered soon or not at all. If there are several nodes, a silent one must leave time for the others.
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

    /// Sends by the next node. A node that cannot be reached is no reason to wait: the next is tried at once. A node that has taken
    /// the request and says nothing has had all the time there is; a call that is repeated comes to another node.
    async fn send(&self, method: Method, path: &str, body: Bytes, content_type: &'static str) -> Result<Reply> {
        let mut nodes_left = self.nodes.len();
        loop {
            let member = self.nodes.next();
            let error = match self.send_to(member, method, path, body.clone(), content_type).await {
                Ok(reply) => return Ok(reply),
                Err(error) => error,
            };
            nodes_left -= 1;
            if nodes_left == 0 || (error.is_timeout() && !self.tries_all) {
                return Err(self.unreachable(&member.address, &error));
            }
        }
    }

    async fn send_to(
        &self,
        member: &Member<Transport>,
        method: Method,
        path: &str,
        body: Bytes,
        content_type: &'static str,
    ) -> std::result::Result<Reply, elasticsearch::Error> {
        let mut headers = HeaderMap::with_capacity(1);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        let body = (!body.is_empty()).then_some(body);
        let answered = async {
            let response = member.node.send(method, path, headers, None::<&()>, body, Some(self.timeout)).await?;
            let status = response.status_code().as_u16();
            Ok(Reply { status, body: response.bytes().await?, address: member.address.clone() })
        };
        let reply = answered.await;
        match &reply {
            // A node that answers so has lost the others.
            Err(_) | Ok(Reply { status: 502..=504, .. }) => member.leave_out(),
            Ok(_) => member.has_answered(),
        }
        reply
    }

    /// The answer to a question, read; an error for any answer but a good one.
    pub async fn ask<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        self.read(self.get(path).await?)
    }

    /// A good answer, read; an error for any other.
    pub fn read<T: DeserializeOwned>(&self, reply: Reply) -> Result<T> {
        serde_json::from_slice(&self.expect_ok(reply)?).map_err(|e| self.unreadable(&e))
    }

    /// The body of a good answer; an error for any other.
    pub fn expect_ok(&self, reply: Reply) -> Result<Bytes> {
        if reply.is_ok() { Ok(reply.body) } else { Err(self.refused(&reply)) }
    }

    /// Words for a refusal, by who can do something about it.
    pub fn refused(&self, reply: &Reply) -> Error {
        let (status, address, cause) = (reply.status, &reply.address, reply.cause());
        let unavailable = |code, words: String| Error::unavailable(words).coded(code).with_retry_after(RETRY_AFTER);
        match status {
            401 | 403 => unavailable(codes::SINK_CREDENTIALS_REFUSED, format!(
                "elasticsearch at {address} refuses the credentials ({status}): {cause}; check user, password and privileges of the sink url"
            )),
            408 | 429 | 500.. => unavailable(codes::SINK_OVERLOADED, format!(
                "elasticsearch at {address} cannot answer now ({status}): {cause}; see its health with `paceline doctor`"
            )),
            // Paceline made the request, so this is its bug, or the address is not one of Elasticsearch.
            _ => Error::internal(format!(
                "elasticsearch at {address} refuses a request ({status}): {cause}; check that the sink url is that of elasticsearch 8 or 9"
            ))
            .coded(codes::SINK_REFUSES_REQUEST),
        }
    }

    /// Words for an answer that cannot be read: of another product, or of a version that Paceline does not know.
    pub fn unreadable(&self, error: &serde_json::Error) -> Error {
        let address = self.address();
        Error::internal(format!(
            "the answer of elasticsearch at {address} cannot be read: {error}; check that the sink url is that of elasticsearch 8 or 9"
        ))
        .coded(codes::SINK_ANSWER_UNREADABLE)
    }

    fn unreachable(&self, address: &str, error: &elasticsearch::Error) -> Error {
        let timeout_ms = self.timeout.as_millis();
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
        Error::unavailable(words).coded(codes::SINK_UNREACHABLE).with_retry_after(RETRY_AFTER)
    }
}

fn transport(url: Url, ca_file: Option<&Path>) -> Result<Transport> {
    let address = address(&url);
    // Credentials stay in the pool's URL: the client turns them into a header and leaves them out of its errors.
    let mut builder = TransportBuilder::new(SingleNodeConnectionPool::new(url))
        .disable_proxy()
        // Answers are small; unpacking them would cost more than carrying them.
        .header(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    if let Some(file) = ca_file {
        builder = builder.cert_validation(CertificateValidation::Full(authorities(file)?));
    }
    builder.build().map_err(|e| {
        Error::failed_precondition(format!("cannot build the client of elasticsearch at {address}: {e}"))
            .coded(codes::SINK_CLIENT_NOT_BUILT)
    })
}

fn authorities(file: &Path) -> Result<Certificate> {
    let failed = |e: String| {
        Error::failed_precondition(format!("cannot read the CA file {}: {e}", file.display()))
            .coded(codes::SINK_CLIENT_NOT_BUILT)
    };
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
