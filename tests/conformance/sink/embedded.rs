//! The embedded sink: a SQLite file that one process has open.

use async_trait::async_trait;
use paceline_adapters::embedded::sink::EmbeddedSink;
use paceline_core::ErrorKind;
use paceline_core::ports::{DocumentWriter as _, Sink};
use paceline_core::testkit::sink::SinkHarness;
use tempfile::TempDir;

struct Folder {
    folder: TempDir,
    sink: Option<EmbeddedSink>,
}

async fn open() -> Folder {
    let folder = tempfile::tempdir().expect("a folder");
    let sink = EmbeddedSink::open(folder.path()).expect("the sink opens");
    sink.prepare().await.expect("prepare answers");
    Folder { folder, sink: Some(sink) }
}

#[async_trait]
impl SinkHarness for Folder {
    fn sink(&self) -> Sink {
        Sink::of(self.sink.clone().expect("the sink is open"))
    }

    async fn reopen(&mut self) {
        drop(self.sink.take());
        // The writer's thread lets go of the lock when it has seen that nobody is left.
        self.sink = Some(loop {
            match EmbeddedSink::open(self.folder.path()) {
                Err(error) if error.kind == ErrorKind::FailedPrecondition => tokio::task::yield_now().await,
                opened => break opened.expect("the sink opens again"),
            }
        });
    }

    async fn close(self) {}
}

paceline_core::sink_conformance!(open);
