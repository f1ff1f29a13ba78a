//! The command line: global flags, which come last and so win over file and environment, and the commands.

use std::path::PathBuf;

use clap::{Args, Parser};
use paceline_core::Result;
use paceline_runtime::settings::Settings;
use paceline_runtime::telemetry::Log;

use crate::commands::Command;
use crate::context::CommandContext;
use crate::exit;
use crate::output::Output;
use crate::version::version;

/// The log filter of the commands for people, unless told otherwise: only what is wrong, because their answer is their output.
const QUIET_LOG: &str = "warn";

/// Turns "X jobs every Y minutes" into stored documents, each exactly once, and proves it.
#[derive(Debug, Parser)]
#[command(name = "paceline", version = version(), after_help = exit::HELP, disable_help_subcommand = true)]
pub struct CommandLine {
    #[command(flatten)]
    pub global: GlobalOptions,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub struct GlobalOptions {
    /// Settings file [default: paceline.toml, if it is there]; every setting is also a variable, `PACELINE_<SETTING>`
    #[arg(long, global = true, value_name = "FILE", env = "PACELINE_CONFIG")]
    pub config: Option<PathBuf>,
    /// Print data as JSON, an object a line
    #[arg(long, global = true)]
    pub json: bool,
    /// What to log, in the syntax of RUST_LOG (PACELINE_LOG)
    #[arg(long, global = true, value_name = "FILTER")]
    pub log: Option<String>,
    /// The scheduler's address [default: http://127.0.0.1:50051] (PACELINE_SERVER)
    #[arg(long, global = true, value_name = "URL")]
    pub server: Option<String>,
    /// Prefix of queues, indices and keys (PACELINE_NAMESPACE)
    #[arg(long, global = true, value_name = "NAME")]
    pub namespace: Option<String>,
}

impl GlobalOptions {
    /// The settings of file and environment, then of the flags; all of them checked. The error names every mistake.
    pub fn settings(&self) -> Result<Settings> {
        self.applied_to(Settings::load(self.config.as_deref())?)
    }

    pub fn output(&self) -> Output {
        Output { json: self.json }
    }

    /// The context of the command, from settings that are read and a log that is started.
    pub fn context(&self, settings: Settings, log: Log) -> CommandContext {
        CommandContext { settings, output: self.output(), server_is_explicit: self.server.is_some(), log }
    }

    fn applied_to(&self, mut settings: Settings) -> Result<Settings> {
        let flags = [
            (&self.log, &mut settings.log),
            (&self.server, &mut settings.server),
            (&self.namespace, &mut settings.namespace),
        ];
        for (flag, setting) in flags {
            if let Some(value) = flag {
                setting.clone_from(value);
            }
        }
        settings.check()?;
        Ok(settings)
    }
}

impl CommandLine {
    /// The log filter; a default that nobody chose is quieter for commands that answer a person.
    pub fn log_filter(&self, settings: &Settings) -> String {
        let is_chosen = self.global.log.is_some() || settings.log != Settings::default().log;
        if is_chosen || !self.command.answers_a_person() { settings.log.clone() } else { QUIET_LOG.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn parse(line: &str) -> Result<CommandLine, clap::Error> {
        CommandLine::try_parse_from(line.split_whitespace())
    }

    #[test]
    fn the_definition_is_consistent_and_the_help_names_the_exit_codes() {
        CommandLine::command().debug_assert();
        assert!(CommandLine::command().render_help().to_string().contains("Exit codes"));
        let mut bench = CommandLine::command().find_subcommand("bench").unwrap().clone();
        assert!(bench.render_long_help().to_string().contains("Exit code 1:"));
    }

    #[test]
    fn global_flags_may_stand_anywhere_and_win_over_settings() {
        let options = parse("paceline --json run list --server http://other:1 --namespace mine --log debug").unwrap();
        assert!(options.global.json);
        let settings = options.global.applied_to(Settings::default()).unwrap();
        let found = (settings.server.as_str(), settings.namespace.as_str(), settings.log.as_str());
        assert_eq!(found, ("http://other:1", "mine", "debug"));
    }

    #[test]
    fn a_bad_flag_is_found_by_the_check_of_the_settings() {
        let options = parse("paceline doctor --server nonsense").unwrap();
        let error = options.global.applied_to(Settings::default()).unwrap_err();
        assert_eq!(error.fields[0].field, "server");
    }

    #[test]
    fn commands_for_people_are_quiet_unless_told_otherwise() {
        let settings = Settings::default();
        assert_eq!(parse("paceline doctor").unwrap().log_filter(&settings), "warn");
        assert_eq!(parse("paceline doctor --log info").unwrap().log_filter(&settings), "info");
        let chosen = Settings { log: "trace".into(), ..settings };
        assert_eq!(parse("paceline doctor").unwrap().log_filter(&chosen), "trace");
    }
}
