//! The simulation: its models pass the ports' conformance suites, every law holds over some hundred seeds, a seed replays bit for
//! bit, each mutant is caught, and ends of runs are kept. `make sim` plays many more seeds. Beside the seeds, stories on the same
//! virtual time: what a run does while services refuse, while its broker is slow, and while its queue is long.

mod backlog;
mod conformance;
mod endings;
mod laws;
mod outages;
mod progress;
mod stage;
