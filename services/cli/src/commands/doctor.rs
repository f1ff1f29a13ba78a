//! `paceline doctor`: reaches everything that Paceline needs, all at once, and says what to do about the rest.
//!
//! It only looks: it declares no queue, makes no index and no folder. [`probes`] and [`workers`] reach, [`checkup`] is what they find.
//! Only with `--rebuild-counters` and `--adopt-protocol` it writes: see [`rebuild`] and [`adopt`].

mod adopt;
mod checkup;
mod probes;
mod rebuild;
mod workers;

use clap::Args;

use super::{Context, connections};
use crate::exit::Exit;
use checkup::{Check, Checkup};

#[derive(Debug, Args)]
pub struct Arguments {
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

pub async fn execute(arguments: Arguments, context: &Context) -> anyhow::Result<Exit> {
    let settings = &context.settings;
    if arguments.rebuild_counters {
        return rebuild::execute(context).await;
    }
    if arguments.adopt_protocol {
        return adopt::execute(context).await;
    }
    let (broker, sink, ledger, nodes, scheduler, producers) = tokio::join!(
        probes::broker(settings),
        probes::sink(settings),
        probes::ledger(settings),
        probes::nodes(settings),
        probes::role("scheduler", &settings.server, settings),
        probes::producers(settings),
    );
    let mut checks: Vec<Check> = broker.into_iter().chain([sink]).chain(ledger).chain(nodes).collect();
    if scheduler.is_ok() && !arguments.strict {
        let urls = [("broker", &settings.broker_url), ("sink", &settings.sink_url), ("ledger", &settings.ledger_url)];
        for (name, url) in urls {
            let is_its_own = connections::is_embedded(url) || connections::are_default(settings);
            checks
                .iter_mut()
                .filter(|check| is_its_own && check.name == name)
                .for_each(|check| check.excuse(&settings.server));
        }
    }
    checks.push(scheduler);
    checks.extend(producers);
    let checkup = Checkup::new(checks, arguments.strict);
    context.output.data(&checkup, Checkup::text)?;
    Ok(if checkup.ok { Exit::Done } else { Exit::No })
}
