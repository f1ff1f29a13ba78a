//! The ports of the sink, each measured by itself.
//!
//! A file wraps the port of its name. It may use that port and the call of the folder above.

mod kept_runs;
mod reader;
mod writer;

use std::sync::Arc;

use paceline_core::ports::Sink;

use crate::telemetry::metrics::Metrics;

pub fn metered(sink: Sink, metrics: &Metrics) -> Sink {
    Sink {
        writer: Arc::new(writer::MeteredWriter::new(sink.writer, metrics)),
        reader: Arc::new(reader::MeteredReader::new(sink.reader, metrics)),
        runs: Arc::new(kept_runs::MeteredKeptRuns::new(sink.runs, metrics)),
    }
}
