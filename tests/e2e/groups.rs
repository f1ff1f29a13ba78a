//! Consumer groups: a run ends when each group that it was made for has ended, whatever the groups are called.

use paceline_core::groups::Groups;
use paceline_core::ids::{DEFAULT_HANDLER, DEFAULT_QUEUE, RunId};
use paceline_core::pacing::{CatchUp, Rate};
use paceline_core::run::RunSpec;
use paceline_core::verify::{VerifyOptions, verify};
use paceline_proto::v1::RunState;
use paceline_tests::client::{assert_exact, numbers};
use paceline_tests::mesh::WorkerOptions;
use paceline_tests::process::run as paceline;
use paceline_tests::{Backend, Client, Mesh};

both!(a_run_of_another_group_than_the_default_ends, a_run_of_two_groups_ends_after_both,);

async fn a_run_of_another_group_than_the_default_ends(backend: Backend) {
    let mut mesh = Mesh::new(backend).await;
    mesh.group = "billing".into();
    let scheduler = mesh.scheduler(&[]).await;
    let worker = mesh.worker(WorkerOptions::default()).await;
    let mut client = Client::of(&scheduler).await;
    let run = client.start(60_000, Some(200)).await;
    let ended = client.until_ended(&run).await;
    assert_eq!((ended.state(), numbers(&ended).processed), (RunState::Completed, 200));
    assert_exact(&mesh, &run, 200).await;

    // A proof, or a repair, of a group that the run was not made for would find every job missing.
    let at = mesh.backends().await;
    let other = VerifyOptions { group: "main".into(), strict: true };
    let refused = verify(&*at.ledger.counts, &*at.sink.reader, &RunId::parse(&run).expect("a run id"), &other).await;
    assert!(refused.is_err_and(|error| error.message.contains("billing")));
    worker.stop().await;
    scheduler.stop().await;
}

/// The first group has done everything, and the run drains all the same.
async fn a_run_of_two_groups_ends_after_both(backend: Backend) {
    const JOBS: u64 = 200;
    let mut mesh = Mesh::new(backend).await;
    let scheduler = mesh.scheduler(&[]).await;
    let mut client = Client::of(&scheduler).await;
    let spec = RunSpec {
        run_id: RunId::generate(mesh.clock.wall_ms()),
        rate: Rate::new(60_000, 1.0).expect("a rate"),
        total: Some(JOBS),
        queue: DEFAULT_QUEUE.into(),
        groups: Groups::new(["main", "audit"]).expect("two names"),
        handler: DEFAULT_HANDLER.into(),
        payload: serde_json::Map::new(),
        catch_up: CatchUp::All,
        created_at_ms: mesh.clock.wall_ms(),
        traceparent: None,
    };
    mesh.backends().await.ledger.runs.create(&spec, "").await.expect("the run starts");
    let run = spec.run_id.to_string();
    let worker = mesh.worker(WorkerOptions::default()).await;
    let first = client.until(&run, "one group done", |run| numbers(run).processed == JOBS).await;
    assert!(first.state() != RunState::Completed, "the other group has done nothing: {first:?}");

    mesh.group = "audit".into();
    let other = mesh.worker(WorkerOptions::default()).await;
    let ended = client.until_ended(&run).await;
    assert_eq!((ended.state(), numbers(&ended).processed), (RunState::Completed, JOBS));
    let ledger = mesh.backends().await.ledger;
    for group in spec.groups.iter() {
        let found =
            ledger.counts.snapshot(&spec.run_id, group).await.expect("the ledger answers").expect("the run is there");
        assert_eq!((found.processed, found.in_flight()), (JOBS, 0), "{group}");
    }
    for role in [worker, other, scheduler] {
        role.stop().await;
    }
}

/// By the settings alone, as an operator has it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dev_of_another_group_ends_its_run_and_proves_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().to_str().expect("text");
    let environment = [("PACELINE_GROUP", "billing".to_owned()), ("PACELINE_ADMIN", "off".to_owned())];
    let dev =
        "--jobs 60000 --per-minutes 1 --total 200 --exit-when-done --listen 127.0.0.1:0 --producer-listen 127.0.0.1:0";
    let arguments: Vec<&str> = ["dev", "--data-dir", data].into_iter().chain(dev.split(' ')).collect();
    let (code, out, err) = paceline(&arguments, &environment).await;
    assert_eq!(code, 0, "{out}{err}");
    let urls = ["PACELINE_BROKER_URL", "PACELINE_SINK_URL", "PACELINE_LEDGER_URL"];
    let at = urls.map(|name| (name, format!("embedded:{data}")));
    // Nobody serves there: the folder itself is asked.
    let nobody = ("PACELINE_SERVER", "http://127.0.0.1:1".to_owned());
    let environment: Vec<_> = environment.into_iter().take(1).chain(at).chain([nobody]).collect();
    let (code, out, err) = paceline(&["verify", "last", "--strict"], &environment).await;
    assert_eq!(code, 0, "{out}{err}");
}

/// Every role in a process of its own.
#[cfg(feature = "services")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn roles_of_another_group_end_their_run_and_prove_it() {
    use crate::support::{environment, said};
    use paceline_tests::process::Process;

    let mesh = Mesh::new(Backend::Services).await;
    let mut environment: Vec<_> =
        environment(&mesh).into_iter().chain([("PACELINE_GROUP", "billing".into())]).collect();
    let mut producer = Process::start(&["producer", "--json", "--listen", "127.0.0.1:0"], &environment);
    let producers = said(&mut producer, &["address"]).await.remove(0);
    let start = ["scheduler", "--json", "--listen", "127.0.0.1:0", "--producers", &producers];
    let mut scheduler = Process::start(&start, &environment);
    environment.push(("PACELINE_SERVER", said(&mut scheduler, &["address"]).await.remove(0)));
    let _worker = Process::start(&["worker", "--json"], &environment);
    let start = "run start --jobs 60000 --per-minutes 1 --total 200 --watch";
    let (code, out, err) = paceline(&start.split(' ').collect::<Vec<_>>(), &environment).await;
    assert_eq!(code, 0, "{out}{err}");
    let (code, out, err) = paceline(&["verify", "last", "--strict"], &environment).await;
    assert_eq!(code, 0, "{out}{err}");
}
