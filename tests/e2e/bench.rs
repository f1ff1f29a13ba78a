//! `paceline bench` leaves nothing behind: not when it is done, not when it is interrupted; and says so when it shall. When it is
//! killed, its roles end all the same.

use std::path::Path;
use std::process::Stdio;

use paceline_tests::process::{command, in_time, run, signal};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStderr};

fn embedded(folder: &Path) -> Vec<(&'static str, String)> {
    ["PACELINE_BROKER_URL", "PACELINE_SINK_URL", "PACELINE_LEDGER_URL"]
        .map(|name| (name, format!("embedded:{}/data", folder.display())))
        .to_vec()
}

/// Small, so that it says by its exit code that the run is proved, that nothing warned and that nothing is left.
async fn measure(mode: &str, more: &[&str], environment: &[(&str, String)]) -> Value {
    let (code, out, err) = run(&[&["bench", mode, "--json"], more].concat(), environment).await;
    assert_eq!(code, 0, "{out}{err}");
    let report: Value = serde_json::from_str(&out).expect("JSON");
    let is_well = (report["verified"].as_bool(), report["warnings"]["count"].as_u64());
    assert_eq!(is_well, (Some(true), Some(0)), "{report}");
    let percents: Vec<_> = report["memory"].as_array().expect("samples").iter().map(|at| &at["percent"]).collect();
    assert_eq!(percents, [10, 50, 100], "{report}");
    // So few jobs may end between two looks, and then cost nothing.
    assert!(report["machine_cpu_us_per_job"].is_f64(), "{report}");
    report
}

/// A benchmark that runs jobs, and everything that it has said.
struct Running {
    child: Child,
    lines: Lines<BufReader<ChildStderr>>,
    said: Vec<String>,
}

impl Running {
    async fn start(more: &[&str], environment: &[(&str, String)]) -> Self {
        let mut command = command(&[&["bench", "pipeline", "--jobs", "10000000"], more].concat(), environment);
        command.stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().expect("the binary starts");
        let lines = BufReader::new(child.stderr.take().expect("stderr is piped")).lines();
        let mut running = Self { child, lines, said: Vec::new() };
        while !running.said.last().is_some_and(|line| line.starts_with("running ")) {
            assert!(running.listen().await, "it ended before it ran: {:?}", running.said);
        }
        running
    }

    /// Waits for one more line; false at the end.
    async fn listen(&mut self) -> bool {
        let line = in_time("line of a bench", self.lines.next_line()).await.expect("text");
        let has_spoken = line.is_some();
        self.said.extend(line);
        has_spoken
    }

    fn namespace(&self) -> &str {
        let namespace = self.said.iter().find_map(|line| line.strip_prefix("measuring in namespace "));
        namespace.unwrap_or_else(|| panic!("no namespace in {:?}", self.said))
    }
}

/// Interrupts it as soon as it runs jobs; answers its namespace.
async fn interrupt(environment: &[(&str, String)]) -> String {
    let mut running = Running::start(&[], environment).await;
    signal(running.child.id().expect("it runs"), "TERM").await;
    while running.listen().await {}
    let ended = in_time("end of an interrupted bench", running.child.wait()).await.expect("it ends");
    let said = &running.said;
    assert_eq!(ended.code(), Some(130), "{said:?}");
    assert!(said.iter().any(|line| line.starts_with("stopping the roles, then removing")), "{said:?}");
    assert!(!said.iter().any(|line| line.contains("not removed")), "{said:?}");
    running.namespace().to_owned()
}

mod on_a_folder {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn nothing_is_left() {
        let folder = tempfile::tempdir().expect("a folder");
        let environment = embedded(folder.path());
        let left = || std::fs::read_dir(folder.path()).expect("the folder").count();
        for mode in [&["drain", "--jobs", "2000"][..], &["pipeline", "--jobs", "2000"], &["latency", "--seconds", "1"]]
        {
            measure(mode[0], &mode[1..], &environment).await;
            assert_eq!(left(), 0, "{mode:?}");
        }
        interrupt(&environment).await;
        assert_eq!(left(), 0);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_shall_be_kept_is_kept_and_can_be_proved() {
        let folder = tempfile::tempdir().expect("a folder");
        let report = measure("pipeline", &["--jobs", "500", "--keep"], &embedded(folder.path())).await;
        let text = |name: &str| report[name].as_str().expect("text").to_owned();
        let kept =
            embedded(folder.path()).into_iter().map(|(name, url)| (name, format!("{url}/{}", text("namespace"))));
        let (code, out, err) = run(&["verify", &text("run_id"), "--strict"], &kept.collect::<Vec<_>>()).await;
        assert_eq!(code, 0, "{out}{err}");
    }
}

#[cfg(feature = "services")]
mod on_services {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;

    use super::*;

    /// Enough for some requests to each service. It may well end while the indices are still being made: a sink that is a second late
    /// is no warning.
    const JOBS: &str = "5000";
    const POLL_INTERVAL: Duration = Duration::from_millis(50);
    /// Longer than any role takes to stop.
    const ROLES_STOP_MAX: Duration = Duration::from_secs(60);

    fn url(name: &'static str) -> String {
        std::env::var(name)
            .unwrap_or_else(|_| panic!("{name} is not set: run `make test`, or eval \"$(infra/local/stack up)\""))
    }

    fn environment() -> Vec<(&'static str, String)> {
        ["PACELINE_BROKER_URL", "PACELINE_SINK_URL", "PACELINE_LEDGER_URL"].map(|name| (name, url(name))).to_vec()
    }

    /// Everything that a server answers to one request, until it closes the connection or says the last of it.
    async fn ask(url: &str, request: &str, is_all: impl Fn(&str) -> bool) -> String {
        in_time("answer of a service", answer_of(url, request, is_all)).await
    }

    async fn answer_of(url: &str, request: &str, is_all: impl Fn(&str) -> bool) -> String {
        let address = url.split("://").nth(1).and_then(|rest| rest.split('/').next()).expect("an address");
        let mut stream = TcpStream::connect(address).await.expect("it listens");
        stream.write_all(request.as_bytes()).await.expect("it reads");
        let (mut answer, mut part) = (String::new(), vec![0; 1 << 16]);
        while !is_all(&answer) {
            let bytes = stream.read(&mut part).await.expect("it answers");
            if bytes == 0 {
                break;
            }
            answer += &String::from_utf8_lossy(&part[..bytes]);
        }
        answer
    }

    async fn http(url: &str, path: &str) -> String {
        // guest:guest, which Elasticsearch does not look at.
        let head = format!("GET {path} HTTP/1.0\r\nauthorization: Basic Z3Vlc3Q6Z3Vlc3Q=\r\n\r\n");
        let answer = ask(url, &head, |_| false).await;
        assert!(answer.contains(" 200 "), "{path}: {answer}");
        answer
    }

    /// Everything there is on the services whose name has the namespace in it.
    async fn found(namespace: &str) -> Vec<String> {
        let (management, sink) = (url("PACELINE_RABBITMQ_MANAGEMENT_URL"), url("PACELINE_SINK_URL"));
        let mut found = Vec::new();
        for (at, path) in [
            (&management, "/api/queues?columns=name"),
            (&management, "/api/exchanges?columns=name"),
            (&sink, "/_cat/indices?h=index&expand_wildcards=all"),
            (&sink, "/_index_template"),
        ] {
            let has_it = http(at, path).await.contains(namespace);
            found.extend(has_it.then(|| path.to_owned()));
        }
        // Every key in one answer: cursor, then keys.
        let scan = format!("SCAN 0 MATCH *{namespace}* COUNT 100000000\r\nPING\r\n");
        let keys = ask(&url("PACELINE_LEDGER_URL"), &scan, |answer| answer.ends_with("+PONG\r\n")).await;
        assert!(keys.starts_with("*2\r\n$1\r\n0\r\n"), "{keys}");
        found.extend(keys.contains(namespace).then_some(keys));
        found
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn nothing_is_left() {
        for mode in [&["drain", "--jobs", JOBS][..], &["pipeline", "--jobs", JOBS]] {
            let report = measure(mode[0], &mode[1..], &environment()).await;
            let namespace = report["namespace"].as_str().expect("text");
            assert_eq!(found(namespace).await, [""; 0], "{mode:?}");
            let services: Vec<_> = report["services_cpu_us_per_job"].as_object().expect("a map").keys().collect();
            assert_eq!(services, ["broker", "ledger", "sink"], "{report}");
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn an_interrupted_one_leaves_nothing() {
        let namespace = interrupt(&environment()).await;
        assert_eq!(found(&namespace).await, [""; 0]);
    }

    /// The processes that were started for a namespace: the roles.
    fn processes(namespace: &str) -> Vec<u32> {
        let all = std::fs::read_dir("/proc").expect("this is Linux");
        let all = all.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
        let has_it = |pid: &u32| {
            let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            String::from_utf8_lossy(&environment).contains(namespace)
        };
        all.filter(has_it).collect()
    }

    /// It cannot stop its roles itself. At a low rate, because what it has made stays too.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn one_that_is_killed_leaves_no_role() {
        let mut running = Running::start(&["--rate", "600"], &environment()).await;
        let namespace = running.namespace().to_owned();
        assert!(processes(&namespace).len() >= 3, "scheduler, producer and workers run");
        running.child.kill().await.expect("it can be killed");
        let all_ended = async {
            while !processes(&namespace).is_empty() {
                tokio::time::sleep(POLL_INTERVAL).await;
            }
        };
        let ended = tokio::time::timeout(ROLES_STOP_MAX, all_ended).await;
        // Else they would disturb whatever comes next.
        for pid in processes(&namespace) {
            signal(pid, "KILL").await;
        }
        ended.expect("the roles end when their benchmark has");
    }

    /// Also shows that the look for what is left can see.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_shall_be_kept_is_kept() {
        let report = measure("pipeline", &["--jobs", JOBS, "--keep"], &environment()).await;
        let namespace = report["namespace"].as_str().expect("text");
        assert_eq!(found(namespace).await.len(), 5);
    }
}
