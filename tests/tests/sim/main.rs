//! The simulation: its models pass the ports' conformance suites, every law holds over some hundred seeds, a seed replays bit for
//! bit, each mutant is caught, and ends of runs are kept. `make sim` plays many more seeds. Beside the seeds, stories on the same
//! virtual time: what a run does while services refuse, and what a producer says while its broker is slow.

mod conformance;
mod endings;
mod laws;
mod outages;
mod progress;
mod stage;
