//! Where a benchmark plays: the settings' services, reached under a namespace of its own.

use paceline_adapters::resolve;
use paceline_core::clock::{SharedClock, SystemClock};
use paceline_core::error::codes;
use paceline_core::ids::RunId;
use paceline_core::ports::Backends;
use paceline_core::verify::{self, Options};
use paceline_core::{Error, Result};
use paceline_runtime::settings::Settings;
use paceline_runtime::telemetry::Warnings;

use super::belongings::Belongings;
use super::machine;
use crate::connections::connections;
use crate::context::Context;
use crate::output::Output;

pub struct Stage {
    pub settings: Settings,
    pub ports: Backends,
    pub clock: SharedClock,
    /// The processes of the services that run on this machine too.
    pub services: Vec<(&'static str, u32)>,
    /// Of every role, wherever it runs.
    pub warnings: Warnings,
    output: Output,
    is_embedded: bool,
}

impl Stage {
    /// Connects to every service; the error says which one is away.
    pub async fn open(context: &Context, belongings: &Belongings) -> Result<Self> {
        let (clock, settings) = (SystemClock::shared(), belongings.settings.clone());
        let ports = resolve::connect(&connections(&settings), clock.clone()).await?;
        belongings.begin();
        ports.sink.writer.prepare().await?;
        let (output, warnings) = (context.output, context.log.warnings.clone());
        let services = machine::services(&settings);
        Ok(Self { settings, ports, clock, services, warnings, output, is_embedded: belongings.is_embedded() })
    }

    /// Every role must be in this process.
    pub fn is_embedded(&self) -> bool {
        self.is_embedded
    }

    pub fn talk(&self, text: impl std::fmt::Display) {
        self.output.talk(text);
    }

    /// Whether the run is proved; what is wrong is said.
    pub async fn verify(&self, run: &RunId) -> Result<bool> {
        self.talk("comparing ledger and sink");
        let options = Options { group: self.settings.group.clone(), strict: false };
        let verification = verify::verify(&*self.ports.ledger.counts, &*self.ports.sink.reader, run, &options).await?;
        verification.problems.iter().for_each(|problem| self.talk(format!("✗ {problem}")));
        Ok(verification.ok)
    }
}

/// A wait that took too long, with what to do.
pub fn took_too_long(what: &str, seconds: u64) -> Error {
    Error::unavailable(format!(
        "{what} within {seconds} s; the log above says why, `paceline doctor` looks at the services"
    ))
    .coded(codes::BENCH_TOO_SLOW)
}
