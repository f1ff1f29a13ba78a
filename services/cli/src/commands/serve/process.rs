//! A process of one role: its name, its light, its stop, and the services that it waits for.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use paceline_adapters::resolve::{self, Connections};
use paceline_core::clock::{SharedClock, SystemClock};
use paceline_core::ports::{Broker, Ledger, Sink};
use paceline_core::{Result, ids};
use paceline_node::Node;
use paceline_runtime::admin::{self, Shown};
use paceline_runtime::auth::check_bind;
use paceline_runtime::grpc;
use paceline_runtime::lifecycle::Shutdown;
use paceline_runtime::protocol::{self, Build};
use paceline_runtime::readiness::Readiness;
use paceline_runtime::settings::Settings;
use paceline_runtime::telemetry::Identity;
use paceline_runtime::telemetry::metrics::Metrics;
use tokio::net::TcpListener;

use super::arguments::{Listen, ProcessFlags};
use crate::context::CommandContext;
use crate::exit::Exit;
use crate::observed::observed;
use crate::roles::{process_name, url};
use crate::waiting::connected;

pub struct Process<'a> {
    context: &'a CommandContext,
    pub settings: &'a Settings,
    role: &'static str,
    pub id: String,
    pub readiness: Readiness,
    pub shutdown: Shutdown,
    at: Connections,
    clock: SharedClock,
}

impl<'a> Process<'a> {
    /// A process of `role`, named by its flags or else by its host, its process id and a random part.
    pub fn new(
        role: &'static str,
        flags: &ProcessFlags,
        settings: &'a Settings,
        context: &'a CommandContext,
    ) -> anyhow::Result<Self> {
        let (id, shutdown) = (name(flags.id.as_deref(), role)?, flags.stop.shutdown()?);
        let (readiness, at, clock) = (Readiness::new(role, &id), settings.connections(), SystemClock::shared());
        Ok(Self { context, settings, role, id, readiness, shutdown, at, clock })
    }

    /// Says where the role is, and runs `work` with what it is built by, beside the admin port, until it ends.
    pub async fn run(
        &self,
        address: Option<SocketAddr>,
        admin: Option<TcpListener>,
        work: impl AsyncFnOnce(Node) -> Result<()>,
    ) -> anyhow::Result<Exit> {
        self.announce(address, admin.as_ref())?;
        let of = Identity { role: self.role, id: &self.id };
        let working = async |traces, metrics: Metrics| {
            let shown = self.shown(&metrics);
            let node = Node::new(self.settings, self.clock.clone()).observed(traces, metrics);
            // In a box: it would make the future of the whole process large.
            let role = Box::pin(work(node));
            Ok(admin::beside(admin, shown, self.settings.token.as_deref(), role).await?)
        };
        observed(self.context, of, None, working).await?;
        Ok(Exit::Done)
    }

    /// A ledger that can keep its promises, of a mesh that this build understands: any other is refused before anything is written to it.
    /// `None`: a stop came first.
    pub async fn ledger(&self) -> Result<Option<Ledger>> {
        self.connected("ledger", || checked_ledger(&self.at, &self.clock)).await
    }

    /// `None`: a stop came first.
    pub async fn sink(&self) -> Result<Option<Sink>> {
        self.connected("sink", || resolve::sink(&self.at, self.clock.clone())).await
    }

    /// `None`: a stop came first.
    pub async fn broker(&self) -> Result<Option<Arc<dyn Broker>>> {
        self.connected("broker", || resolve::broker(&self.at, self.clock.clone())).await
    }

    async fn connected<T, F: Future<Output = Result<T>>>(
        &self,
        what: &str,
        connect: impl Fn() -> F,
    ) -> Result<Option<T>> {
        connected(what, &self.readiness, &self.shutdown, connect).await
    }

    /// The view of a role on its admin port; from the beginning, also while its services are waited for.
    fn shown(&self, metrics: &Metrics) -> Shown {
        metrics.show_role(&self.readiness);
        let log = self.context.log.filter.clone();
        Shown { readiness: self.readiness.clone(), metrics: metrics.clone(), log }
    }

    /// The addresses on stdout: with port 0, or a default one that was taken, a script needs them.
    fn announce(&self, address: Option<SocketAddr>, admin: Option<&TcpListener>) -> anyhow::Result<()> {
        let mut data = BTreeMap::from([("role", self.role.to_owned())]);
        let mut text = self.role.to_owned();
        if let Some(address) = address {
            let address = format!("http://{address}");
            text += &format!(" {address}");
            data.insert("address", address);
        }
        if let Some(admin) = admin {
            let address = url(admin)?;
            text += &format!(" admin {address}");
            data.insert("admin", address);
        }
        self.context.output.data(&data, |_| text)
    }
}

/// The gRPC port of a role: the address that was asked for, or `default`.
pub async fn bind(listen: &Listen, settings: &Settings, default: &str) -> Result<TcpListener> {
    let default = || default.parse().expect("the default is an address");
    let address: SocketAddr = listen.listen.unwrap_or_else(default);
    check_bind(address, settings.token.as_deref(), listen.process.admin.allow_anonymous)?;
    grpc::bind(address).await
}

async fn checked_ledger(at: &Connections, clock: &SharedClock) -> Result<Ledger> {
    let ledger = resolve::ledger(at, clock.clone()).await?;
    let found = ledger.mesh.check().await?;
    tracing::debug!(found, "ledger");
    protocol::join(ledger, &at.namespace, Build::THIS).await
}

/// The default is of this process alone, wherever it runs.
fn name(asked: Option<&str>, role: &str) -> Result<String> {
    let name = asked.map_or_else(|| process_name(role), str::to_owned);
    ids::check_name("id", &name).map(|()| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_asked_for_is_kept_and_a_default_one_is_never_twice_the_same() {
        assert_eq!(name(Some("worker-7"), "worker").unwrap(), "worker-7");
        assert!(name(Some("No Name"), "worker").is_err());
        // The same host and the same process id, as in two containers.
        for role in ["scheduler", "producer", "worker"] {
            assert_ne!(name(None, role).unwrap(), name(None, role).unwrap());
        }
    }
}
