//! End to end, on both backends: every case is one function that takes a [`Backend`](paceline_tests::Backend); `both!` makes a test of it for each.

#[macro_use]
mod support;

#[cfg(feature = "services")]
mod autoscale;
mod bench;
mod changes;
mod discovery;
mod examples;
mod groups;
mod healing;
mod health;
mod input;
mod messages;
mod metrics;
mod pace;
mod processes;
#[cfg(feature = "services")]
mod readiness;
#[cfg(feature = "services")]
mod refusals;
mod restarts;
mod scaling;
mod seams;
#[cfg(feature = "services")]
mod stalls;
mod traces;
mod upgrade;
mod watch;
