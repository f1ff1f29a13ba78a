//! The ports of the sink over the model, with the moods of a real one: documents put off one by one, requests that fail half way.

use std::time::Duration;

use async_trait::async_trait;
use paceline_core::document::{Document, Status};
use paceline_core::ids::RunId;
use paceline_core::ports::documents::{DocumentReader, DocumentWriter, StoredId, Verdict};
use paceline_core::ports::{KeptRuns, Sink};
use paceline_core::run::KeptRun;
use paceline_core::{Error, Result};

use crate::net::{Call, Link};
use crate::world::State;

pub struct SimSink(Link);

impl SimSink {
    /// All ports of the sink at the end of `link`.
    pub fn ports(link: Link) -> Sink {
        Sink::of(Self(link))
    }
}

impl State {
    /// One bulk request.
    fn upsert(&mut self, documents: &[Document]) -> Result<Vec<Verdict>> {
        let (retry_percent, error_percent) = self.storm.sink_overload();
        let fails_at = (self.random.u32(0..100) < error_percent).then(|| self.random.usize(0..=documents.len()));
        let mut verdicts = Vec::with_capacity(documents.len());
        for (index, document) in documents.iter().enumerate() {
            if fails_at == Some(index) {
                return Err(Error::unavailable("sink: 503"));
            }
            verdicts.push(match self.random.u32(0..100) < retry_percent {
                true => Verdict::Retry {
                    after: Duration::from_millis(self.random.u64(1..200)),
                    reason: "overloaded".into(),
                },
                false => self.store(document),
            });
        }
        match fails_at {
            Some(_) => Err(Error::unavailable("sink: 503")),
            None => Ok(verdicts),
        }
    }

    /// A mapping conflict is always the same job's, however often it is tried.
    fn store(&mut self, document: &Document) -> Verdict {
        let is_refused = document.status == Status::Completed && document.seq % 97 < self.storm.rejected_of_97;
        match is_refused {
            true => Verdict::Reject { reason: "mapping conflict".into() },
            false => self.sink.upsert(document),
        }
    }
}

#[async_trait]
impl DocumentWriter for SimSink {
    async fn prepare(&self) -> Result<()> {
        self.0.call(Call::idempotent("prepare", String::new()), |_, _| Ok(())).await
    }

    async fn upsert(&self, documents: &[Document]) -> Result<Vec<Verdict>> {
        let seqs: Vec<u64> = documents.iter().map(|document| document.seq).collect();
        let call = Call::idempotent("upsert", format!("{seqs:?}"));
        let documents = documents.to_vec();
        self.0.call(call, move |state, _| state.upsert(&documents)).await
    }

    async fn delete(&self, run: &RunId, job_id: &str) -> Result<bool> {
        let (run, job_id) = (run.clone(), job_id.to_owned());
        let call = Call::new("delete", String::new());
        self.0.call(call, move |state, _| Ok(state.sink.delete(&run, &job_id))).await
    }

    async fn check(&self) -> Result<String> {
        self.0.call(Call::idempotent("check", String::new()), |_, _| Ok("simulated sink 1".to_owned())).await
    }
}

#[async_trait]
impl DocumentReader for SimSink {
    async fn count(&self, run: &RunId, status: Status) -> Result<u64> {
        let run = run.clone();
        let call = Call::idempotent("count", String::new());
        self.0.call(call, move |state, _| Ok(state.sink.count(&run, status))).await
    }

    async fn ids(&self, run: &RunId, after: Option<&StoredId>, limit: usize) -> Result<Vec<StoredId>> {
        let (run, after) = (run.clone(), after.cloned());
        let call = Call::idempotent("ids", String::new());
        self.0.call(call, move |state, _| Ok(state.sink.ids(&run, after.as_ref(), limit))).await
    }

    async fn get(&self, run: &RunId, job_id: &str) -> Result<Option<Document>> {
        let (run, job_id) = (run.clone(), job_id.to_owned());
        let call = Call::idempotent("get", String::new());
        self.0.call(call, move |state, _| Ok(state.sink.get(&run, &job_id).cloned())).await
    }
}

#[async_trait]
impl KeptRuns for SimSink {
    async fn keep(&self, run: &KeptRun) -> Result<()> {
        let kept = run.clone();
        let call = Call::idempotent("keep_run", format!("revision {} cursor {}", kept.revision, kept.cursor));
        self.0.call(call, move |state, _| state.sink.keep_run(&kept)).await
    }

    async fn find(&self, run: &RunId) -> Result<Option<KeptRun>> {
        let run = run.clone();
        let call = Call::idempotent("kept_run", String::new());
        self.0.call(call, move |state, _| Ok(state.sink.kept_run(&run))).await
    }

    async fn list(&self, after: Option<&RunId>, limit: usize) -> Result<Vec<KeptRun>> {
        let after = after.cloned();
        let call = Call::idempotent("kept_runs", String::new());
        self.0.call(call, move |state, _| Ok(state.sink.kept_runs(after.as_ref(), limit))).await
    }
}
