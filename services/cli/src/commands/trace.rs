//! `paceline trace`: the way of one job as a tree, from Jaeger, Tempo, or the folder of `paceline dev`.

use std::path::PathBuf;

use clap::Args;
use paceline_adapters::embedded::EmbeddedSpans;
use paceline_adapters::trace_query::TraceQuery;
use paceline_core::ids::JobId;
use paceline_core::ports::SpanReader;
use paceline_core::trace::TraceId;
use paceline_core::trace::span::Span;
use paceline_core::{Error, ErrorKind};
use paceline_runtime::telemetry::names::{attribute, span};
use serde::Serialize;

use super::Context;
use crate::exit::Exit;

/// Show the way of a job, from falling due to its acknowledgement, as a tree with times
///
/// Asks the query API of Jaeger or Tempo (`[traces] query_url`), or else reads what `paceline dev` has kept in its folder.
/// Not every job is traced: 10 a second are, and, as far as there is room, those that were retried, delivered again, dead or slow.
#[derive(Debug, Args)]
pub struct Arguments {
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

pub async fn execute(arguments: Arguments, context: &Context) -> anyhow::Result<Exit> {
    let trace = trace_id(&arguments.job)?;
    let reader = reader(&arguments, context)?;
    let spans = reader.trace(trace).await?;
    if spans.is_empty() {
        return Err(Error::not_found(format!(
            "no trace {trace} of {}: it was not chosen (`[traces] per_second`), has not ended yet, or is no longer kept",
            arguments.job
        ))
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
    })
}

fn reader(arguments: &Arguments, context: &Context) -> Result<Box<dyn SpanReader>, Error> {
    let url = arguments.query_url.as_ref().or(context.settings.traces.query_url.as_ref());
    match url {
        Some(url) => Ok(Box::new(TraceQuery::new(url)?)),
        None => match EmbeddedSpans::read(&arguments.data_dir) {
            Ok(spans) => Ok(Box::new(spans)),
            Err(error) if error.kind == ErrorKind::NotFound => Err(Error::not_found(format!(
                "{}: name the folder of `paceline dev` with --data-dir, or the query API of Jaeger or Tempo with --query-url",
                error.message
            ))),
            Err(error) => Err(error),
        },
    }
}

/// A job that was done twice has its root twice: from the first beginning to the last end.
fn merged(spans: Vec<Span>) -> Vec<Span> {
    let mut all: Vec<Span> = Vec::new();
    for span in spans {
        match all.iter_mut().find(|known| known.id == span.id) {
            Some(known) => {
                known.start_us = known.start_us.min(span.start_us);
                known.end_us = known.end_us.max(span.end_us);
            }
            None => all.push(span),
        }
    }
    all
}

/// One line a span: how long after the first it began, how long it took, and what it says. A span whose parent was not written, as after
/// a kill, stands at the top.
fn draw(spans: &[Span]) -> String {
    let begun_us = spans.iter().map(|span| span.start_us).min().unwrap_or(0);
    let is_known = |span: &&Span| spans.iter().any(|other| Some(other.id) == span.parent && other.id != span.id);
    let mut lines = Vec::new();
    // Spans under no top are in a circle, which no tree of ours has: they have no lines.
    for top in spans.iter().filter(|span| !is_known(span)) {
        lines.push(line(top, "", begun_us));
        branches(spans, top, "", begun_us, &mut lines);
    }
    lines.join("\n")
}

fn branches(spans: &[Span], parent: &Span, indent: &str, begun_us: i64, lines: &mut Vec<String>) {
    let children: Vec<_> = spans.iter().filter(|span| span.parent == Some(parent.id) && span.id != parent.id).collect();
    for (index, child) in children.iter().enumerate() {
        let is_last = index + 1 == children.len();
        let (branch, below) = if is_last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
        lines.push(line(child, &format!("{indent}{branch}"), begun_us));
        branches(spans, child, &format!("{indent}{below}"), begun_us, lines);
    }
}

fn line(of: &Span, indent: &str, begun_us: i64) -> String {
    let name = format!("{indent}{}", of.name);
    let (after, took) =
        (duration(of.start_us.saturating_sub(begun_us)), duration(of.end_us.saturating_sub(of.start_us)));
    let mut words = Vec::new();
    for (key, label) in [
        (attribute::JOB, "job"),
        (attribute::STATUS, "status"),
        (attribute::ATTEMPT, "attempt"),
        (attribute::REDELIVERIES, "redelivered"),
        (attribute::REASON, "traced because"),
        (attribute::DELAY_MS, "delay ms"),
        (attribute::PRODUCER, "producer"),
        (attribute::SCHEDULER, "scheduler"),
    ] {
        let value = of.attribute(key);
        let is_usual = match key {
            attribute::REDELIVERIES => value == "0",
            attribute::JOB => of.name != span::JOB,
            _ => false,
        };
        if !value.is_empty() && !is_usual {
            words.push(format!("{label} {value}"));
        }
    }
    let worker = of.attribute(attribute::WORKER);
    if !worker.is_empty() && of.name.starts_with(span::PROCESS) {
        words.push(worker);
    }
    words.extend(of.error.as_ref().map(|error| format!("✗ {error}")));
    format!("{name:<32} +{after:>9} {took:>9}  {}", words.join(", ")).trim_end().to_owned()
}

fn duration(us: i64) -> String {
    match us {
        ..=999 => format!("{us} µs"),
        1_000..=999_999 => format!("{:.1} ms", us as f64 / 1e3),
        _ => format!("{:.2} s", us as f64 / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use paceline_core::trace::SpanId;

    use super::*;

    #[test]
    fn a_tree_is_drawn_and_an_orphan_stands_at_the_top() {
        let (trace, root) = (TraceId(1), SpanId(9));
        let spans = [
            Span::new(trace, None, span::JOB, (1_000_000, 1_250_000)).id(root).text(attribute::JOB, "r-1"),
            Span::new(trace, Some(root), span::RESERVE, (1_000_000, 1_000_400)),
            Span::new(trace, Some(root), "process default", (1_000_400, 3_200_400))
                .int(attribute::ATTEMPT, 2)
                .int(attribute::REDELIVERIES, 1)
                .error(Some("no".into())),
            Span::new(trace, Some(SpanId(77)), span::STORE, (1_000_400, 1_000_401)),
        ];
        let drawn = draw(&merged([spans.to_vec(), vec![spans[0].clone()]].concat()));
        let lines: Vec<_> = drawn.lines().collect();
        assert_eq!(lines.len(), 4);
        assert!(lines[0].starts_with("job ") && lines[0].ends_with("250.0 ms  job r-1"), "{}", lines[0]);
        assert!(lines[1].starts_with("├─ reserve ") && lines[1].contains("400 µs"), "{}", lines[1]);
        assert!(
            lines[2].starts_with("└─ process default") && lines[2].contains("2.20 s  attempt 2, redelivered 1, ✗ no"),
            "{}",
            lines[2]
        );
        assert!(lines[3].starts_with("store "), "{}", lines[3]);
    }

    #[test]
    fn a_job_or_a_trace_is_understood_and_nonsense_is_refused() {
        assert_eq!(trace_id("01k5-17").unwrap(), TraceId::of_job("01k5-17"));
        let id = TraceId::of_job("01k5-17").to_string();
        assert_eq!(trace_id(&id).unwrap(), TraceId::of_job("01k5-17"));
        assert!(trace_id("nonsense").unwrap_err().message.contains("RUN-SEQ"));
    }
}
