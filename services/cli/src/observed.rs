//! A process as others see it: its spans go to whoever takes OTLP, by the settings, or to the folder of `paceline dev`; its metrics stand on
//! its admin port, and go to whoever takes OTLP.

use std::path::Path;
use std::sync::Arc;

use paceline_adapters::embedded::EmbeddedSpans;
use paceline_core::Result;
use paceline_core::clock::SystemClock;
use paceline_core::ports::SpanKeeper;
use paceline_runtime::settings::Settings;
use paceline_runtime::telemetry::metrics::{Metrics, push};
use paceline_runtime::telemetry::otlp::Otlp;
use paceline_runtime::telemetry::traces::Traces;
use paceline_runtime::telemetry::{Identity, export};

use crate::context::CommandContext;

/// Runs a role and measures it. Its spans are kept if the settings name a place for them, or else in `folder` if there is one; its
/// metrics are pushed if the settings name a receiver.
pub async fn observed<T>(
    context: &CommandContext,
    of: Identity<'_>,
    folder: Option<&Path>,
    work: impl AsyncFnOnce(Traces, Metrics) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let settings = &context.settings;
    let keeper = keeper(settings, of, folder)?;
    let push = settings.metrics.push(of)?;
    let metrics = Metrics::new(of.role, SystemClock::shared());
    metrics.show_log(&context.log.warnings);
    let working = async |traces: Traces| {
        metrics.show_spans(&traces);
        context.log.calls.send_to(&traces);
        // In a box: it would make the future of the whole process large.
        push::beside(push, &metrics, Box::pin(work(traces, metrics.clone()))).await
    };
    export::beside(keeper, settings.traces.choice(), working).await
}

fn keeper(settings: &Settings, of: Identity<'_>, folder: Option<&Path>) -> Result<Option<Arc<dyn SpanKeeper>>> {
    let traces = &settings.traces;
    if let Some(endpoint) = &traces.endpoint {
        return Ok(Some(Arc::new(Otlp::new(endpoint, traces.protocol, of)?)));
    }
    Ok(folder.and_then(|folder| match EmbeddedSpans::open(folder) {
        Ok(spans) => Some(Arc::new(spans) as Arc<dyn SpanKeeper>),
        Err(error) => {
            tracing::warn!(%error, "no traces are kept; deleting that file helps if it is damaged");
            None
        }
    }))
}
