//! A service that is there and lets nobody in holds a run; it does not end it.

use paceline_proto::v1::{RunState, UpdateRunRequest};
use paceline_tests::client::{assert_exact, numbers};
use paceline_tests::process::{Process, run, until_readyz};
use paceline_tests::vhost::Vhost;
use paceline_tests::{Backend, Client, Mesh};
use serde_json::Value;

use crate::support::{environment, said};

const REFUSED_MS: u64 = 3_000;

/// The user of RabbitMQ loses its permissions in the middle of a run, for three seconds, and every connection is closed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn permissions_that_are_taken_away_for_a_while_hold_a_run_and_do_not_end_it() {
    let mut mesh = Mesh::new(Backend::Services).await;
    let vhost = Vhost::of(&mut mesh).await;
    let environment = environment(&mesh);
    let start = |arguments: &[&str]| Process::start(arguments, &environment);
    let mut producer = start(&["producer", "--json", "--listen", "127.0.0.1:0"]);
    let of_producer = said(&mut producer, &["address", "admin"]).await;
    let mut scheduler = start(&["scheduler", "--json", "--listen", "127.0.0.1:0", "--producers", &of_producer[0]]);
    let of_scheduler = said(&mut scheduler, &["address", "admin"]).await;
    let mut worker = start(&["worker", "--json", "--consumers", "2"]);
    let of_worker = said(&mut worker, &["admin"]).await;
    let admins = [&of_producer[1], &of_scheduler[1], &of_worker[0]];
    for admin in admins {
        until_readyz(admin, "readiness", |is_ready, _| is_ready).await;
    }

    let mut client = Client::at(&of_scheduler[0]);
    // It has no end yet: RabbitMQ takes its time to list the connections that are to be closed.
    let run_id = client.start(12_000, None).await;
    client.until(&run_id, "progress", |run| numbers(run).processed >= 200).await;
    let says_why = |is_ready: bool, report: &Value| {
        let checks = report["checks"].as_array().expect("checks");
        let producers = checks.iter().find(|check| check["name"] == "producers").expect("it needs producers");
        let in_its_own_words = producers["why"].as_str().is_some_and(|why| why.contains("refuses user"));
        !is_ready && in_its_own_words && producers["since_ms"].as_u64() >= Some(REFUSED_MS)
    };
    vhost.forbid_until(until_readyz(&of_scheduler[1], "a scheduler that says who refuses", says_why)).await;
    let held = client.get(&run_id).await;
    assert_eq!(held.state(), RunState::Running, "{}", held.failure);
    assert!(numbers(&held).published < numbers(&held).enqueued, "{held:?}");

    vhost.allow().await;
    let caught_up = client.until(&run_id, "more jobs", |run| numbers(run).published > numbers(&held).enqueued).await;
    let total = numbers(&caught_up).enqueued + 1_000;
    let with_total = UpdateRunRequest { run_id: run_id.clone(), total: Some(total), ..Default::default() };
    client.0.update_run(with_total).await.expect("the total is above what is enqueued");
    let ended = client.until_ended(&run_id).await;
    assert_eq!((ended.state(), numbers(&ended).processed), (RunState::Completed, total), "{}", ended.failure);
    for admin in admins {
        until_readyz(admin, "readiness again", |is_ready, _| is_ready).await;
    }
    let (code, out, err) = run(&["verify", &run_id, "--strict", "--json"], &environment).await;
    assert_eq!(code, 0, "{out}{err}");
    assert_exact(&mesh, &run_id, total).await;
    for process in [worker, scheduler, producer] {
        assert!(process.terminate().await.success(), "SIGTERM ends it in order");
    }
    vhost.remove().await;
}
