//! The handle of a sink in Elasticsearch, and the writing of documents. [`read`](super::read) and [`runs`](super::runs) implement the other
//! ports for this handle.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use paceline_core::Result;
use paceline_core::clock::SharedClock;
use paceline_core::document::Document;
use paceline_core::ids::RunId;
use paceline_core::ports::documents::{DocumentReader as _, DocumentWriter, Verdict};
use paceline_core::ports::sink::Payloads;
use tokio::sync::OnceCell;

use super::client::{Client, REQUEST_TIMEOUT};
use super::config::ElasticConfig;
use super::index::IndexNames;
use super::write::Writer;
use super::{check, remove, template, write};

/// Documents in the indices of a namespace. A cheap handle; clones share the connections.
#[derive(Clone)]
pub struct ElasticSink {
    pub(super) client: Client,
    pub(super) names: IndexNames,
    pub(super) payloads: Payloads,
    pub(super) writer: Arc<Writer>,
    /// Set once the index of runs has its template: who keeps runs may start before whoever prepares the sink.
    pub(super) runs_prepared: Arc<OnceCell<()>>,
    pub(super) clock: SharedClock,
}

impl ElasticSink {
    /// Checks the config and builds the client. The server is reached by the first call, so that a role can start before it.
    pub fn connect(config: ElasticConfig, clock: SharedClock) -> Result<Self> {
        let client = Client::new(&config, REQUEST_TIMEOUT)?;
        let names = IndexNames::new(&config.namespace);
        let payloads = config.payloads;
        Ok(Self { client, names, payloads, writer: Arc::default(), runs_prepared: Arc::default(), clock })
    }

    /// Removes every index and template of the namespace; answers how many there were. For namespaces that nobody works in.
    pub async fn remove_namespace(&self) -> Result<u64> {
        remove::namespace(&self.client, &self.names).await
    }

    /// Each node, with its version or with the reason for which it does not answer.
    pub async fn look(&self) -> Vec<(String, Result<String>)> {
        check::look(&self.client).await
    }

    /// This sink with another patience for a request.
    pub fn with_request_timeout(mut self, timeout: Duration) -> Self {
        self.client = self.client.with_timeout(timeout);
        self
    }
}

#[async_trait]
impl DocumentWriter for ElasticSink {
    async fn prepare(&self) -> Result<()> {
        template::prepare(&self.client, &self.names, self.payloads).await
    }

    async fn upsert(&self, documents: &[Document]) -> Result<Vec<Verdict>> {
        self.writer.upsert(&self.client, &self.names, documents).await
    }

    async fn delete(&self, run: &RunId, job_id: &str) -> Result<bool> {
        // Runs of one day share an index: what another run keeps under this id stays.
        if self.get(run, job_id).await?.is_none() {
            return Ok(false);
        }
        write::delete(&self.client, &self.names.index(run), job_id).await
    }

    async fn check(&self) -> Result<String> {
        let start_ns = self.clock.monotonic_ns();
        let words = check::check(&self.client, &self.names, self.payloads).await?;
        let took_ms = (self.clock.monotonic_ns() - start_ns) / 1_000_000;
        Ok(format!("{words} (asked in {took_ms} ms)"))
    }
}
