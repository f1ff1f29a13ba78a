//! Three nodes of each service, with a gate before each that all roles share. Redis is announced at its gates, so that replicas and
//! sentinels come through them too: a primary behind a closed one is alone, as behind a network that is down.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use anyhow::{Context as _, bail};
use redis::cmd;
use serde_json::Value;

use super::gate::Gate;
use super::http;
use super::place::{NAMESPACE, Place};
use super::services::{Service, Stack};

pub struct Nodes {
    gates: BTreeMap<String, Gate>,
    /// Past the gates: by node, then by the name of the port.
    ports: BTreeMap<String, BTreeMap<String, u16>>,
    /// The URLs that the roles are given.
    urls: BTreeMap<Service, String>,
}

impl Nodes {
    pub async fn up(place: &Place) -> anyhow::Result<(Stack, Self)> {
        let mut stack = Stack::of_cluster(&place.repository, place.stack());
        let ports = read_ports(&stack.ports().await?)?;
        let mut gates = BTreeMap::new();
        for (node, ports) in &ports {
            if let Some(port) = ["amqp", "redis", "http"].iter().find_map(|name| ports.get(*name)) {
                gates.insert(node.clone(), Gate::to(local(*port)).await?);
            }
        }
        let mut nodes = Self { gates, ports, urls: BTreeMap::new() };
        stack.announce_redis_at(nodes.gated("redis").map(|address| address.port()).collect());
        stack.start_all().await?;
        for service in Service::ALL {
            nodes.urls.insert(service, nodes.through_gates(service, stack.url(service)));
        }
        Ok((stack, nodes))
    }

    pub fn url(&self, service: Service) -> &str {
        &self.urls[&service]
    }

    pub fn gate(&self, node: &str) -> anyhow::Result<&Gate> {
        self.gates.get(node).with_context(|| format!("there is no gate before {node}"))
    }

    /// Nodes of a kind with an address of each, past its gate.
    pub fn addresses(&self, kind: &str, port: &str) -> Vec<(String, SocketAddr)> {
        let of_kind = self.ports.iter().filter(|(node, _)| node.starts_with(kind));
        of_kind.filter_map(|(node, ports)| Some((node.clone(), local(*ports.get(port)?)))).collect()
    }

    /// The node that a service cannot lose without electing another.
    pub async fn leader(&self, service: Service) -> anyhow::Result<String> {
        match service {
            Service::Redis => self.primary().await,
            Service::Elasticsearch => {
                let master = self.first("elasticsearch", "http", "/_cat/master?format=json").await?;
                Ok(master[0]["node"].as_str().context("elasticsearch names no master")?.to_owned())
            }
            Service::RabbitMq => {
                let queue = format!("/api/queues/%2F/{NAMESPACE}.default.main?columns=leader");
                let answer = self.first("rabbitmq", "management", &queue).await?;
                let leader = answer["leader"].as_str().context("the main queue has no leader")?.to_owned();
                let is_leader = |port: u16| leader.contains(&format!("-{port}@"));
                let mut addresses = self.addresses("rabbitmq", "amqp").into_iter();
                let found = addresses.find(|(_, address)| is_leader(address.port()));
                Ok(found.with_context(|| format!("{leader} is no node of ours"))?.0)
            }
        }
    }

    /// The primary by the word of the sentinels, which know the servers by their gates.
    async fn primary(&self) -> anyhow::Result<String> {
        for (_, sentinel) in self.addresses("sentinel", "sentinel") {
            let Ok(mut connection) = redis_at(sentinel).await else { continue };
            let mut ask = cmd("SENTINEL");
            ask.arg("GET-MASTER-ADDR-BY-NAME").arg("paceline");
            let Ok((_, port)) = ask.query_async::<(String, u16)>(&mut connection).await else { continue };
            if let Some((node, _)) = self.gates.iter().find(|(_, gate)| gate.address.port() == port) {
                return Ok(node.clone());
            }
        }
        bail!("no sentinel knows the primary")
    }

    /// The first node that answers.
    async fn first(&self, kind: &str, port: &str, path: &str) -> anyhow::Result<Value> {
        let mut last = anyhow::anyhow!("there is no node of {kind}");
        for (_, address) in self.addresses(kind, port) {
            match http::get(address, path).await {
                Ok(answer) => return Ok(answer),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn gated(&self, kind: &str) -> impl Iterator<Item = SocketAddr> {
        self.gates.iter().filter(move |(node, _)| node.starts_with(kind)).map(|(_, gate)| gate.address)
    }

    fn through_gates(&self, service: Service, url: &str) -> String {
        if service == Service::Redis {
            // The sentinels' addresses; what they answer is a gate.
            return url.to_owned();
        }
        let mut url = url.to_owned();
        for (node, ports) in self.ports.iter().filter(|(node, _)| node.starts_with(service.name())) {
            let port = ports.get("amqp").or(ports.get("http")).copied().unwrap_or_default();
            url = url.replace(&local(port).to_string(), &self.gates[node].address.to_string());
        }
        url
    }
}

/// A connection with time limits, because a server that is frozen accepts and says nothing.
pub async fn redis_at(address: SocketAddr) -> anyhow::Result<redis::aio::MultiplexedConnection> {
    let settings = redis::AsyncConnectionConfig::new()
        .set_connection_timeout(Some(std::time::Duration::from_secs(1)))
        .set_response_timeout(Some(std::time::Duration::from_secs(3)));
    let client = redis::Client::open(format!("redis://{address}"))?;
    Ok(client.get_multiplexed_async_connection_with_config(&settings).await?)
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// Lines such as `rabbitmq-1 amqp=20001 management=20002`.
fn read_ports(text: &str) -> anyhow::Result<BTreeMap<String, BTreeMap<String, u16>>> {
    let read = |line: &str| {
        let mut words = line.split_whitespace();
        let node = words.next()?.to_owned();
        let port =
            |word: &str| word.split_once('=').and_then(|(name, port)| Some((name.to_owned(), port.parse().ok()?)));
        Some((node, words.map(port).collect::<Option<_>>()?))
    };
    text.lines().map(|line| read(line).with_context(|| format!("`stack ports` says {line:?}"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_read_as_the_stack_prints_them() {
        let ports = read_ports("epmd epmd=1\nrabbitmq-1 amqp=2 management=3\n").unwrap();
        assert_eq!((ports["epmd"]["epmd"], ports["rabbitmq-1"]["management"]), (1, 3));
        assert!(read_ports("rabbitmq-1 amqp=none\n").is_err());
    }
}
