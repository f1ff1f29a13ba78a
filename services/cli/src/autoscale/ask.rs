//! The scheduler's wish for this host: the workers that the queues need, without those that others run.

use std::collections::BTreeSet;
use std::time::Duration;

use paceline_core::Result;
use paceline_proto::v1::scale_service_client::ScaleServiceClient;
use paceline_proto::v1::{ExplainScaleRequest, ExplainScaleResponse};
use paceline_runtime::grpc::{Authorized, authorized};
use paceline_runtime::settings::Settings;

use crate::client::SchedulerClient;

/// Longer than the scheduler's own limit, so that its words arrive.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);

pub struct Asker {
    queues: Vec<String>,
    drain_seconds: f64,
    group: String,
    calls: ScaleServiceClient<Authorized>,
    /// Turns failed calls into errors with a remedy.
    scheduler: SchedulerClient,
    was_away: bool,
}

impl Asker {
    pub fn new(queues: Vec<String>, drain_seconds: f64, settings: &Settings) -> Result<Self> {
        let channel = authorized(&settings.server, settings.token.as_deref(), Some(CALL_TIMEOUT))?;
        let (group, calls) = (settings.group.clone(), ScaleServiceClient::new(channel));
        Ok(Self { queues, drain_seconds, group, calls, scheduler: SchedulerClient::new(settings)?, was_away: false })
    }

    /// The number of workers that the neediest queue wants of this host, which runs `mine`. `None`: the number is not known of one of the
    /// queues; the beginning and the end of that are logged.
    pub async fn ask(&mut self, mine: &BTreeSet<String>) -> Option<u32> {
        let mut most = 0;
        for queue in &self.queues {
            let request = ExplainScaleRequest {
                queue: queue.clone(),
                group: self.group.clone(),
                drain_seconds: self.drain_seconds,
                ..ExplainScaleRequest::default()
            };
            match self.scheduler.answer(self.calls.explain_scale(request).await) {
                Ok(answer) => {
                    tracing::debug!(queue, steps = answer.steps.join("; "), "asked");
                    most = most.max(of_this_host(&answer, mine));
                }
                Err(error) => {
                    if !std::mem::replace(&mut self.was_away, true) {
                        tracing::warn!(queue, %error, "how many workers are wanted is not known; their number stays");
                    }
                    return None;
                }
            }
        }
        if std::mem::replace(&mut self.was_away, false) {
            tracing::info!("how many workers are wanted is known again");
        }
        Some(most)
    }
}

/// The wanted workers without those that others run and keep.
fn of_this_host(answer: &ExplainScaleResponse, mine: &BTreeSet<String>) -> u32 {
    let is_other = |id: &str| !mine.contains(id);
    let others = answer.workers.iter().filter(|worker| !worker.is_stopping && is_other(&worker.worker_id)).count();
    answer.wanted.saturating_sub(u32::try_from(others).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use paceline_proto::v1::ScaleWorker;

    use super::*;

    #[test]
    fn workers_of_others_do_their_part_unless_they_stop() {
        let worker =
            |id: &str, is_stopping| ScaleWorker { worker_id: id.into(), is_stopping, ..ScaleWorker::default() };
        let workers = vec![worker("mine", false), worker("other", false), worker("leaving", true)];
        let answer = |wanted| ExplainScaleResponse { wanted, workers: workers.clone(), ..Default::default() };
        let mine = BTreeSet::from(["mine".to_owned()]);
        assert_eq!(of_this_host(&answer(5), &mine), 4);
        assert_eq!(of_this_host(&answer(0), &mine), 0);
    }
}
