//! The programs of `examples/`, as a user starts them: built, run against a mesh, and judged by what the mesh has afterwards.

use std::path::PathBuf;

use paceline_tests::client::assert_exact;
use paceline_tests::mesh::WorkerOptions;
use paceline_tests::process::{binary, in_time};
use paceline_tests::{Backend, Client, Mesh};
use tokio::process::Command;

both!(a_run_is_started_and_watched_to_its_end);

/// Beside `paceline`.
fn example(name: &str) -> PathBuf {
    let example = binary().with_file_name(name);
    let build = "cargo build -p paceline-examples --bins";
    assert!(example.is_file(), "{} is missing: run `{build}` first (`make test` does)", example.display());
    example
}

/// Runs an example to its end: (it succeeded, stdout, stderr).
async fn run(name: &str, arguments: &[&str]) -> (bool, String, String) {
    let mut command = Command::new(example(name));
    for setting in ["PACELINE_SERVER", "PACELINE_TOKEN", "PACELINE_BROKER_URL", "PACELINE_NAMESPACE"] {
        command.env_remove(setting);
    }
    let output = in_time(name, command.args(arguments).kill_on_drop(true).output()).await.expect("the example runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("output is text");
    (output.status.success(), text(output.stdout), text(output.stderr))
}

async fn a_run_is_started_and_watched_to_its_end(backend: Backend) {
    let mesh = Mesh::new(backend).await;
    let scheduler = mesh.scheduler(&[]).await;
    let worker = mesh.worker(WorkerOptions::default()).await;
    let url = scheduler.url();
    let arguments = ["--server", &url, "--jobs", "6000", "--total", "150", "--request-id", "example-1"];
    let (is_ok, out, err) = run("start_and_watch", &arguments).await;
    assert!(is_ok && out.contains("COMPLETED  enqueued 150, processed 150"), "{out}{err}");
    let (is_ok, again, err) = run("start_and_watch", &arguments).await;
    assert!(is_ok, "{again}{err}");
    let durable = |out: &str| out.lines().find(|line| line.ends_with("is durable")).map(str::to_owned);
    assert_eq!(durable(&out), durable(&again), "the same request id is the same run");
    let run_id = durable(&out).and_then(|line| Some(line.split(' ').nth(1)?.to_owned())).expect("it names the run");
    assert_exact(&mesh, &run_id, 150).await;
    assert_eq!(Client::of(&scheduler).await.get(&run_id).await.total, Some(150));
    worker.stop().await;
    scheduler.stop().await;
}

#[tokio::test]
async fn a_wrong_address_is_an_error_with_words() {
    let (is_ok, out, err) = run("start_and_watch", &["--server", "nonsense"]).await;
    assert!(!is_ok && err.contains("write http://HOST:PORT"), "{out}{err}");
    let (is_ok, out, err) = run("publish_with_lapin", &["--broker-url", "amqp://u:secret@127.0.0.1:9/%2f"]).await;
    assert!(!is_ok && err.contains("no connection to RabbitMQ at 127.0.0.1:9"), "{out}{err}");
    assert!(!out.contains("secret") && !err.contains("secret"), "{out}{err}");
}

#[cfg(feature = "services")]
mod on_rabbitmq {
    use std::time::Duration;

    use paceline_core::document::{Document, Status};
    use paceline_core::ids::RunId;
    use paceline_core::ports::Sink;

    use super::*;

    const POLL_INTERVAL: Duration = Duration::from_millis(50);

    async fn until_stored(sink: &Sink, run: &RunId, job_id: &str) -> Document {
        loop {
            match sink.reader.get(run, job_id).await {
                Ok(Some(document)) => return document,
                Ok(None) => (),
                // The job makes the index of its day, whose shard comes up a moment after its name.
                Err(error) => assert!(error.is_retryable(), "{error}"),
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_job_from_any_client_is_handled_and_stored() {
        let mesh = Mesh::new(Backend::Services).await;
        let at = &mesh.connections;
        let publish =
            ["--broker-url", &at.broker_url, "--namespace", &at.namespace, "--run-id", "by-hand", "--seq", "3"];
        let (is_ok, out, err) = run("publish_with_lapin", &publish).await;
        assert!(!is_ok, "there is no queue yet: {out}{err}");

        let worker = mesh.worker(WorkerOptions::default()).await;
        worker.until_consuming(WorkerOptions::default().consumers).await;
        let (is_ok, out, err) = run("publish_with_lapin", &publish).await;
        assert!(is_ok && out.contains("RabbitMQ has job by-hand-3 in queue default"), "{out}{err}");
        let (sink, run) = (mesh.backends().await.sink, RunId::parse("by-hand").expect("a run id"));
        let document = in_time("document of the job", until_stored(&sink, &run, "by-hand-3")).await;
        assert_eq!((document.seq, document.status, document.attempts), (3, Status::Completed, 1));
        assert_eq!(document.payload["customer"], 7, "{document:?}");
        worker.stop().await;
    }
}
