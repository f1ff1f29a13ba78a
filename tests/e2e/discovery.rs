//! Producers behind a name whose addresses come and go while runs go on, on real sockets.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use paceline_core::{Error, Result};
use paceline_proto::v1::RunState;
use paceline_runtime::resolver::Resolver;
use paceline_tests::client::{assert_exact, numbers};
use paceline_tests::mesh::WorkerOptions;
use paceline_tests::{Backend, Client, Mesh};

both!(a_run_follows_the_addresses_of_a_name);

/// DNS of one name; without addresses it fails.
#[derive(Default)]
struct Names(Mutex<Vec<IpAddr>>);

impl Names {
    fn set(&self, addresses: &[SocketAddr]) {
        *self.0.lock().unwrap() = addresses.iter().map(SocketAddr::ip).collect();
    }
}

#[async_trait]
impl Resolver for Names {
    async fn addresses(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>> {
        assert_eq!(host, "producer.test");
        let known = self.0.lock().unwrap();
        if known.is_empty() {
            return Err(Error::unavailable("SERVFAIL"));
        }
        Ok(known.iter().map(|ip| SocketAddr::new(*ip, port)).collect())
    }
}

/// The name is not there at first, then one producer, then two, then only the second, then DNS fails.
async fn a_run_follows_the_addresses_of_a_name(backend: Backend) {
    let mut mesh = Mesh::new(backend).await;
    let names = Arc::new(Names::default());
    mesh.resolver = names.clone();
    let first = mesh.producer_at(SocketAddr::from(([127, 0, 0, 2], 0))).await;
    let at = first.address.expect("it listens");
    let scheduler = mesh.scheduler_of(&[format!("http://producer.test:{}", at.port())]).await;
    let worker = mesh.worker(WorkerOptions::default()).await;
    let mut client = Client::of(&scheduler).await;
    let run = client.start(6_000, None).await;
    scheduler.until_says("SERVFAIL", |is_ready| !is_ready).await;
    client.until(&run, "jobs that are due", |run| numbers(run).enqueued > 0).await;
    assert_eq!(numbers(&client.get(&run).await).published, 0, "nobody knows a producer yet");

    names.set(&[at]);
    client.until(&run, "the first at work", |run| numbers(run).producers.contains_key(&first.id)).await;
    let second = mesh.producer_at(SocketAddr::from(([127, 0, 0, 3], at.port()))).await;
    let also = second.address.expect("it listens");
    names.set(&[at, also]);
    client.until(&run, "the second at work", |run| numbers(run).producers.contains_key(&second.id)).await;

    names.set(&[also]);
    scheduler.until_says("127.0.0.3", |is_ready| is_ready).await;
    scheduler.until_silent_about("127.0.0.2").await;
    first.kill().await;
    names.set(&[]);
    scheduler.until_says("SERVFAIL", |is_ready| is_ready).await;
    let so_far = numbers(&client.get(&run).await).producers[&second.id];
    client.until(&run, "the second going on without DNS", |run| numbers(run).producers[&second.id] > so_far).await;

    client.stop(&run).await;
    let ended = client.until_ended(&run).await;
    assert_eq!(ended.state(), RunState::Stopped, "{}", ended.failure);
    assert_exact(&mesh, &run, numbers(&ended).enqueued).await;
    for role in [worker, scheduler, second] {
        role.stop().await;
    }
}
