//! `paceline bench …`: hands settings, warnings and output to the benchmark (`paceline_bench`), and prints its report.

mod report;

use std::sync::Arc;

pub use paceline_bench::BenchCommand;
use paceline_bench::{Console, Setup};

use crate::context::CommandContext;
use crate::exit::Exit;
use crate::output::Output;

impl Console for Output {
    fn talk(&self, line: &str) {
        Output::talk(*self, line);
    }
}

pub async fn execute(command: BenchCommand, context: &CommandContext) -> anyhow::Result<Exit> {
    let setup = Setup {
        settings: context.settings.clone(),
        warnings: context.log.warnings.clone(),
        console: Arc::new(context.output),
    };
    // In a box: it would make the future of the whole process large.
    let Some(measured) = Box::pin(paceline_bench::run(command, setup)).await? else { return Ok(Exit::Interrupted) };
    context.output.data(&measured.report, report::text)?;
    Ok(if measured.is_well() { Exit::Done } else { Exit::No })
}
