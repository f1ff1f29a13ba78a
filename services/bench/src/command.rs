//! The subcommands of `paceline bench`, a mode each.

use clap::Subcommand;

use crate::load::LoadArguments;
use crate::modes::{DrainArguments, LatencyArguments, PipelineArguments, drain, latency, pipeline};
use crate::report::BenchReport;
use crate::roles::Roles;
use crate::stage::Stage;

#[derive(Debug, Subcommand)]
pub enum BenchCommand {
    /// How fast workers empty a full queue
    Drain(DrainArguments),
    /// How fast jobs go through every role at once, or how well a rate is kept
    Pipeline(PipelineArguments),
    /// How long a job takes from due to stored at a modest rate
    Latency(LatencyArguments),
}

impl BenchCommand {
    /// True if everything that was made shall stay.
    pub(crate) fn keeps(&self) -> bool {
        self.load().keep
    }

    /// The number of jobs that may wait in the queue at once because nobody asked for a pace.
    pub(crate) fn backlog_max(&self) -> u64 {
        match self {
            Self::Pipeline(arguments) if arguments.rate.is_none() => arguments.jobs,
            Self::Drain(_) | Self::Pipeline(_) | Self::Latency(_) => 0,
        }
    }

    pub(crate) async fn measure(&self, stage: &Stage, roles: &mut Roles<'_>) -> anyhow::Result<BenchReport> {
        match self {
            Self::Drain(arguments) => drain::measure(arguments, stage, roles).await,
            Self::Pipeline(arguments) => pipeline::measure(arguments, stage, roles).await,
            Self::Latency(arguments) => latency::measure(arguments, stage, roles).await,
        }
    }

    fn load(&self) -> &LoadArguments {
        match self {
            Self::Drain(arguments) => &arguments.load,
            Self::Pipeline(arguments) => &arguments.load,
            Self::Latency(arguments) => &arguments.load,
        }
    }
}
