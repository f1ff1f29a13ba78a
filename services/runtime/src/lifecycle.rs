//! Stopping: one [`Shutdown`] that everything listens to, and [`Tasks`] that a stop can wait for.

use std::future::Future;
use std::io::Read;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Tells everybody to stop; a clone is the same signal, a child stops with its parent but not the other way round.
#[derive(Debug, Clone, Default)]
pub struct Shutdown(CancellationToken);

impl Shutdown {
    pub fn new() -> Self {
        Self::default()
    }

    /// A signal that is triggered by SIGTERM or SIGINT; a second signal ends the process at once with exit code 130.
    pub fn on_signal() -> anyhow::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let shutdown = Self::new();
        let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let trigger = shutdown.clone();
        Tasks::detached(async move {
            for second in [false, true] {
                tokio::select! { _ = terminate.recv() => (), _ = interrupt.recv() => () }
                if second {
                    std::process::exit(130);
                }
                tracing::info!("stopping; a second signal ends at once");
                trigger.trigger();
            }
        });
        Ok(shutdown)
    }

    /// The same signal, triggered by SIGHUP too, for a command that tidies up when its terminal is closed. Where SIGHUP is ignored from the
    /// start, as under `nohup`, it stays ignored.
    pub fn also_on_hangup(self) -> anyhow::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        if ignores_hangup(&status) {
            return Ok(self);
        }
        let (mut hangup, trigger) = (signal(SignalKind::hangup())?, self.clone());
        Tasks::detached(async move {
            hangup.recv().await;
            trigger.trigger();
        });
        Ok(self)
    }

    /// The same signal, triggered also when `source` ends or cannot be read any more. A pipe ends with the process that holds its other
    /// end, whether that process exits or is killed.
    pub fn also_at_end_of(self, mut source: impl Read + Send + 'static) -> Self {
        let trigger = self.clone();
        // A thread that no stop waits for: nothing can end its reading from outside.
        std::thread::spawn(move || {
            _ = std::io::copy(&mut source, &mut std::io::sink());
            trigger.trigger();
            tracing::info!("stopping: whoever started this process has ended");
        });
        self
    }

    pub fn trigger(&self) {
        self.0.cancel();
    }

    pub fn is_triggered(&self) -> bool {
        self.0.is_cancelled()
    }

    /// Waits until it is triggered; at once if it was.
    pub async fn triggered(&self) {
        self.0.cancelled().await;
    }

    /// A signal that is triggered with this one, and can be triggered alone.
    pub fn child(&self) -> Self {
        Self(self.0.child_token())
    }

    /// `future`'s output, or `None` when the stop comes first.
    pub async fn or<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.0.cancelled() => None,
            output = future => Some(output),
        }
    }
}

/// True if the process ignores SIGHUP, by the mask of `/proc/self/status`; its lowest bit is the first signal, SIGHUP.
fn ignores_hangup(status: &str) -> bool {
    let mask = status.lines().find_map(|line| u64::from_str_radix(line.strip_prefix("SigIgn:")?.trim(), 16).ok());
    mask.is_some_and(|mask| mask & 1 == 1)
}

/// The tasks of one component. [`Tasks::finish`] waits for all of them; dropping it does not end them.
#[derive(Debug, Clone, Default)]
pub struct Tasks(TaskTracker);

impl Tasks {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn spawn<F>(&self, future: F) -> tokio::task::JoinHandle<F::Output>
    where
        F: Future<Output: Send + 'static> + Send + 'static,
    {
        self.0.spawn(future)
    }

    /// Waits until every task has ended.
    pub async fn finish(&self) {
        self.0.close();
        self.0.wait().await;
    }

    /// A task that nobody waits for; only for what must not delay a stop.
    #[allow(clippy::disallowed_methods, reason = "the one place that may: it says so in its name")]
    pub fn detached(future: impl Future<Output = ()> + Send + 'static) {
        tokio::spawn(future);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn the_end_of_a_pipe_is_a_stop() {
        let (read, write) = std::io::pipe().unwrap();
        let shutdown = Shutdown::new().also_at_end_of(read);
        assert!(!shutdown.is_triggered());
        drop(write);
        tokio::time::timeout(Duration::from_secs(10), shutdown.triggered()).await.unwrap();
    }

    #[test]
    fn whoever_ignores_hangup_is_told_by_its_mask() {
        assert!(ignores_hangup("Name:\tx\nSigIgn:\t0000000000001001\n"));
        assert!(!ignores_hangup("Name:\tx\nSigIgn:\t0000000000001000\n"));
        assert!(!ignores_hangup(""));
    }
}
