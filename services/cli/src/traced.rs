//! Where the spans of a process go: to whoever takes OTLP, by the settings, or to the folder of `paceline dev`.

use std::path::Path;
use std::sync::Arc;

use paceline_adapters::embedded::EmbeddedSpans;
use paceline_core::Result;
use paceline_core::ports::SpanKeeper;
use paceline_runtime::settings::Settings;
use paceline_runtime::telemetry::export;
use paceline_runtime::telemetry::otlp::Otlp;
use paceline_runtime::telemetry::traces::Traces;

/// Runs a role, with a place for its spans if the settings name one, or else in `folder` if there is one.
pub async fn traced<T>(
    settings: &Settings,
    (role, id): (&str, &str),
    folder: Option<&Path>,
    work: impl AsyncFnOnce(Traces) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let keeper = keeper(settings, (role, id), folder)?;
    export::beside(keeper, settings.traces.choice(), work).await
}

fn keeper(settings: &Settings, (role, id): (&str, &str), folder: Option<&Path>) -> Result<Option<Arc<dyn SpanKeeper>>> {
    let traces = &settings.traces;
    if let Some(endpoint) = &traces.endpoint {
        return Ok(Some(Arc::new(Otlp::new(endpoint, traces.protocol, role, id)?)));
    }
    Ok(folder.and_then(|folder| match EmbeddedSpans::open(folder) {
        Ok(spans) => Some(Arc::new(spans) as Arc<dyn SpanKeeper>),
        Err(error) => {
            tracing::warn!(%error, "no traces are kept; deleting that file helps if it is damaged");
            None
        }
    }))
}
