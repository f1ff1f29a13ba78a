//! `paceline run watch`: follows a run until it has ended, and gives each update to the [`display`](super::display).
//!
//! A watch outlives its scheduler: when the stream breaks, another scheduler takes the run over, and the watch goes on there.

use std::time::Duration;

use paceline_core::Error;
use paceline_core::error::codes;
use paceline_core::run::RunState;
use paceline_proto::v1;
use paceline_proto::v1::scheduler_service_client::SchedulerServiceClient;

use super::display::Display;
use crate::client::SchedulerClient;
use crate::context::CommandContext;
use crate::exit::Exit;
use crate::views::{self, RunView};

/// The number of times that a watch that has begun tries to get its stream back, and the wait in between: a fail-over takes 3 s.
const RECONNECTS_MAX: u32 = 30;
const RECONNECT_PAUSE: Duration = Duration::from_secs(1);

/// Follows the run until it has ended, or until Ctrl-C; exit code 1 if the run failed.
pub async fn execute(scheduler: &SchedulerClient, run_id: String, context: &CommandContext) -> anyhow::Result<Exit> {
    let mut watch = Watch { scheduler, run_id, display: Display::new(context.output), has_begun: false, reconnects: 0 };
    let outcome = tokio::select! {
        biased;
        signal = tokio::signal::ctrl_c() => signal.map(|()| None).map_err(Into::into),
        ended = watch.follow() => ended.map(Some),
    };
    let Watch { display, run_id, .. } = watch;
    display.clear();
    let Some(last) = outcome? else {
        context.output.talk(format!("no longer watching; run {run_id} goes on"));
        return Ok(Exit::Interrupted);
    };
    display.last(&last)?;
    Ok(if last.state == RunState::Failed.name() { Exit::No } else { Exit::Done })
}

struct Watch<'a> {
    scheduler: &'a SchedulerClient,
    run_id: String,
    display: Display,
    /// An update came, so the run exists.
    has_begun: bool,
    /// Reconnects since the last update.
    reconnects: u32,
}

enum Streamed {
    Ended(Box<RunView>),
    Broken(Error),
}

impl Watch<'_> {
    /// Shows every update; answers the run as it ended.
    async fn follow(&mut self) -> anyhow::Result<RunView> {
        loop {
            let broken = match self.stream().await? {
                Streamed::Ended(run) => return Ok(*run),
                Streamed::Broken(error) => error,
            };
            // Before the first update a scheduler that is away is the answer; after it, it will come back.
            if !self.has_begun || !broken.is_retryable() || self.reconnects == RECONNECTS_MAX {
                return Err(broken.into());
            }
            if self.reconnects == 0 {
                self.display.talk(&format!("{broken}; trying again"));
            }
            self.reconnects += 1;
            tokio::time::sleep(RECONNECT_PAUSE).await;
        }
    }

    /// Shows one stream, to its end. `Err` is the output's, `Broken` is the stream's.
    async fn stream(&mut self) -> anyhow::Result<Streamed> {
        let mut client = SchedulerServiceClient::new(self.scheduler.patient.clone());
        let request = v1::WatchRunRequest { run_id: self.run_id.clone() };
        let mut updates = match self.scheduler.answer(client.watch_run(request).await) {
            Ok(updates) => updates,
            Err(error) => return Ok(Streamed::Broken(error)),
        };
        loop {
            let run = match updates.message().await {
                Ok(Some(update)) => update.run,
                Ok(None) => {
                    let words = "the scheduler ended the stream before the run ended";
                    return Ok(Streamed::Broken(Error::unavailable(words).coded(codes::WATCH_ENDED)));
                }
                Err(status) => return Ok(Streamed::Broken(self.scheduler.failure(&status))),
            };
            let Some(run) = run else { continue };
            (self.reconnects, self.has_begun) = (0, true);
            if let Some(ended) = self.show(run)? {
                return Ok(ended);
            }
        }
    }

    /// Shows an update; answers it if the run has ended.
    fn show(&mut self, run: v1::Run) -> anyhow::Result<Option<Streamed>> {
        let has_ended = views::state(run.state).is_some_and(RunState::is_terminal);
        let view = RunView::from(run);
        self.display.show(&view)?;
        Ok(has_ended.then(|| Streamed::Ended(Box::new(view))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit;
    use crate::fake_scheduler::{self, Fake};
    use crate::output::Output;

    #[tokio::test]
    async fn a_watch_that_never_began_does_not_wait_for_a_scheduler() {
        let settings =
            paceline_runtime::settings::Settings { server: "http://127.0.0.1:1".into(), ..Default::default() };
        let scheduler = SchedulerClient::new(&settings).unwrap();
        let display = Display::Lines(Output { json: false });
        let mut watch = Watch { scheduler: &scheduler, run_id: "r".into(), display, has_begun: false, reconnects: 0 };
        let error = watch.follow().await.unwrap_err();
        assert!(exit::describe(&error).starts_with("no scheduler answers at http://127.0.0.1:1"));
    }

    async fn watched(streams: &[&[RunState]]) -> anyhow::Result<Exit> {
        let update = |state: &RunState| {
            let name = format!("RUN_STATE_{state}");
            fake_scheduler::run("r", v1::RunState::from_str_name(&name).unwrap())
        };
        let watches = streams.iter().map(|states| states.iter().map(update).collect()).collect();
        let runs = vec![fake_scheduler::run("r", v1::RunState::Running)];
        let fake = Fake { runs, watches: std::sync::Mutex::new(watches), ..Fake::default() };
        let (context, _guard) = fake.serve().await;
        execute(&SchedulerClient::new(&context.settings)?, "r".into(), &context).await
    }

    #[tokio::test]
    async fn a_watch_ends_with_its_run_and_a_failed_run_is_exit_code_1() {
        use RunState::*;
        assert_eq!(watched(&[&[Running, Draining, Completed]]).await.unwrap(), Exit::Done);
        assert_eq!(watched(&[&[Stopping, Stopped]]).await.unwrap(), Exit::Done);
        assert_eq!(watched(&[&[Failed]]).await.unwrap(), Exit::No);
    }

    #[tokio::test]
    async fn a_watch_that_has_begun_survives_the_end_of_its_stream() {
        use RunState::*;
        assert_eq!(watched(&[&[Running], &[Running, Completed]]).await.unwrap(), Exit::Done);
        let error = watched(&[&[]]).await.unwrap_err();
        assert_eq!(exit::report(&error), Exit::Unavailable);
    }
}
