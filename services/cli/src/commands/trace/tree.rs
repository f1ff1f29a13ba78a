//! The tree of a trace, drawn: a line for each span under its parent. Pure.

use paceline_core::trace::span::Span;
use paceline_runtime::telemetry::names::{attribute, span};

/// The attributes that a line tells, in this order, each with its label.
const LABELS: [(&str, &str); 8] = [
    (attribute::JOB, "job"),
    (attribute::STATUS, "status"),
    (attribute::ATTEMPT, "attempt"),
    (attribute::REDELIVERIES, "redelivered"),
    (attribute::REASON, "traced because"),
    (attribute::DELAY_MS, "delay ms"),
    (attribute::PRODUCER, "producer"),
    (attribute::SCHEDULER, "scheduler"),
];

/// The spans, each once: a job that was done twice has its root twice, which becomes one from the first beginning to the last end.
pub fn merged(spans: Vec<Span>) -> Vec<Span> {
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

/// One line a span: the time from the first beginning to its own, its duration, and its attributes. A span whose
/// parent was not written, as after a kill, stands at the top.
pub fn draw(spans: &[Span]) -> String {
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
    format!("{name:<32} +{after:>9} {took:>9}  {}", words(of).join(", ")).trim_end().to_owned()
}

/// The attributes that tell something, then the worker of an attempt, then the error.
fn words(of: &Span) -> Vec<String> {
    let told = |(key, label): (&str, &str)| {
        let value = of.attribute(key);
        let is_usual = value.is_empty()
            || match key {
                attribute::REDELIVERIES => value == "0",
                attribute::JOB => of.name != span::JOB,
                _ => false,
            };
        (!is_usual).then(|| format!("{label} {value}"))
    };
    let mut words: Vec<_> = LABELS.into_iter().filter_map(told).collect();
    let worker = of.attribute(attribute::WORKER);
    if !worker.is_empty() && of.name.starts_with(span::PROCESS) {
        words.push(worker);
    }
    words.extend(of.error.as_ref().map(|error| format!("✗ {error}")));
    words
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
    use paceline_core::trace::{SpanId, TraceId};

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
}
