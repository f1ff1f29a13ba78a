//! `paceline trace`: the way of one job as a tree, from Jaeger, Tempo, or the folder of `paceline dev`.

mod tree;

use std::path::PathBuf;

use clap::Args;
use paceline_adapters::embedded::EmbeddedSpans;
use paceline_adapters::trace_query::TraceQuery;
use paceline_core::error::codes;
use paceline_core::ids::JobId;
use paceline_core::ports::SpanReader;
use paceline_core::trace::TraceId;
use paceline_core::trace::span::Span;
use paceline_core::{Error, ErrorKind};
use serde::Serialize;

use crate::context::CommandContext;
use crate::exit::Exit;
use tree::{draw, merged};

/// Show the way of a job, from falling due to its acknowledgement, as a tree with times
///
/// Asks the query API of Jaeger or Tempo (`[traces] query_url`), or else reads what `paceline dev` has kept in its folder.
/// Not every job is traced: 10 a second are, and, as far as there is room, those that were retried, delivered again, dead or slow.
#[derive(Debug, Args)]
pub struct TraceArguments {
    /// The job's id, RUN-SEQ, or a trace id of 32 digits
    job: String,
    /// Folder of `paceline dev`
    #[arg(long, value_name = "FOLDER", default_value = ".paceline")]
    data_dir: PathBuf,
    /// Query API of Jaeger or Tempo (PACELINE_TRACES_QUERY_URL)
    #[arg(long, value_name = "URL")]
    query_url: Option<String>,
}

#[derive(Serialize)]
struct Shown<'a> {
    trace_id: String,
    spans: &'a [Span],
}

pub async fn execute(arguments: TraceArguments, context: &CommandContext) -> anyhow::Result<Exit> {
    let trace = trace_id(&arguments.job)?;
    let reader = reader(&arguments, context)?;
    let spans = reader.trace(trace).await?;
    if spans.is_empty() {
        return Err(Error::not_found(format!(
            "no trace {trace} of {}: it was not chosen (`[traces] per_second`), has not ended yet, or is no longer kept",
            arguments.job
        ))
        .coded(codes::TRACE_NOT_FOUND)
        .into());
    }
    let mut spans = merged(spans);
    spans.sort_by_key(|span| (span.start_us, span.end_us));
    let shown = Shown { trace_id: trace.to_string(), spans: &spans };
    context.output.data(&shown, |_| format!("trace {trace}\n{}", draw(&spans)))?;
    Ok(Exit::Done)
}

fn trace_id(text: &str) -> Result<TraceId, Error> {
    let of_job = || JobId::parse(text).map(|_| TraceId::of_job(text));
    TraceId::parse(text).or_else(of_job).ok_or_else(|| {
        Error::invalid_field("job", format!("{text:?} is neither a job's id, RUN-SEQ, nor a trace id of 32 digits"))
            .coded(codes::TRACE_ID_INVALID)
    })
}

fn reader(arguments: &TraceArguments, context: &CommandContext) -> Result<Box<dyn SpanReader>, Error> {
    let url = arguments.query_url.as_ref().or(context.settings.traces.query_url.as_ref());
    match url {
        Some(url) => Ok(Box::new(TraceQuery::new(url)?)),
        None => match EmbeddedSpans::read(&arguments.data_dir) {
            Ok(spans) => Ok(Box::new(spans)),
            Err(error) if error.kind == ErrorKind::NotFound => Err(Error::not_found(format!(
                "{}: name the folder of `paceline dev` with --data-dir, or the query API of Jaeger or Tempo with --query-url",
                error.message
            ))
            .coded(codes::TRACE_NOT_FOUND)),
            Err(error) => Err(error),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_or_a_trace_is_understood_and_nonsense_is_refused() {
        assert_eq!(trace_id("01k5-17").unwrap(), TraceId::of_job("01k5-17"));
        let id = TraceId::of_job("01k5-17").to_string();
        assert_eq!(trace_id(&id).unwrap(), TraceId::of_job("01k5-17"));
        assert!(trace_id("nonsense").unwrap_err().message.contains("RUN-SEQ"));
    }
}
