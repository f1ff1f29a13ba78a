//! The identity of a process to a receiver of traces and metrics.

/// The role and the id of a process, as `worker` and `worker-host-7-x`.
#[derive(Debug, Clone, Copy)]
pub struct Identity<'a> {
    pub role: &'static str,
    pub id: &'a str,
}

impl Identity<'_> {
    /// The attributes of OpenTelemetry for a service, whose name is such as `paceline-worker`.
    pub(super) fn attributes(self) -> [(&'static str, String); 4] {
        [
            ("service.name", format!("paceline-{}", self.role)),
            ("service.namespace", "paceline".to_owned()),
            ("service.instance.id", self.id.to_owned()),
            ("service.version", env!("CARGO_PKG_VERSION").to_owned()),
        ]
    }
}
