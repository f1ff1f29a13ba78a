//! `paceline plan`: the workers, processors, memory and disk that a pace takes, reckoned from measured [`costs`] and [`curves`], line by
//! line.
//!
//! The command reads no settings and asks nobody: [`asked`] → [`reckoning`] → [`page`].
//!
//! Here: measured numbers, arithmetic on them and the page. It may use core's constants and the output, and no network.

mod asked;
mod costs;
mod curves;
mod lines;
mod number;
mod page;
#[cfg(test)]
mod page_tests;
mod processors;
mod reckoning;
mod storage;
mod units;
mod warnings;

pub use asked::PlanArguments;

use crate::exit::Exit;
use crate::output::Output;
use page::Plan;
use reckoning::Reckoning;

pub fn execute(arguments: &PlanArguments, output: Output) -> anyhow::Result<Exit> {
    arguments.check()?;
    let reckoning = Reckoning::of(arguments);
    output.data(&Plan::new(arguments, &reckoning), Plan::text)?;
    Ok(Exit::Done)
}
