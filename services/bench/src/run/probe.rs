//! The latency of the API meanwhile, as a caller feels it: GetRun, 20 times a second, whether or not the one before has been answered.

use std::convert::Infallible;
use std::time::Duration;

use hdrhistogram::Histogram;
use paceline_core::ids::RunId;
use paceline_proto::v1;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::roles::SchedulerCalls;

const INTERVAL: Duration = Duration::from_millis(50);
/// The longest latency that is told apart: a minute.
const LATENCY_US_MAX: u64 = 60_000_000;

pub struct Probe {
    latency_us: Histogram<u64>,
    pub failures: u64,
}

impl Probe {
    fn new() -> Self {
        let latency_us = Histogram::new_with_bounds(1, LATENCY_US_MAX, 3).expect("the bounds are valid");
        Self { latency_us, failures: 0 }
    }

    /// Milliseconds; `None` if nothing was answered.
    pub fn quantile_ms(&self, quantile: f64) -> Option<f64> {
        let has_answers = !self.latency_us.is_empty();
        has_answers.then(|| self.latency_us.value_at_quantile(quantile) as f64 / 1000.0)
    }

    /// Asks for ever.
    async fn ask(&mut self, scheduler: &SchedulerCalls, run: &RunId) -> Infallible {
        let (mut ticks, mut calls) = (tokio::time::interval(INTERVAL), JoinSet::new());
        loop {
            tokio::select! {
                _ = ticks.tick() => {
                    let (mut client, run_id) = (scheduler.clone(), run.to_string());
                    calls.spawn(async move {
                        let asked = Instant::now();
                        client.get_run(v1::GetRunRequest { run_id }).await.map(|_| asked.elapsed())
                    });
                }
                Some(answered) = calls.join_next() => match answered {
                    Ok(Ok(latency)) => self.latency_us.saturating_record(u64::try_from(latency.as_micros()).unwrap_or(u64::MAX)),
                    _ => self.failures += 1,
                },
            }
        }
    }
}

/// Asks as long as `work` goes on.
pub async fn during<T>(scheduler: &SchedulerCalls, run: &RunId, work: impl Future<Output = T>) -> (T, Probe) {
    let mut probe = Probe::new();
    let output = tokio::select! {
        output = work => output,
        never = probe.ask(scheduler, run) => match never {},
    };
    (output, probe)
}
