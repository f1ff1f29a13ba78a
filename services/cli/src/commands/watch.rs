//! `paceline run watch`: follows a run until it has ended; a bar on a terminal, lines in a pipe, objects with --json.
//!
//! A watch outlives its scheduler: when the stream breaks, another scheduler takes the run over, and the watch goes on there.

use std::io::IsTerminal as _;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use paceline_core::Error;
use paceline_core::run::RunState;
use paceline_proto::v1;
use paceline_proto::v1::scheduler_service_client::SchedulerServiceClient;

use super::Context;
use crate::client::Scheduler;
use crate::exit::Exit;
use crate::output::Output;
use crate::views::{self, RunView};

/// How often a watch that has begun tries to get its stream back, and how long it waits in between: a fail-over takes 3 s.
const RECONNECTS_MAX: u32 = 30;
const RECONNECT_PAUSE: Duration = Duration::from_secs(1);

pub async fn execute(scheduler: &Scheduler, run_id: String, context: &Context) -> anyhow::Result<Exit> {
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
    scheduler: &'a Scheduler,
    run_id: String,
    display: Display,
    /// An update came, so the run exists.
    has_begun: bool,
    /// Since the last update.
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

    /// One stream, to its end. `Err` is the output's, `Broken` is the stream's.
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
                    return Ok(Streamed::Broken(Error::unavailable(
                        "the scheduler ended the stream before the run ended",
                    )));
                }
                Err(status) => return Ok(Streamed::Broken(self.scheduler.failure(&status))),
            };
            let Some(run) = run else { continue };
            (self.reconnects, self.has_begun) = (0, true);
            let has_ended = views::state(run.state).is_some_and(RunState::is_terminal);
            let view = RunView::from(run);
            self.display.show(&view)?;
            if has_ended {
                return Ok(Streamed::Ended(Box::new(view)));
            }
        }
    }
}

/// Where the updates go.
enum Display {
    Lines(Output),
    Bar(Output, ProgressBar),
}

impl Display {
    fn new(output: Output) -> Self {
        let is_terminal = std::io::stdout().is_terminal() && std::io::stderr().is_terminal();
        if output.json || !is_terminal { Self::Lines(output) } else { Self::Bar(output, ProgressBar::no_length()) }
    }

    fn show(&mut self, run: &RunView) -> anyhow::Result<()> {
        match self {
            Self::Lines(output) => output.data(run, RunView::progress),
            Self::Bar(_, bar) => {
                draw(bar, run);
                Ok(())
            }
        }
    }

    /// What stays on the terminal when the bar has gone; a pipe has it already.
    fn last(&self, run: &RunView) -> anyhow::Result<()> {
        match self {
            Self::Lines(_) => Ok(()),
            Self::Bar(output, _) => output.data(run, RunView::progress),
        }
    }

    fn talk(&self, text: &str) {
        match self {
            Self::Lines(output) => output.talk(text),
            Self::Bar(output, bar) => bar.suspend(|| output.talk(text)),
        }
    }

    fn clear(&self) {
        if let Self::Bar(_, bar) = self {
            bar.finish_and_clear();
        }
    }
}

/// With a total a bar, without one a spinner. A total may come and go while the run is watched.
fn draw(bar: &ProgressBar, run: &RunView) {
    let template = match run.total {
        Some(_) => "{bar:30.cyan} {percent:>3}%  {wide_msg}",
        None => "{spinner:.cyan}  {wide_msg}",
    };
    if bar.length() != run.total || bar.position() == 0 {
        run.total.map_or_else(|| bar.unset_length(), |total| bar.set_length(total));
        bar.set_style(ProgressStyle::with_template(template).expect("the template is a constant"));
    }
    if let Some(numbers) = &run.numbers {
        bar.set_position(numbers.processed + numbers.dead);
    }
    bar.set_message(run.progress());
    bar.tick();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit;
    use crate::fake_scheduler::{self, Fake};

    fn run(total: Option<u64>, processed: u64) -> RunView {
        let snapshot = v1::Snapshot { processed, dead: 1, ..v1::Snapshot::default() };
        RunView::from(v1::Run { total, snapshot: Some(snapshot), ..v1::Run::default() })
    }

    #[test]
    fn the_bar_follows_a_total_that_comes_and_goes() {
        let bar = ProgressBar::hidden();
        draw(&bar, &run(Some(10), 3));
        assert_eq!((bar.length(), bar.position()), (Some(10), 4));
        draw(&bar, &run(None, 5));
        assert_eq!((bar.length(), bar.position()), (None, 6));
        draw(&bar, &run(Some(20), 9));
        assert_eq!((bar.length(), bar.position()), (Some(20), 10));
    }

    #[tokio::test]
    async fn a_watch_that_never_began_does_not_wait_for_a_scheduler() {
        let settings =
            paceline_runtime::settings::Settings { server: "http://127.0.0.1:1".into(), ..Default::default() };
        let scheduler = Scheduler::new(&settings).unwrap();
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
        execute(&Scheduler::new(&context.settings)?, "r".into(), &context).await
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
