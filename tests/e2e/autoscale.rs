//! `paceline worker --autoscale` as real processes: follows a spike and comes back, keeps nobody's job from its end, replaces who dies, and
//! leaves no worker behind.

use std::time::Duration;

use paceline_core::ports::Ledger;
use paceline_core::ports::workers::WorkerInfo;
use paceline_tests::process::{Process, binary, in_time, run, signal};
use paceline_tests::{Backend, Mesh};
use serde_json::Value;

use super::support::{environment, said};

const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// The workers by their heartbeats, as soon as `enough` says so of those that do not stop.
async fn until(ledger: &Ledger, what: &str, enough: impl Fn(&[WorkerInfo]) -> bool) -> Vec<WorkerInfo> {
    in_time(what, async {
        loop {
            let mut workers = ledger.workers.alive().await.expect("the ledger answers");
            workers.retain(|worker| !worker.is_stopping);
            if enough(&workers) {
                return workers;
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    })
    .await
}

struct Stand {
    mesh: Mesh,
    environment: Vec<(&'static str, String)>,
    ledger: Ledger,
    _roles: [Process; 2],
}

impl Stand {
    async fn new() -> Self {
        let mesh = Mesh::new(Backend::Services).await;
        let mut environment = environment(&mesh).to_vec();
        let mut producer = Process::start(&["producer", "--json", "--listen", "127.0.0.1:0"], &environment);
        let [address] = said(&mut producer, &["address"]).await.try_into().expect("one");
        environment.push(("PACELINE_PRODUCERS", address));
        let mut scheduler = Process::start(&["scheduler", "--json", "--listen", "127.0.0.1:0"], &environment);
        let [address] = said(&mut scheduler, &["address"]).await.try_into().expect("one");
        environment.push(("PACELINE_SERVER", address));
        let ledger = mesh.backends().await.ledger;
        Self { mesh, environment, ledger, _roles: [producer, scheduler] }
    }

    /// Each worker holds up to ten jobs.
    async fn autoscaler(&self, range: &str) -> Process {
        let arguments = ["--drain-seconds", "5", "--scale-in-after", "4", "--consumers", "2", "--prefetch", "5"];
        let all = [&["worker", "--json", "--autoscale", range], &arguments[..]].concat();
        let mut process = Process::start(&all, &self.environment);
        assert_eq!(said(&mut process, &["role", "workers"]).await, ["autoscaler", range]);
        process
    }

    async fn command(&self, arguments: &[&str]) -> String {
        let (code, out, err) = run(arguments, &self.environment).await;
        assert_eq!(code, 0, "{arguments:?}: {out}{err}");
        out
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn follows_a_spike_and_comes_back() {
    let stand = Stand::new().await;
    let autoscaler = stand.autoscaler("1..8").await;
    let first = until(&stand.ledger, "first worker", |workers| workers.len() == 1).await;

    // 150 a second of 200 ms each keep 30 slots taken: three workers at the very least, and more at four fifths of what they can.
    let payload = r#"{"simulate": {"ms": 200}}"#;
    let start = ["run", "start", "--jobs", "9000", "--per-minutes", "1", "--handler", "simulate", "--payload", payload];
    let run_id = stand.command(&start).await.trim().to_owned();
    let most = until(&stand.ledger, "workers for the spike", |workers| workers.len() >= 4).await;
    assert!(most.len() <= 8, "{most:?}");

    let said = stand.command(&["scale", "explain", "--json"]).await;
    let said: Value = serde_json::from_str(&said).expect("JSON");
    assert!(said["arrival_per_second"].as_f64() >= Some(149.0) && said["is_active"] == true, "{said}");
    assert!(said["steps"].as_array().is_some_and(|steps| steps.len() >= 9), "{said}");
    let text = stand.command(&["scale", "explain"]).await;
    assert!(text.starts_with("queue default, group main: ") && text.contains("to keep up: "), "{text}");

    let get = async || -> Value {
        serde_json::from_str(&stand.command(&["run", "get", &run_id, "--json"]).await).expect("JSON")
    };
    in_time("part of four workers", async {
        while get().await["workers"].as_object().is_none_or(|parts| parts.len() < 4) {}
    })
    .await;

    // A third of that: workers leave while others, and they themselves, have jobs in their hands.
    stand.command(&["run", "update", &run_id, "--jobs", "3000", "--per-minutes", "1"]).await;
    let fewer = until(&stand.ledger, "fewer workers", |workers| workers.len() <= 3).await;
    assert!(!fewer.is_empty());
    stand.command(&["run", "stop", &run_id]).await;
    stand.command(&["run", "watch", &run_id]).await;
    let last = until(&stand.ledger, "way back", |workers| workers.len() == 1).await;
    assert_eq!(last[0].worker_id, first[0].worker_id, "the newest leave first");
    until_gone(&stand, |all| all.len() == 1).await;

    // Whoever left has finished what it held: no job was done twice.
    let proof: Value =
        serde_json::from_str(&stand.command(&["verify", &run_id, "--strict", "--json"]).await).expect("JSON");
    let enqueued = get().await["enqueued"].as_u64();
    assert_eq!((proof["stored"].as_u64(), proof["duplicates"].as_u64()), (enqueued, Some(0)), "{proof}");

    assert!(autoscaler.terminate().await.success(), "SIGTERM ends it and its workers in order");
    assert_eq!(stand.ledger.workers.alive().await.expect("the ledger answers"), []);
}

/// Also of those that stop.
async fn until_gone(stand: &Stand, enough: impl Fn(&[WorkerInfo]) -> bool) {
    in_time("the end of those that leave", async {
        while !enough(&stand.ledger.workers.alive().await.expect("the ledger answers")) {
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replaces_who_dies_and_leaves_nobody_behind() {
    let stand = Stand::new().await;
    let autoscaler = stand.autoscaler("2..2").await;
    let two = until(&stand.ledger, "two workers", |workers| workers.len() == 2).await;
    signal(two[0].pid, "KILL").await;
    let killed = &two[0].worker_id;
    until(&stand.ledger, "another worker", |workers| {
        workers.len() >= 2 && workers.iter().filter(|worker| worker.worker_id != *killed).count() == 2
    })
    .await;

    // As SIGKILL of the supervisor: its workers notice, and leave in order, so each takes itself off the list.
    autoscaler.kill().await;
    until_gone(&stand, |all| all.iter().all(|worker| worker.worker_id == *killed)).await;
    drop(stand.mesh);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_cannot_work_ends_it_with_the_reason() {
    let (code, _, err) = run(&["worker", "--autoscale", "8..1"], &[]).await;
    assert!(code == 2 && err.contains("must be MIN..MAX such as 1..8"), "{code}: {err}");
    let (code, _, err) = run(&["worker", "--autoscale", "1..2", "--admin", "127.0.0.1:9466"], &[]).await;
    assert!(code == 2 && err.contains("several workers cannot share 127.0.0.1:9466"), "{code}: {err}");
    let (code, _, err) = run(&["worker", "--drain-seconds", "3"], &[]).await;
    assert!(code == 2 && err.contains("--autoscale"), "{code}: {err}");
    let (code, _, err) = run(&["worker", "--autoscale", "1..2", "--id", "BAD NAME"], &[]).await;
    assert!(code == 2 && err.contains("is not a name"), "{code}: {err}");
    // The certificates of an amqps broker are read by workers alone: the first one says what is wrong, and no second is started.
    let mesh = Mesh::new(Backend::Services).await;
    let mut wrong = environment(&mesh).to_vec();
    wrong.push(("PACELINE_BROKER_URL", "amqps://paceline:none@127.0.0.1:1".to_owned()));
    wrong.push(("PACELINE_CA_FILE", "/no/such/file".to_owned()));
    let (code, _, err) = run(&["worker", "--autoscale", "1..2"], &wrong).await;
    assert_eq!(code, 2, "{err}");
    for part in ["cannot read /no/such/file", "cannot start with these options and settings (exit code 2)"] {
        assert!(err.contains(part), "{part}: {err}");
    }
    assert_eq!(err.matches("worker started").count(), 1, "{err}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upgrade_on_disk_does_not_keep_workers_from_being_replaced() {
    let stand = Stand::new().await;
    let folder = tempfile::tempdir().expect("a folder");
    let (installed, newer) = (folder.path().join("paceline"), folder.path().join("paceline.new"));
    std::fs::copy(binary(), &installed).expect("the binary is copied");
    let arguments = ["worker", "--json", "--autoscale", "1..1"];
    let autoscaler = Process::start_of(&installed, &arguments, &stand.environment);
    let first = until(&stand.ledger, "first worker", |workers| workers.len() == 1).await;
    // As package managers do. What is there now does not even run.
    std::fs::write(&newer, "not a binary").expect("it is written");
    std::fs::rename(&newer, &installed).expect("it takes the place");
    signal(first[0].pid, "KILL").await;
    until(&stand.ledger, "another worker", |workers| {
        workers.iter().any(|worker| worker.worker_id != first[0].worker_id)
    })
    .await;
    assert!(autoscaler.terminate().await.success(), "it ends in order");
}
