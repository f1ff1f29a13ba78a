//! The one binary `paceline`: options, settings, telemetry, run, exit code. What each command does is in [`commands`].

mod autoscale;
mod client;
mod commands;
mod exit;
#[cfg(test)]
mod fake_scheduler;
mod in_process;
mod observed;
mod options;
mod output;
mod payload;
mod version;
mod views;
mod waiting;

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use paceline_core::Error;
use paceline_runtime::telemetry::log;

use commands::Context;
use exit::Exit;
use options::Options;
use output::Output;

/// How long the end of the process may wait for what cannot be cancelled, such as the lookup of a name.
const LEFTOVERS_TIMEOUT: Duration = Duration::from_millis(200);

fn main() -> ExitCode {
    start(Options::parse()).unwrap_or_else(|error| exit::report(&error)).into()
}

fn start(options: Options) -> anyhow::Result<Exit> {
    if let Some(ended) = options.command.alone(Output { json: options.global.json }) {
        return ended;
    }
    let settings = options.global.settings()?;
    let filter = options.log_filter(&settings);
    let log = log::start(&filter, settings.log_format).map_err(|e| Error::invalid_field("log", e.to_string()))?;
    let context = Context::new(&options.global, settings, log);

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
