//! The one binary `paceline`, from the command line to the exit code: options, settings, log, command.
//!
//! `main → options → commands → shared leaves`: [`commands`] has a file or folder for each command; the leaves ([`client`], [`output`],
//! [`exit`], [`views`], [`flags`] and their like) know no command.

mod autoscale;
mod client;
mod commands;
mod connections;
mod context;
mod exit;
#[cfg(test)]
mod fake_scheduler;
mod flags;
mod observed;
mod options;
mod output;
mod roles;
mod version;
mod views;
mod waiting;

use std::process::ExitCode;
use std::time::Duration;

use clap::{CommandFactory as _, Parser as _};
use paceline_core::Error;
use paceline_core::error::codes;
use paceline_runtime::telemetry::log;

use exit::Exit;
use options::CommandLine;

/// The longest that the end of the process waits for work that cannot be cancelled, such as the lookup of a name.
const LEFTOVERS_TIMEOUT: Duration = Duration::from_millis(200);

fn main() -> ExitCode {
    start(CommandLine::parse()).unwrap_or_else(|error| exit::report(&error)).into()
}

fn start(options: CommandLine) -> anyhow::Result<Exit> {
    if let Some(ended) = options.command.alone(options.global.output(), CommandLine::command) {
        return ended;
    }
    let settings = options.global.settings()?;
    let filter = options.log_filter(&settings);
    let log = log::start(&filter, settings.log_format)
        .map_err(|e| Error::invalid_field("log", e.to_string()).coded(codes::LOG_FILTER_INVALID))?;
    let context = options.global.context(settings, log);

    let runtime = runtime(options.command.threads()).enable_all().build()?;
    let outcome = runtime.block_on(options.command.execute(&context));
    runtime.shutdown_timeout(LEFTOVERS_TIMEOUT);
    outcome
}

fn runtime(threads: Option<usize>) -> tokio::runtime::Builder {
    let mut several = tokio::runtime::Builder::new_multi_thread();
    match threads {
        None => several,
        // With one thread for the tasks and one for `main`, half of all wake-ups would go from one to the other.
        Some(1) => tokio::runtime::Builder::new_current_thread(),
        Some(threads) => {
            several.worker_threads(threads);
            several
        }
    }
}
