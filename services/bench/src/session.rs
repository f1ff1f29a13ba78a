//! One benchmark from its namespace to the last removal, whether it ends by itself, by an error or by a signal.

use paceline_runtime::lifecycle::Shutdown;

use crate::command::BenchCommand;
use crate::namespace::BenchNamespace;
use crate::report::BenchReport;
use crate::roles::Roles;
use crate::setup::{Console, Setup};
use crate::stage::Stage;

/// A benchmark that came to its end.
#[derive(Debug)]
pub struct Measured {
    pub report: BenchReport,
    /// True if nothing is left, or everything that was to be kept.
    pub is_tidy: bool,
}

impl Measured {
    /// True if the run is not disproved, nothing warned, and nothing is left that shall not be.
    pub fn is_well(&self) -> bool {
        self.report.verified != Some(false) && self.report.warnings.count == 0 && self.is_tidy
    }
}

/// Measures, and removes what was made. `None`: a signal came first.
pub async fn run(command: BenchCommand, setup: Setup) -> anyhow::Result<Option<Measured>> {
    let (shutdown, namespace) = (Shutdown::on_signal()?.also_on_hangup()?, BenchNamespace::new(&setup.settings));
    setup.console.talk(&format!("measuring in namespace {}", namespace.settings.namespace));
    let measured = perform(&command, &setup, &namespace, &shutdown).await;
    let is_quiet = matches!(measured, Ok(Some(_)));
    let is_tidy = tidy_up(&*setup.console, &namespace, command.keeps(), is_quiet).await;
    Ok(measured?.map(|report| Measured { report, is_tidy }))
}

/// `None`: interrupted. Every role has ended when this returns.
async fn perform(
    command: &BenchCommand,
    setup: &Setup,
    namespace: &BenchNamespace,
    shutdown: &Shutdown,
) -> anyhow::Result<Option<BenchReport>> {
    let Some(mut stage) = shutdown.or(Stage::open(setup, namespace)).await.transpose()? else { return Ok(None) };
    // To be held back is a warning, and says nothing where nobody asked for a pace.
    stage.settings.high_water = stage.settings.high_water.max(command.backlog_max());
    let mut roles = Roles::new(&stage);
    let measured = shutdown.or(Box::pin(command.measure(&stage, &mut roles))).await;
    if measured.is_none() {
        stage.talk(match command.keeps() {
            true => "stopping the roles; a second signal leaves them",
            false => "stopping the roles, then removing what was made; a second signal leaves both",
        });
    }
    let warnings = roles.stop().await;
    Ok(measured.transpose()?.map(|report| BenchReport { warnings, ..report }))
}

/// Answers true if what is left is what shall be left; it is named either way.
async fn tidy_up(console: &dyn Console, namespace: &BenchNamespace, keeps: bool, is_quiet: bool) -> bool {
    // Without a beginning there is nothing on a service, and nothing that anybody wants to look at.
    let has_begun = namespace.has_begun();
    let is_quiet = is_quiet || !has_begun;
    if keeps && has_begun {
        namespace.leftovers().iter().for_each(|leftover| console.talk(&format!("kept {leftover}")));
        return true;
    }
    if !is_quiet {
        console.talk("removing what was made; a second signal leaves it");
    }
    let failures = namespace.remove(is_quiet).await;
    for (leftover, error) in &failures {
        console.talk(&format!("✗ not removed, {error}: {leftover}"));
    }
    failures.is_empty()
}
