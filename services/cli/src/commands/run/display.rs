//! The place where a watch shows its updates: a bar on a terminal, lines in a pipe, objects with --json.

use std::io::IsTerminal as _;

use indicatif::{ProgressBar, ProgressStyle};

use crate::output::Output;
use crate::views::RunView;

/// The place of the updates.
pub enum Display {
    Lines(Output),
    Bar(Output, ProgressBar),
}

impl Display {
    pub fn new(output: Output) -> Self {
        let is_terminal = std::io::stdout().is_terminal() && std::io::stderr().is_terminal();
        if output.json || !is_terminal { Self::Lines(output) } else { Self::Bar(output, ProgressBar::no_length()) }
    }

    pub fn show(&mut self, run: &RunView) -> anyhow::Result<()> {
        match self {
            Self::Lines(output) => output.data(run, RunView::progress),
            Self::Bar(_, bar) => {
                draw(bar, run);
                Ok(())
            }
        }
    }

    /// Leaves the last update on the terminal, where the bar has gone; a pipe has it already.
    pub fn last(&self, run: &RunView) -> anyhow::Result<()> {
        match self {
            Self::Lines(_) => Ok(()),
            Self::Bar(output, _) => output.data(run, RunView::progress),
        }
    }

    pub fn talk(&self, text: &str) {
        match self {
            Self::Lines(output) => output.talk(text),
            Self::Bar(output, bar) => bar.suspend(|| output.talk(text)),
        }
    }

    pub fn clear(&self) {
        if let Self::Bar(_, bar) = self {
            bar.finish_and_clear();
        }
    }
}

/// Draws a bar of a run with a total, or else a spinner. A total may come and go while the run is watched.
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
    use paceline_proto::v1;

    use super::*;

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
}
