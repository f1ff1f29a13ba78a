//! The roles as processes of their own: started, killed, frozen and woken by pid, and back on the port they had.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, ensure};
use tokio::process::{Child, Command};
use tokio::sync::Mutex;

use super::services::Service;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    Scheduler,
    Producer,
    Worker,
}

impl Kind {
    pub const ALL: [Self; 3] = [Self::Scheduler, Self::Producer, Self::Worker];

    pub fn name(self) -> &'static str {
        match self {
            Self::Scheduler => "scheduler",
            Self::Producer => "producer",
            Self::Worker => "worker",
        }
    }

    /// The number of roles of this kind.
    pub fn count(self) -> usize {
        match self {
            Self::Scheduler | Self::Producer => 2,
            Self::Worker => 3,
        }
    }

    /// `scheduler-1`, `scheduler-2`, …
    pub fn members(self) -> impl Iterator<Item = String> + use<> {
        (1..=self.count()).map(move |number| format!("{}-{number}", self.name()))
    }

    /// True if roles of this kind have anything to do with the service.
    pub fn speaks_to(self, service: Service) -> bool {
        match (self, service) {
            (_, Service::Redis) | (Self::Worker, _) => true,
            (Self::Scheduler, service) => service == Service::Elasticsearch,
            (Self::Producer, service) => service == Service::RabbitMq,
        }
    }
}

pub struct Role {
    pub kind: Kind,
    pub name: String,
    binary: PathBuf,
    folder: PathBuf,
    arguments: Vec<String>,
    environment: BTreeMap<String, String>,
    child: Mutex<Option<Child>>,
}

impl Role {
    pub fn new(
        kind: Kind,
        name: &str,
        binary: &Path,
        folder: &Path,
        listen: Option<u16>,
        environment: BTreeMap<String, String>,
    ) -> Self {
        let mut arguments = vec![kind.name().to_owned(), "--id".to_owned(), name.to_owned()];
        arguments.extend(listen.map(|port| format!("--listen=127.0.0.1:{port}")));
        let (binary, folder) = (binary.to_owned(), folder.to_owned());
        Self { kind, name: name.to_owned(), binary, folder, arguments, environment, child: Mutex::new(None) }
    }

    pub fn log(&self) -> PathBuf {
        self.folder.join(format!("{}.log", self.name))
    }

    pub async fn start(&self) -> anyhow::Result<()> {
        let log = OpenOptions::new().create(true).append(true).open(self.log())?;
        let mut command = Command::new(&self.binary);
        command.args(&self.arguments).current_dir(&self.folder);
        // Each process gets exactly what we say, whatever the shell has.
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PACELINE_")) {
            command.env_remove(name);
        }
        command.envs(&self.environment).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        // A group of its own: a Ctrl-C is for us, and we end the roles.
        command.process_group(0).kill_on_drop(true);
        let child = command.spawn().with_context(|| format!("cannot start {}", self.binary.display()))?;
        *self.child.lock().await = Some(child);
        Ok(())
    }

    /// SIGKILL, which also ends a frozen process.
    pub async fn kill(&self) -> anyhow::Result<()> {
        if let Some(mut child) = self.child.lock().await.take() {
            child.kill().await.with_context(|| format!("cannot kill {}", self.name))?;
        }
        Ok(())
    }

    pub async fn freeze(&self) -> anyhow::Result<()> {
        signal(self.pid().await?, "STOP").await
    }

    pub async fn wake(&self) -> anyhow::Result<()> {
        signal(self.pid().await?, "CONT").await
    }

    async fn pid(&self) -> anyhow::Result<u32> {
        let child = self.child.lock().await;
        child.as_ref().and_then(Child::id).with_context(|| format!("{} does not run", self.name))
    }

    /// The end of a role that ended by itself, in words; that is never right here.
    pub async fn ended(&self) -> Option<String> {
        let mut child = self.child.lock().await;
        let status = child.as_mut()?.try_wait().ok().flatten()?;
        Some(format!("{} ended by itself: {status}; see {}", self.name, self.log().display()))
    }

    /// Resident memory now and at its highest, MB.
    pub async fn memory_mb(&self) -> Option<(u64, u64)> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid().await.ok()?)).ok()?;
        let read = |key: &str| {
            let line = status.lines().find(|line| line.starts_with(key))?;
            line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kilobytes| kilobytes / 1024)
        };
        Some((read("VmRSS:")?, read("VmHWM:")?))
    }
}

/// Sends a signal by name to one process, by the shell's own `kill`: the program is not on every machine.
pub async fn signal(pid: u32, name: &str) -> anyhow::Result<()> {
    let kill = ["-c", r#"kill -s "$@""#, "kill", name, &pid.to_string()];
    let status = Command::new("sh").args(kill).status().await?;
    ensure!(status.success(), "cannot send SIG{name} to process {pid}");
    Ok(())
}

/// Ports that a killed role gets back: below the range from which the kernel picks ports for clients, and below the stack's.
pub fn free_ports(count: usize, rng: &mut fastrand::Rng) -> anyhow::Result<Vec<u16>> {
    let mut ports = Vec::new();
    for _ in 0..1000 {
        let port = rng.u16(12_000..20_000);
        if !ports.contains(&port) && TcpListener::bind(("127.0.0.1", port)).is_ok() {
            ports.push(port);
        }
        if ports.len() == count {
            return Ok(ports);
        }
    }
    anyhow::bail!("found no {count} free ports")
}
