//! The way from a scheduler to a producer: the real producer does the work, the network between may fail.

use async_trait::async_trait;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use paceline_core::ids::RunId;
use paceline_core::job::Range;
use paceline_core::ports::RangePublisher;
use paceline_core::ports::broker::Depth;
use paceline_core::trace::Sampling;
use paceline_core::{Error, Result};
use paceline_producer::Producer;

use crate::net::{Effect, Link};
use crate::process::Process;
use crate::storm::Service;

/// A scheduler's stub of the producer at one place.
pub struct SimPublisher(pub Link);

impl SimPublisher {
    fn server(link: &Link) -> Result<(Process, Producer)> {
        let Service::Producer(index) = link.service else {
            return Err(Error::internal("this line leads to no producer"));
        };
        let state = link.world.state();
        let alive = state.producers.get(index).cloned().flatten();
        alive.ok_or_else(|| Error::unavailable("producer: connection refused"))
    }

    async fn ask<T: Send + 'static>(
        &self,
        name: &'static str,
        work: impl Fn(Producer) -> BoxFuture<'static, Result<T>> + Send + Sync + 'static,
    ) -> Result<T> {
        let link = self.0.clone();
        let effect = move || {
            let found = Self::server(&link);
            let working = found.map(|(process, producer)| (process, work(producer)));
            async move {
                let (process, working) = working?;
                process.gate().await;
                let died = || Err(Error::unavailable("producer: connection reset"));
                process.crash().or(working).await.unwrap_or_else(died)
            }
            .boxed()
        };
        self.0.send(name, true, Effect::Work(Box::new(effect))).await
    }
}

#[async_trait]
impl RangePublisher for SimPublisher {
    async fn publish(&self, run: &RunId, range: &Range, sampling: Sampling) -> Result<String> {
        let (asked, range) = (run.clone(), *range);
        let work = move |producer: Producer| {
            let run = asked.clone();
            async move { producer.publish(&run, &range, sampling).await }.boxed()
        };
        let answer = self.ask("publish", work).await;
        let number = self.0.world.state().number(run);
        let end = answer.as_ref().map_or_else(|error| format!("{:?}", error.kind), |_| "ok".into());
        let (from, to) = (self.0.process.name(), self.0.service.name());
        self.0.world.note(&format!("{from} {to}.publish {number} {}+{}: {end}", range.first, range.count));
        if answer.is_ok() {
            let mut state = self.0.world.state();
            let verdict = state.laws.confirmed(run, &range);
            state.judge(run, verdict);
        }
        answer
    }

    async fn depth(&self, run: &RunId) -> Result<Depth> {
        let run = run.clone();
        self.ask("depth", move |producer| {
            let run = run.clone();
            async move { producer.depth(&run).await }.boxed()
        })
        .await
    }
}
