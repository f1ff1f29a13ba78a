//! The services: a stack of our own, by the same script that developers use.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::process::Command;

/// The longest that any command of the stack may take; a start of Elasticsearch is the longest.
const COMMAND_MAX: Duration = Duration::from_secs(180);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Service {
    RabbitMq,
    Redis,
    Elasticsearch,
}

impl Service {
    pub const ALL: [Self; 3] = [Self::RabbitMq, Self::Redis, Self::Elasticsearch];

    pub fn name(self) -> &'static str {
        match self {
            Self::RabbitMq => "rabbitmq",
            Self::Redis => "redis",
            Self::Elasticsearch => "elasticsearch",
        }
    }

    /// The variable that tells a role where the service is.
    pub fn variable(self) -> &'static str {
        match self {
            Self::RabbitMq => "PACELINE_BROKER_URL",
            Self::Redis => "PACELINE_LEDGER_URL",
            Self::Elasticsearch => "PACELINE_SINK_URL",
        }
    }
}

pub struct Stack {
    script: PathBuf,
    folder: PathBuf,
    /// Three nodes of each.
    is_cluster: bool,
    redis_announced_at: Vec<u16>,
    pub urls: BTreeMap<Service, String>,
}

impl Stack {
    /// Starts all of them, in `folder`.
    pub async fn up(repository: &Path, folder: PathBuf) -> anyhow::Result<Self> {
        let mut stack = Self { is_cluster: false, ..Self::of_cluster(repository, folder) };
        stack.start_all().await?;
        Ok(stack)
    }

    /// Three nodes of each, which are not started yet.
    pub fn of_cluster(repository: &Path, folder: PathBuf) -> Self {
        let (redis_announced_at, urls) = Default::default();
        Self { script: repository.join("infra/local/stack"), folder, is_cluster: true, redis_announced_at, urls }
    }

    pub async fn start_all(&mut self) -> anyhow::Result<()> {
        let exports = self.run("up", &[]).await?;
        for service in Service::ALL {
            let line = exports.lines().find_map(|line| line.strip_prefix(&format!("export {}=", service.variable())));
            self.urls.insert(service, line.context("`stack up` names every address")?.to_owned());
        }
        Ok(())
    }

    /// Every node with its ports, a line each; chosen now, if they have none.
    pub async fn ports(&self) -> anyhow::Result<String> {
        self.run("ports", &[]).await
    }

    /// The ports at which others reach the Redis servers, in their order.
    pub fn announce_redis_at(&mut self, ports: Vec<u16>) {
        self.redis_announced_at = ports;
    }

    /// Does something to one node of a cluster.
    pub async fn node(&self, command: &str, node: &str) -> anyhow::Result<()> {
        self.run(command, &[node]).await.map(drop)
    }

    /// Returns when every node of these services, or of all, sees all others.
    pub async fn whole(&self, services: &[Service]) -> anyhow::Result<()> {
        let names: Vec<&str> = services.iter().map(|service| service.name()).collect();
        self.run("up", &names).await.map(drop)
    }

    pub fn url(&self, service: Service) -> &str {
        &self.urls[&service]
    }

    pub fn address(&self, service: Service) -> anyhow::Result<SocketAddr> {
        let url = self.url(service);
        // Of several nodes, the first.
        let authority =
            url.split_once("://").map_or(url, |(_, rest)| rest).split(['/', ',']).next().unwrap_or_default();
        let address = authority.rsplit('@').next().unwrap_or_default();
        address.parse().with_context(|| format!("{url:?} has no address"))
    }

    /// The URL of a service that is reached at another address.
    pub fn url_at(&self, service: Service, address: SocketAddr) -> anyhow::Result<String> {
        Ok(self.url(service).replace(&self.address(service)?.to_string(), &address.to_string()))
    }

    pub async fn kill(&self, service: Service) -> anyhow::Result<()> {
        self.run("kill", &[service.name()]).await.map(drop)
    }

    /// Returns when the service answers.
    pub async fn start(&self, service: Service) -> anyhow::Result<()> {
        self.run("start", &[service.name()]).await.map(drop)
    }

    pub async fn pid(&self, service: Service) -> anyhow::Result<u32> {
        Ok(self.run("pid", &[service.name()]).await?.trim().parse()?)
    }

    pub async fn save(&self, service: Service) -> anyhow::Result<()> {
        self.run("save", &[service.name()]).await.map(drop)
    }

    pub async fn restore(&self, service: Service) -> anyhow::Result<()> {
        self.run("restore", &[service.name()]).await.map(drop)
    }

    pub async fn forget(&self, service: Service) -> anyhow::Result<()> {
        self.run("forget", &[service.name()]).await.map(drop)
    }

    /// Runs an Erlang expression inside RabbitMQ.
    pub async fn rabbitmq_eval(&self, expression: &str) -> anyhow::Result<String> {
        self.run("rabbitmqctl", &["--", "eval", expression]).await
    }

    /// Queues with what is in them and who consumes; what to look at first when a run does not drain.
    pub async fn rabbitmq_queues(&self) -> anyhow::Result<String> {
        let columns = ["name", "messages_ready", "messages_unacknowledged", "consumers"];
        self.run("rabbitmqctl", &[&["--", "list_queues", "-q"], &columns[..]].concat()).await
    }

    pub async fn wipe(&self) -> anyhow::Result<()> {
        self.run("wipe", &[]).await.map(drop)
    }

    async fn run(&self, command: &str, arguments: &[&str]) -> anyhow::Result<String> {
        let mut process = Command::new(&self.script);
        process.arg(command).arg("--dir").arg(&self.folder).args(arguments);
        if self.is_cluster && matches!(command, "up" | "ports") {
            process.arg("--cluster");
        }
        if !self.redis_announced_at.is_empty() {
            let ports: Vec<String> = self.redis_announced_at.iter().map(u16::to_string).collect();
            process.env("PACELINE_STACK_REDIS_PORTS", ports.join(" "));
        }
        process.stdin(Stdio::null()).process_group(0);
        let output = tokio::time::timeout(COMMAND_MAX, process.output()).await;
        let output = output.with_context(|| format!("`stack {command}` takes too long"))??;
        let words = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() {
            bail!("`stack {command} {}`: {}", arguments.join(" "), words.trim());
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

/// Removes what a stack that is only half there has left, too.
pub async fn wipe(repository: &Path, folder: PathBuf) -> anyhow::Result<()> {
    Stack::of_cluster(repository, folder).wipe().await
}

/// Keeps what the services wrote, for whoever looks for a reason.
pub fn keep_logs(stack: &Path, folder: &Path) {
    let Ok(services) = std::fs::read_dir(stack) else { return };
    for service in services.flatten() {
        let name = service.file_name().to_string_lossy().into_owned();
        _ = std::fs::copy(service.path().join("output.log"), folder.join(format!("{name}.log")));
    }
}
