//! The ports of the sink, each measured by itself.

mod kept_runs;
mod reader;
mod writer;

use std::sync::Arc;

use paceline_core::ports::Sink;

use crate::telemetry::metrics::Metrics;

pub fn metered(sink: Sink, metrics: &Metrics) -> Sink {
    Sink {
        writer: Arc::new(writer::Metered::new(sink.writer, metrics)),
        reader: Arc::new(reader::Metered::new(sink.reader, metrics)),
        runs: Arc::new(kept_runs::Metered::new(sink.runs, metrics)),
    }
}
