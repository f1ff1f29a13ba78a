//! The real binary, killed: `paceline dev` on a folder, and each role on the services.

use paceline_tests::process::{Process, run, until_readyz};
use serde_json::Value;

/// Polls `run get` until `enough`; each poll is a whole process, so it needs no pause.
async fn until(server: &str, what: &str, enough: impl Fn(&Value) -> bool) -> Value {
    for _ in 0..2_000 {
        let (code, out, err) = run(&["run", "get", "last", "--json", "--server", server], &[]).await;
        // Between a kill and the next start nobody answers.
        if code == 5 {
            continue;
        }
        assert_eq!(code, 0, "{err}");
        let answer: Value = serde_json::from_str(&out).expect("JSON");
        let number = |name: &str| answer[name].as_u64().unwrap_or_else(|| panic!("{name} in {answer}"));
        assert!(number("processed") + number("dead") <= number("enqueued"), "L1: {answer}");
        if enough(&answer) {
            return answer;
        }
    }
    panic!("no {what}");
}

fn at_least(field: &'static str, count: u64) -> impl Fn(&Value) -> bool {
    move |run| run[field].as_u64() >= Some(count)
}

fn has_ended(run: &Value) -> bool {
    ["COMPLETED", "STOPPED", "FAILED"].contains(&run["state"].as_str().unwrap_or(""))
}

#[tokio::test]
async fn a_wrong_setting_is_named_with_what_would_be_right() {
    let wrong = [("PACELINE_SINK_PAYLOAD", "indexed".to_owned()), ("PACELINE_SINK_URL", "nonsense".to_owned())];
    let (code, _, err) = run(&["doctor"], &wrong).await;
    assert_eq!(code, 2, "{err}");
    assert!(err.contains("\"searchable\" or \"stored\", not \"indexed\"") && err.contains("sink_url"), "{err}");
}

/// `kill -9` of the one process, again and again, at whatever moment: the run goes on, and the proof is exact.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dev_survives_kill_minus_nine() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().to_str().expect("text");
    let dev = [
        "dev",
        "--json",
        "--data-dir",
        data,
        "--listen",
        "127.0.0.1:0",
        "--producer-listen",
        "127.0.0.1:0",
        "--admin",
        "127.0.0.1:0",
    ];
    let mut process = Process::start(&dev, &[]);
    let said = process.json().await;
    let mut server = said["scheduler"].as_str().expect("an address").to_owned();
    let ready = until_readyz(said["admin"].as_str().expect("an address"), "readiness", |is_ready, _| is_ready).await;
    let roles: Vec<_> = ready["roles"].as_array().expect("the roles").iter().map(|role| role["role"].clone()).collect();
    assert_eq!(roles, ["scheduler", "producer", "worker", "worker"]);
    let start = ["run", "start", "--jobs", "60000", "--per-minutes", "1", "--total", "5000", "--server", &server];
    let (code, run_id, err) = run(&start, &[]).await;
    assert_eq!(code, 0, "{err}");

    for goal in [300, 1_200, 2_400, 3_600] {
        until(&server, "progress", at_least("processed", goal)).await;
        process.kill().await;
        process = Process::start(&dev, &[]);
        server = process.json().await["scheduler"].as_str().expect("an address").to_owned();
    }
    let ended = until(&server, "end", has_ended).await;
    assert_eq!((ended["state"].as_str(), ended["processed"].as_u64()), (Some("COMPLETED"), Some(5_000)), "{ended}");
    assert!(process.terminate().await.success(), "SIGTERM ends it in order");

    // Nobody serves now, so the proof reads the folder itself.
    let embedded = ["PACELINE_BROKER_URL", "PACELINE_SINK_URL", "PACELINE_LEDGER_URL"]
        .map(|name| (name, format!("embedded:{data}")));
    let (code, out, err) =
        run(&["verify", run_id.trim(), "--strict", "--json", "--server", "http://127.0.0.1:9"], &embedded[..]).await;
    assert_eq!(code, 5, "an explicit server is asked, and nobody answers there: {out}{err}");
    let (code, out, err) = run(&["verify", run_id.trim(), "--strict", "--json"], &embedded).await;
    assert_eq!(code, 0, "{out}{err}");
    let proof: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!((proof["stored"].as_u64(), proof["missing"].as_array().map(Vec::len)), (Some(5_000), Some(0)));
}

#[cfg(feature = "services")]
mod services {
    use paceline_tests::process::{Process, run};
    use paceline_tests::{Backend, Mesh};
    use serde_json::Value;

    use super::{at_least, has_ended, until};

    /// Each role as a process; each is stopped and killed in the middle of a run, and started again on the same port.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn every_role_survives_both_signals() {
        let mesh = Mesh::new(Backend::Services).await;
        let at = &mesh.connections;
        let environment = [
            ("PACELINE_ADMIN", "off".to_owned()),
            ("PACELINE_BROKER_URL", at.broker_url.clone()),
            ("PACELINE_SINK_URL", at.sink_url.clone()),
            ("PACELINE_LEDGER_URL", at.ledger_url.clone()),
            ("PACELINE_NAMESPACE", at.namespace.clone()),
        ];
        let start = |arguments: &[&str]| Process::start(arguments, &environment);
        let mut producer = start(&["producer", "--json", "--listen", "127.0.0.1:0"]);
        let producer_url = address(&mut producer).await;
        let scheduler_on =
            |listen: &str| start(&["scheduler", "--json", "--listen", listen, "--producers", &producer_url]);
        let mut scheduler = scheduler_on("127.0.0.1:0");
        let server = address(&mut scheduler).await;
        let worker = || start(&["worker", "--consumers", "4"]);
        let mut workers = [worker(), worker()];

        let arguments =
            ["run", "start", "--jobs", "30000", "--per-minutes", "1", "--total", "8000", "--server", &server];
        let (code, run_id, err) = run(&arguments, &environment).await;
        assert_eq!(code, 0, "{err}");
        let mut goal = 0;
        for kill in [false, true] {
            goal += 800;
            until(&server, "progress", at_least("processed", goal)).await;
            let [first, second] = workers;
            end(first, kill).await;
            workers = [second, worker()];
            goal += 800;
            until(&server, "progress", at_least("processed", goal)).await;
            end(producer, kill).await;
            producer = start(&["producer", "--json", "--listen", listen(&producer_url)]);
            address(&mut producer).await;
            goal += 800;
            until(&server, "progress", at_least("processed", goal)).await;
            end(scheduler, kill).await;
            scheduler = scheduler_on(listen(&server));
            address(&mut scheduler).await;
        }
        let ended = until(&server, "end", has_ended).await;
        assert_eq!((ended["state"].as_str(), ended["processed"].as_u64()), (Some("COMPLETED"), Some(8_000)), "{ended}");
        let (code, out, err) = run(&["verify", run_id.trim(), "--strict", "--json"], &environment).await;
        assert_eq!(code, 0, "{out}{err}");
        let proof: Value = serde_json::from_str(&out).expect("JSON");
        assert_eq!(proof["stored"].as_u64(), Some(8_000));
    }

    async fn address(process: &mut Process) -> String {
        process.json().await["address"].as_str().expect("an address").to_owned()
    }

    fn listen(url: &str) -> &str {
        url.trim_start_matches("http://")
    }

    async fn end(process: Process, kill: bool) {
        if kill {
            process.kill().await
        } else {
            assert!(process.terminate().await.success(), "SIGTERM ends it in order")
        }
    }
}
