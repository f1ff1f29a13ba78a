//! Each role's `/readyz` says what is true: red, with the service that is away, also while no job flows; green when it is back.

use paceline_tests::process::{Process, until_readyz};
use paceline_tests::proxy::{Line, Proxy};
use paceline_tests::{Backend, Mesh};
use serde_json::Value;

use crate::support::{environment, said};

/// Of the worker.
const CONSUMERS: u64 = 2;

/// The roles with their admin ports, behind a proxy for each service.
struct Behind {
    broker: Proxy,
    sink: Proxy,
    ledger: Proxy,
    /// (role, its admin port)
    admins: Vec<(&'static str, String)>,
    processes: Vec<Process>,
}

async fn behind_proxies(mesh: &Mesh) -> Behind {
    let at = &mesh.connections;
    let (broker, broker_url) = Proxy::before(&at.broker_url).await;
    let (sink, sink_url) = Proxy::before(&at.sink_url).await;
    let (ledger, ledger_url) = Proxy::before(&at.ledger_url).await;
    let environment = environment(mesh).map(|(name, value)| match name {
        "PACELINE_BROKER_URL" => (name, broker_url.clone()),
        "PACELINE_SINK_URL" => (name, sink_url.clone()),
        "PACELINE_LEDGER_URL" => (name, ledger_url.clone()),
        _ => (name, value),
    });
    let start = |arguments: &[&str]| Process::start(arguments, &environment);
    let mut producer = start(&["producer", "--json", "--listen", "127.0.0.1:0"]);
    let of_producer = said(&mut producer, &["address", "admin"]).await;
    let mut scheduler = start(&["scheduler", "--json", "--listen", "127.0.0.1:0", "--producers", &of_producer[0]]);
    let of_scheduler = said(&mut scheduler, &["admin"]).await;
    let mut worker = start(&["worker", "--json", "--consumers", &CONSUMERS.to_string()]);
    let of_worker = said(&mut worker, &["admin"]).await;
    let admins = vec![
        ("producer", of_producer[1].clone()),
        ("scheduler", of_scheduler[0].clone()),
        ("worker", of_worker[0].clone()),
    ];
    Behind { broker, sink, ledger, admins, processes: vec![worker, scheduler, producer] }
}

fn check<'a>(report: &'a Value, name: &str) -> &'a Value {
    let checks = report["checks"].as_array().expect("checks");
    checks.iter().find(|check| check["name"] == name).unwrap_or(&Value::Null)
}

fn is_red(report: &Value, name: &str) -> bool {
    check(report, name)["ok"] == false && check(report, name)["why"].as_str().is_some_and(|why| !why.is_empty())
}

impl Behind {
    /// A worker is ready with its first consumer; here each must be there, so that the next cut takes all of them.
    async fn until_all_ready(&self) {
        for (role, admin) in &self.admins {
            let expected = if *role == "worker" { Some(CONSUMERS) } else { None };
            until_readyz(admin, &format!("ready {role}"), |is_ready, report| {
                is_ready && report["consumers_open"].as_u64() == expected
            })
            .await;
        }
    }

    /// Breaks one line: every role of `red` must turn red by that check, the others stay ready; then all come back.
    async fn breaks(&self, proxy: &Proxy, line: Line, red: &[(&str, &str)]) {
        proxy.set(line);
        for (role, name) in red {
            let admin = &self.admins.iter().find(|(known, _)| known == role).expect("a role").1;
            until_readyz(admin, &format!("red {name} of the {role}"), |is_ready, report| {
                !is_ready && is_red(report, name)
            })
            .await;
        }
        for (role, admin) in self.admins.iter().filter(|(role, _)| red.iter().all(|(known, _)| known != role)) {
            until_readyz(admin, &format!("{role} that stays ready"), |is_ready, _| is_ready).await;
        }
        proxy.set(Line::Open);
        self.until_all_ready().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_role_is_red_while_what_it_needs_is_away() {
    let mesh = Mesh::new(Backend::Services).await;
    let behind = behind_proxies(&mesh).await;
    behind.until_all_ready().await;
    for line in [Line::Cut, Line::Stalled] {
        let without_broker = [("worker", "broker"), ("producer", "broker"), ("scheduler", "producers")];
        behind.breaks(&behind.broker, line, &without_broker).await;
        let without_ledger = [("worker", "ledger"), ("producer", "ledger"), ("scheduler", "ledger")];
        behind.breaks(&behind.ledger, line, &without_ledger).await;
        behind.breaks(&behind.sink, line, &[("worker", "sink")]).await;
    }

    let worker = &behind.admins[2].1;
    let deaf = |is_ready: bool, report: &Value| !is_ready && is_red(report, "queue default");
    behind.broker.set(Line::Cut);
    until_readyz(worker, "a deaf worker", deaf).await;
    behind.broker.set(Line::Open);
    behind.until_all_ready().await;
    // Every consumer was open at each of the two cuts, and lost with it.
    let report = until_readyz(worker, "a ready worker", |is_ready, _| is_ready).await;
    assert!(report["consumers_rebuilt"].as_u64() >= Some(2 * CONSUMERS), "{report}");
    assert!(report["connections_rebuilt"].as_u64() >= Some(2), "{report}");
    assert!(check(&report, "queue default")["failures"].as_u64() >= Some(2), "{report}");
    for process in behind.processes {
        assert!(process.terminate().await.success(), "SIGTERM ends it in order");
    }
}
