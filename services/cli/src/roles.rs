//! The values that the commands which start roles share: default addresses and names, and the scheduler's rules and limits by the
//! settings.

use paceline_core::ids;
use paceline_runtime::settings::Settings;
use paceline_scheduler::{Limits, Rules};
use paceline_worker::Handlers;
use tokio::net::TcpListener;

pub const DEFAULT_SCHEDULER: &str = "127.0.0.1:50051";
pub const DEFAULT_PRODUCER: &str = "127.0.0.1:50052";

/// The URL at which `listener` is called.
pub fn url(listener: &TcpListener) -> anyhow::Result<String> {
    Ok(format!("http://{}", listener.local_addr()?))
}

/// The queues and handlers that a run may name, by the settings.
pub fn rules(settings: &Settings) -> Rules {
    Rules { queues: settings.queues.keys().cloned().collect(), handlers: Handlers::builtin().names() }
}

/// The marks at which a scheduler holds back, by the settings.
pub fn limits(settings: &Settings) -> Limits {
    Limits::of(settings.high_water, settings.queues.values().copied())
}

/// A name for a process of this role that no other process has, on whichever machine: host, process id and a random part.
pub fn process_name(role: &str) -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    ids::process_name(role, &host, std::process::id())
}
