//! The stage of a benchmark: the settings' services, reached under a namespace of its own, and the console that hears of its progress.

use std::sync::Arc;

use paceline_adapters::resolve;
use paceline_core::clock::{SharedClock, SystemClock};
use paceline_core::error::codes;
use paceline_core::ids::RunId;
use paceline_core::ports::Backends;
use paceline_core::verify::{self, VerifyOptions};
use paceline_core::{Error, Result};
use paceline_runtime::settings::Settings;
use paceline_runtime::telemetry::Warnings;

use crate::namespace::BenchNamespace;
use crate::numbers::machine;
use crate::setup::{Console, Setup};

pub struct Stage {
    pub settings: Settings,
    pub ports: Backends,
    pub clock: SharedClock,
    /// The processes of the services that run on this machine too.
    pub services: Vec<(&'static str, u32)>,
    /// Warnings of every role, wherever it runs.
    pub warnings: Warnings,
    console: Arc<dyn Console>,
    is_embedded: bool,
}

impl Stage {
    /// Connects to every service; the error says which one is away.
    pub async fn open(setup: &Setup, namespace: &BenchNamespace) -> Result<Self> {
        let (clock, settings) = (SystemClock::shared(), namespace.settings.clone());
        let ports = resolve::connect(&settings.connections(), clock.clone()).await?;
        namespace.begin();
        ports.sink.writer.prepare().await?;
        let (console, warnings) = (setup.console.clone(), setup.warnings.clone());
        let services = machine::services(&settings);
        Ok(Self { settings, ports, clock, services, warnings, console, is_embedded: namespace.is_embedded() })
    }

    /// Every role must be in this process.
    pub fn is_embedded(&self) -> bool {
        self.is_embedded
    }

    pub fn talk(&self, line: impl AsRef<str>) {
        self.console.talk(line.as_ref());
    }

    /// True if the run is proved; what is wrong is said.
    pub async fn verify(&self, run: &RunId) -> Result<bool> {
        self.talk("comparing ledger and sink");
        let options = VerifyOptions { group: self.settings.group.clone(), strict: false };
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
