//! What stops a role besides a signal.

use clap::Args;
use paceline_runtime::lifecycle::Shutdown;

#[derive(Debug, Args)]
pub struct StopFlag {
    /// Stop when stdin ends too, so that the role does not outlive the process that holds the other end
    #[arg(long, hide = true)]
    stop_with_stdin: bool,
}

impl StopFlag {
    pub fn shutdown(&self) -> anyhow::Result<Shutdown> {
        let shutdown = Shutdown::on_signal()?;
        Ok(if self.stop_with_stdin { shutdown.also_at_end_of(std::io::stdin()) } else { shutdown })
    }
}
