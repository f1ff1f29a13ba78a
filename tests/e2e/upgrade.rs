//! Roles of different software in one mesh: one protocol is enough, and two protocols are kept apart without losing anything.

use std::net::SocketAddr;
use std::time::Duration;

use paceline_adapters::resolve::{self, Connections};
use paceline_core::clock::SystemClock;
use paceline_core::ports::mesh::PROTOCOL_FIRST;
use paceline_core::ports::workers::WorkerInfo;
use paceline_proto::v1::RunState;
use paceline_proto::{PROTOCOL, Protocol};
use paceline_runtime::protocol::{self, Build};
use paceline_tests::client::{assert_exact, numbers};
use paceline_tests::mesh::WorkerOptions;
use paceline_tests::process::run;
use paceline_tests::{Backend, Client, Mesh};

both!(a_rolling_upgrade_within_a_protocol_loses_nothing, a_producer_of_another_protocol_gets_no_range);

const OLD: Build = Build { version: "0.1.0", protocol: PROTOCOL };
const NEW: Build = Build { version: "0.2.0", protocol: PROTOCOL };
const OTHER: Protocol = Protocol::new(PROTOCOL.number() + 1);

/// One role after the other is replaced while a run goes on, in an order in which every pair of builds meets.
async fn a_rolling_upgrade_within_a_protocol_loses_nothing(backend: Backend) {
    let mut mesh = Mesh::new(backend).await;
    mesh.build = OLD;
    let old_producer = mesh.producer().await;
    // The address of the producer that comes later is known before, as that of a name is.
    let reserved = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let later: SocketAddr = reserved.local_addr().expect("it is bound");
    drop(reserved);
    let addresses = [old_producer.url(), format!("http://{later}")];
    let (old_scheduler, old_worker) =
        (mesh.scheduler_of(&addresses).await, mesh.worker(WorkerOptions::default()).await);
    let mut client = Client::of(&old_scheduler).await;
    let run = client.start(30_000, None).await;
    client.until(&run, "the old ones at work", |run| numbers(run).processed >= 200).await;

    mesh.build = NEW;
    let new_worker = mesh.worker(WorkerOptions::default()).await;
    let id = new_worker.id.clone();
    client.until(&run, "the new worker at work", |run| numbers(run).workers.contains_key(&id)).await;
    let versions: Vec<_> = workers(&mesh).await;
    assert_eq!(versions, ["0.1.0", "0.2.0"], "each says its own");
    old_worker.stop().await;

    let new_producer = mesh.producer_at(later).await;
    let id = new_producer.id.clone();
    client.until(&run, "the new producer at work", |run| numbers(run).producers.contains_key(&id)).await;
    let new_scheduler = mesh.scheduler_of(&addresses).await;
    old_scheduler.stop().await;
    let mut client = Client::of(&new_scheduler).await;
    let so_far = numbers(&client.get(&run).await).processed;
    client.until(&run, "the new scheduler at work", |run| numbers(run).processed > so_far + 200).await;
    old_producer.stop().await;

    client.stop(&run).await;
    let ended = client.until_ended(&run).await;
    assert_eq!(ended.state(), RunState::Stopped, "{}", ended.failure);
    assert_exact(&mesh, &run, numbers(&ended).enqueued).await;
    for role in [new_worker, new_producer, new_scheduler] {
        role.stop().await;
    }
}

async fn workers(mesh: &Mesh) -> Vec<String> {
    let mut versions: Vec<_> = mesh
        .backends()
        .await
        .ledger
        .workers
        .alive()
        .await
        .expect("the ledger answers")
        .into_iter()
        .map(|worker| worker.version)
        .collect();
    versions.sort();
    versions
}

/// The scheduler was given the address of a mesh with another protocol, whose own ledger let that producer start.
async fn a_producer_of_another_protocol_gets_no_range(backend: Backend) {
    let (mesh, mut newer) = (Mesh::new(backend).await, Mesh::new(backend).await);
    newer.build = Build { version: "9.0.0", protocol: OTHER };
    let stranger = newer.producer().await;
    let reserved = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let later: SocketAddr = reserved.local_addr().expect("it is bound");
    drop(reserved);
    let scheduler = mesh.scheduler_of(&[stranger.url(), format!("http://{later}")]).await;
    let worker = mesh.worker(WorkerOptions::default()).await;
    let mut client = Client::of(&scheduler).await;
    let run = client.start(60_000, Some(2_000)).await;
    let refusal = format!("paceline 9.0.0) has protocol {OTHER}, and the scheduler has protocol {PROTOCOL}");
    scheduler.until_says(&refusal, |is_ready| !is_ready).await;
    let waiting = client.get(&run).await;
    assert_eq!((waiting.state(), numbers(&waiting).published), (RunState::Running, 0), "{}", waiting.failure);

    let own = mesh.producer_at(later).await;
    let ended = client.until_ended(&run).await;
    assert_eq!((ended.state(), numbers(&ended).processed), (RunState::Completed, 2_000), "{}", ended.failure);
    assert_eq!(numbers(&ended).producers.keys().collect::<Vec<_>>(), [&own.id]);
    assert_exact(&mesh, &run, 2_000).await;
    for role in [worker, scheduler, own, stranger] {
        role.stop().await;
    }
}

/// The real binary, on a ledger that has another protocol: it writes nothing, says one line, and ends.
#[tokio::test]
async fn a_role_refuses_a_mesh_of_another_protocol_and_doctor_takes_it_over() {
    let folder = tempfile::tempdir().expect("a folder");
    let ledger = async || {
        resolve::ledger(&Connections::embedded(folder.path()), SystemClock::shared()).await.expect("the ledger opens")
    };
    let noted = async || ledger().await.mesh.protocol().await.expect("the ledger answers");
    ledger().await.mesh.adopt_protocol(None, OTHER.number()).await.expect("the ledger answers");
    let at = format!("embedded:{}", folder.path().display());
    let environment =
        ["PACELINE_BROKER_URL", "PACELINE_SINK_URL", "PACELINE_LEDGER_URL"].map(|name| (name, at.clone()));
    for role in ["scheduler", "producer", "worker"] {
        let arguments = match role {
            "worker" => vec![role, "--admin", "off"],
            _ => vec![role, "--admin", "off", "--listen", "127.0.0.1:0"],
        };
        let (code, _, err) = run(&arguments, &environment).await;
        let refusal = err.lines().rev().nth(1).unwrap_or_default();
        let words =
            [format!("mesh \"paceline\" has protocol {OTHER}"), format!("has protocol {PROTOCOL}: start the version")];
        assert!(code == 4 && words.iter().all(|words| refusal.contains(words)), "{role}: {code} {err}");
    }
    // Nor does a command that repairs write to it; no scheduler is asked, so none that happens to be there answers.
    let alone: Vec<_> =
        environment.iter().cloned().chain([("PACELINE_SERVER", "http://127.0.0.1:1".to_owned())]).collect();
    for repair in [&["doctor", "--rebuild-counters"][..], &["verify", "some-run", "--repair"][..]] {
        let (code, _, err) = run(repair, &alone).await;
        let refusal = err.lines().rev().nth(1).unwrap_or_default();
        let words = format!("mesh \"paceline\" has protocol {OTHER}, and this paceline");
        assert!(code == 4 && refusal.contains(&words), "{repair:?}: {code} {err}");
    }
    let data = folder.path().to_str().expect("text");
    let (code, _, err) = run(
        &["dev", "--admin", "off", "--data-dir", data, "--listen", "127.0.0.1:0", "--producer-listen", "127.0.0.1:0"],
        &[],
    )
    .await;
    assert!(code == 4 && err.contains(&format!("has protocol {OTHER}")), "{code} {err}");
    assert_eq!(noted().await, Some(OTHER.number()), "nobody changed it");

    let (code, out, err) = run(&["doctor", "--json"], &environment).await;
    assert!(code == 1 && out.contains(&format!("the mesh has protocol {OTHER}")), "{out}{err}");
    let (code, out, err) = run(&["doctor", "--adopt-protocol"], &environment).await;
    assert_eq!(code, 0, "{out}{err}");
    assert_eq!(noted().await, Some(PROTOCOL.number()));
    let (code, out, err) = run(&["doctor", "--adopt-protocol"], &environment).await;
    assert!(code == 0 && out.contains("has it already"), "{out}{err}");
}

/// A mesh from before protocols were noted: its first role that knows of them notes the protocol, so that nobody guesses it later.
#[tokio::test]
async fn who_joins_a_mesh_without_a_note_notes_its_protocol() {
    let folder = tempfile::tempdir().expect("a folder");
    let ledger =
        resolve::ledger(&Connections::embedded(folder.path()), SystemClock::shared()).await.expect("the ledger opens");
    let worker: WorkerInfo = serde_json::from_str(
        r#"{"worker_id":"w","queue":"default","group":"main","host":"h","pid":1,"started_at_ms":0,"heartbeat_at_ms":0,
            "processed":0,"dead":0,"retried":0,"batches":0,"batched_documents":0,"stored_latency":""}"#,
    )
    .expect("a worker");
    ledger.workers.announce(&worker, Duration::from_secs(600)).await.expect("the ledger answers");
    let newer = Build { version: "9.0.0", protocol: Protocol::new(PROTOCOL_FIRST + 1) };
    assert!(protocol::join(ledger.clone(), "m", newer).await.is_err(), "who is alive there is of the first");
    let first = Build { version: "0.2.0", protocol: Protocol::FIRST };
    protocol::join(ledger.clone(), "m", first).await.expect("it is of the first too");
    ledger.workers.forget("w").await.expect("the ledger answers");
    assert_eq!(
        ledger.mesh.protocol().await.expect("the ledger answers"),
        Some(PROTOCOL_FIRST),
        "nobody is there to guess by"
    );
}
