//! The simulation: its models pass the ports' conformance suites, every law holds over some hundred seeds, a seed replays bit for
//! bit, each mutant is caught, and ends of runs are kept. `make sim` plays many more seeds.

mod conformance;
mod endings;
mod laws;
