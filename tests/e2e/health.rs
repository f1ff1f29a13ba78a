//! `paceline health` beside the real binary: 0 while the role is ready, 1 with one line otherwise.

use std::time::Duration;

use paceline_tests::process::{Process, run, until_readyz};

/// A producer on embedded files is ready by itself.
#[tokio::test]
async fn health_follows_the_role_and_finds_it_by_its_setting() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = format!("embedded:{}", folder.path().display());
    let mut environment = vec![("PACELINE_ADMIN", "127.0.0.1:0".to_owned())];
    environment
        .extend(["PACELINE_BROKER_URL", "PACELINE_SINK_URL", "PACELINE_LEDGER_URL"].map(|name| (name, at.clone())));
    let mut producer = Process::start(&["producer", "--json", "--listen", "127.0.0.1:0"], &environment);
    let said = producer.json().await;
    let admin = said["admin"].as_str().expect("an address");
    until_readyz(admin, "readiness", |is_ready, _| is_ready).await;

    let (code, out, err) = run(&["health", admin], &[]).await;
    assert!(code == 0 && out.starts_with("producer ") && out.ends_with(" is ready\n"), "{code} {out}{err}");
    // As in a container, where the role listens to all the world.
    let port = admin.rsplit(':').next().expect("a port");
    let by_setting = [("PACELINE_ADMIN", format!("0.0.0.0:{port}"))];
    let (code, out, err) = run(&["health", "--json"], &by_setting).await;
    assert!(code == 0 && out.contains("\"ready\":true") && err.is_empty(), "{code} {out}{err}");

    producer.signal("STOP").await;
    let (code, out, err) = run(&["health", admin], &[]).await;
    assert!(code == 1 && out.is_empty() && err.contains("does not answer within 2 s"), "{code} {out}{err}");
    producer.signal("CONT").await;
    assert!(producer.terminate().await.success(), "SIGTERM ends it in order");
    let (code, out, err) = run(&["health"], &by_setting).await;
    assert_eq!((code, err.lines().count(), out.as_str()), (1, 1, ""), "{err}");
    assert!(err.starts_with("no role listens at 127.0.0.1:"), "{err}");
}

/// A worker whose broker is away says so, and the answer is bounded.
#[tokio::test]
async fn health_says_why_a_role_is_not_ready() {
    let environment = [
        ("PACELINE_ADMIN", "127.0.0.1:0".to_owned()),
        ("PACELINE_BROKER_URL", "amqp://127.0.0.1:9".to_owned()),
        ("PACELINE_SINK_URL", "http://127.0.0.1:9".to_owned()),
        ("PACELINE_LEDGER_URL", "redis://127.0.0.1:9".to_owned()),
    ];
    let mut worker = Process::start(&["worker", "--json"], &environment);
    let said = worker.json().await;
    let arguments = ["health", said["admin"].as_str().expect("an address")];
    let asking = run(&arguments, &[]);
    let (code, _, err) = tokio::time::timeout(Duration::from_secs(60), asking).await.expect("it is bounded");
    assert!(code == 1 && err.lines().count() == 1, "{code} {err}");
    assert!(err.starts_with("worker ") && err.contains(" is not ready: ledger: "), "{err}");
    assert!(worker.terminate().await.success(), "SIGTERM ends it in order");
}
