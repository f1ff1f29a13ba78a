//! The hidden flag by which a role stops with the process that started it.

use clap::Args;
use paceline_runtime::lifecycle::Shutdown;

#[derive(Debug, Args)]
pub struct StopFlag {
    /// Stop when stdin ends too, so that the role does not outlive the process that holds the other end
    #[arg(long, hide = true)]
    stop_with_stdin: bool,
}

impl StopFlag {
    /// The signal by which the role stops: SIGTERM, SIGINT, and the end of stdin if that was asked for.
    pub fn shutdown(&self) -> anyhow::Result<Shutdown> {
        let shutdown = Shutdown::on_signal()?;
        Ok(if self.stop_with_stdin { shutdown.also_at_end_of(std::io::stdin()) } else { shutdown })
    }
}
