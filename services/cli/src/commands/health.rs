//! `paceline health`: asks a role's admin port whether the role is ready, in bounded time and without any other program: the health check
//! of a container image.
//!
//! [`address`] finds the addresses, [`ask`] asks them, [`judge`] makes the verdict.
//!
//! Here: one question to one process. It may use the settings and HTTP, and no port, so that it works without any service.

mod address;
mod ask;
mod judge;
#[cfg(test)]
mod tests;

use std::str::FromStr as _;

use clap::Args;
use paceline_core::Error;
use paceline_core::error::codes;
use serde_json::json;

use crate::context::CommandContext;
use crate::exit::Exit;
use crate::output::Output;
use address::AdminAddress;
use ask::Answer;

/// Ask a role's admin port whether it is ready: exit code 0, or 1 with the reason, within 2 seconds
///
/// Without ADDRESS the role that PACELINE_ADMIN (or `admin` of the settings file) places is asked: 0.0.0.0:9464 is asked at
/// 127.0.0.1:9464. Where no port is set either, 9464, 9465 and 9466 are tried; at least one role must answer, and all that answer must
/// be ready. Where PACELINE_TOKEN is set, it is sent, because a port beyond loopback tells its reasons only to who has it.
#[derive(Debug, Args)]
pub struct HealthArguments {
    /// The admin port, as the role printed it at its start
    #[arg(value_name = "HOST:PORT", value_parser = AdminAddress::from_str)]
    address: Option<AdminAddress>,
}

pub async fn execute(arguments: HealthArguments, context: &CommandContext) -> anyhow::Result<Exit> {
    let settings = &context.settings;
    let places = match arguments.address {
        Some(place) => Ok(vec![place]),
        None => address::places(
            settings
                .admin_at()
                .map_err(|wrong| Error::invalid_field("admin", wrong).coded(codes::ADMIN_ADDRESS_INVALID))?,
        ),
    };
    let answers = match places {
        Ok(places) => ask::ask_all(&places, settings).await?,
        Err(error) => vec![Answer::not_asked(&error)],
    };
    let (is_ready, line) = judge::judge(&answers);
    say(context.output, is_ready, &line, &answers)?;
    Ok(if is_ready { Exit::Done } else { Exit::No })
}

/// The verdict as one object, or as a line: on stdout where all is well, on stderr where not.
fn say(output: Output, is_ready: bool, line: &str, answers: &[Answer]) -> anyhow::Result<()> {
    if output.json {
        let roles: Vec<_> = answers.iter().filter_map(Answer::report).collect();
        let verdict = json!({ "ready": is_ready, "why": (!is_ready).then_some(line), "roles": roles });
        return output.data(&verdict, |_| String::new());
    }
    if is_ready {
        return output.data(&line, |line| (*line).to_owned());
    }
    output.talk(line);
    Ok(())
}
