//! The moment of one effect and the process behind the effect. Ports hand it to the models and to the laws.

/// When and for whom an effect happens.
#[derive(Debug, Clone, Copy)]
pub struct At {
    pub now_us: u64,
    /// Wall time of the services' own clocks, which never step.
    pub now_ms: i64,
    /// The calling process.
    pub process: usize,
    /// Nobody waits for the answer any more.
    pub is_late: bool,
    /// The network brought the call a second time.
    pub is_copy: bool,
}
