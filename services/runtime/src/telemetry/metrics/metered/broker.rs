//! The broker, measured. `publish` is the confirm: it answers after the broker has decided on every message.

use std::sync::Arc;

use async_trait::async_trait;
use paceline_core::Result;
use paceline_core::ports::Broker;
use paceline_core::ports::broker::{Confirm, Consumer, DeadLetter, Depth, Message};
use paceline_core::trace::TraceContext;

use super::call::calls;
use crate::telemetry::metrics::{Metrics, names};

const SERVICE: &str = "broker";

calls!("broker": declare, publish, consume, depth, purge, dead_letters, check);

pub struct MeteredBroker {
    inner: Arc<dyn Broker>,
    calls: Calls,
}

impl MeteredBroker {
    pub fn new(inner: Arc<dyn Broker>, metrics: &Metrics) -> Self {
        let shown = Arc::downgrade(&inner);
        metrics.read(move |readings| {
            let Some(broker) = shown.upgrade() else { return };
            readings.add(&names::CONNECTIONS_REBUILT, &[SERVICE], broker.rebuilt());
            readings.add(&names::BROKER_BLOCKED, &[], broker.blocked().is_some());
        });
        Self { inner, calls: Calls::new(metrics) }
    }
}

#[async_trait]
impl Broker for MeteredBroker {
    async fn declare(&self, queue: &str, group: &str) -> Result<()> {
        self.calls.declare.time(self.inner.declare(queue, group)).await
    }

    async fn publish(&self, queue: &str, batch: Vec<Message>) -> Result<Vec<Confirm>> {
        // Only messages whose trace is recorded carry one.
        let traced = batch.iter().find_map(|message| message.traceparent.as_deref());
        let trace = traced.and_then(TraceContext::parse).filter(|context| context.is_sampled);
        let publishing = self.inner.publish(queue, batch);
        self.calls.publish.time_as_example_of(trace.map(|context| context.trace), publishing).await
    }

    async fn consume(&self, queue: &str, group: &str, prefetch: u16) -> Result<Consumer> {
        self.calls.consume.time(self.inner.consume(queue, group, prefetch)).await
    }

    async fn depth(&self, queue: &str, group: &str) -> Result<Depth> {
        self.calls.depth.time(self.inner.depth(queue, group)).await
    }

    async fn purge(&self, queue: &str, group: &str) -> Result<u64> {
        self.calls.purge.time(self.inner.purge(queue, group)).await
    }

    async fn dead_letters(&self, queue: &str, group: &str, limit: usize) -> Result<Vec<DeadLetter>> {
        self.calls.dead_letters.time(self.inner.dead_letters(queue, group, limit)).await
    }

    async fn check(&self) -> Result<String> {
        self.calls.check.time(self.inner.check()).await
    }

    fn blocked(&self) -> Option<String> {
        self.inner.blocked()
    }

    fn rebuilt(&self) -> u64 {
        self.inner.rebuilt()
    }
}
