//! `paceline doctor`: reaches everything that Paceline needs, all at once, and says what to do about the rest.
//!
//! Doctor only looks: it declares no queue, makes no index and no folder. [`services`], [`ledger`], [`workers`] and [`roles`] make the
//! checks, [`checkup`] is the list of them. Two flags write instead of looking: `--rebuild-counters` ([`rebuild`]) and `--adopt-protocol`
//! ([`adopt`]).
//!
//! Here: one file a subject of the checkup. It may use the ports, the adapters and the admin ports of roles; a check changes nothing and
//! answers in words.

mod adopt;
mod checkup;
mod ledger;
mod reach;
mod rebuild;
mod roles;
mod services;
mod workers;

use clap::Args;
use paceline_core::connections::is_embedded;
use paceline_runtime::settings::Settings;

use crate::connections;
use crate::context::CommandContext;
use crate::exit::Exit;
use checkup::{Checkup, DoctorCheck};

#[derive(Debug, Args)]
pub struct DoctorArguments {
    /// Whatever is not running or not there yet is a failure too
    #[arg(long)]
    strict: bool,
    /// After a lost ledger: restore every run that the sink keeps, and count again what is stored
    #[arg(long, conflicts_with = "strict")]
    rebuild_counters: bool,
    /// Make this build's protocol that of the mesh: after all runs have ended and all roles of the other protocol are stopped
    #[arg(long, conflicts_with_all = ["strict", "rebuild_counters"])]
    adopt_protocol: bool,
}

pub async fn execute(arguments: DoctorArguments, context: &CommandContext) -> anyhow::Result<Exit> {
    if arguments.rebuild_counters {
        return rebuild::execute(context).await;
    }
    if arguments.adopt_protocol {
        return adopt::execute(context).await;
    }
    let checkup = Checkup::new(checks(&context.settings, arguments.strict).await, arguments.strict);
    context.output.data(&checkup, Checkup::text)?;
    Ok(if checkup.ok { Exit::Done } else { Exit::No })
}

/// Every check, services first, in the order in which they are shown.
async fn checks(settings: &Settings, strict: bool) -> Vec<DoctorCheck> {
    let (broker, sink, ledger, nodes, scheduler, producers) = tokio::join!(
        services::broker(settings),
        services::sink(settings),
        ledger::ledger(settings),
        services::nodes(settings),
        roles::role("scheduler", &settings.server, settings),
        roles::producers(settings),
    );
    let mut checks: Vec<DoctorCheck> = broker.into_iter().chain([sink]).chain(ledger).chain(nodes).collect();
    if scheduler.is_ok() && !strict {
        excuse_its_own(&mut checks, settings);
    }
    checks.into_iter().chain([scheduler]).chain(producers).collect()
}

/// Services that a scheduler serves with may be its own: embedded ones, or those of `paceline dev` where nothing is configured.
fn excuse_its_own(checks: &mut [DoctorCheck], settings: &Settings) {
    for (name, url) in
        [("broker", &settings.broker_url), ("sink", &settings.sink_url), ("ledger", &settings.ledger_url)]
    {
        let is_its_own = is_embedded(url) || connections::are_default(settings);
        let named = checks.iter_mut().filter(|check| is_its_own && check.name == name);
        named.for_each(|check| check.excuse(&settings.server));
    }
}
