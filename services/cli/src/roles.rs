//! The values that the commands which start roles share: default addresses, and names.

use paceline_core::ids;
use tokio::net::TcpListener;

pub const DEFAULT_SCHEDULER: &str = "127.0.0.1:50051";
pub const DEFAULT_PRODUCER: &str = "127.0.0.1:50052";

/// The URL at which `listener` is called.
pub fn url(listener: &TcpListener) -> anyhow::Result<String> {
    Ok(format!("http://{}", listener.local_addr()?))
}

/// A name for a process of this role that no other process has, on whichever machine: host, process id and a random part.
pub fn process_name(role: &str) -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    ids::process_name(role, &host, std::process::id())
}
